"""What a consent covers: pure, one limit at a time and all together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.registry.scope import WORLD, Coverage, Use, breaches_of, coverage

START = datetime(2026, 3, 1, tzinfo=UTC)
END = datetime(2026, 9, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Granted:
    id: str = "c1"
    platforms: Sequence[str] | None = ("clips", "reels")
    uses: Sequence[str] | None = ("tribute",)
    territories: Sequence[str] | None = ("DE", "FR")
    valid_from: datetime = START
    valid_until: datetime | None = END
    revoked_at: datetime | None = None


INSIDE = Use(START, "reels", "tribute", "FR")


@pytest.mark.parametrize(
    ("use", "reason"),
    [
        (INSIDE, None),
        (replace(INSIDE, at=START - timedelta(seconds=1)), "it begins on 1 March 2026"),
        (replace(INSIDE, at=END), "it ended on 1 September 2026"),
        (replace(INSIDE, platform="shorts"), "it is limited to the platforms clips, reels, and this is shorts"),
        (replace(INSIDE, platform=None), "it is limited to the platforms clips, reels, and the post's platform is not known"),
        (replace(INSIDE, purpose="news"), "it is limited to the uses tribute, and this is news"),
        (replace(INSIDE, purpose=None), "it is limited to the uses tribute, and what the post is for is not known"),
        (replace(INSIDE, territory="US"), "it is limited to the territories DE, FR, and this is US"),
        (replace(INSIDE, territory=WORLD), "it is limited to the territories DE, FR, and this is everywhere"),
        (
            Use(END, "shorts"),
            "it ended on 1 September 2026; it is limited to the platforms clips, reels, and this is shorts; "
            "it is limited to the uses tribute, and what the post is for is not known; "
            "it is limited to the territories DE, FR, and where the post is shown is not known",
        ),
    ],
)
def test_each_limit_has_its_reason(use: Use, reason: str | None) -> None:
    assert coverage([Granted()], use) == Coverage(consent="c1" if reason is None else None, breach=reason)


def test_a_withdrawn_consent_covers_nothing_whatever_its_terms() -> None:
    withdrawn = Granted(platforms=None, uses=None, territories=None, revoked_at=datetime(2026, 5, 2, tzinfo=UTC))
    assert coverage([withdrawn], INSIDE) == Coverage(breach="it was withdrawn on 2 May 2026")


def test_the_first_that_covers_is_named_and_else_the_nearest_gives_the_reason() -> None:
    far = Granted("far", platforms=("a",), uses=("b",))
    near = Granted("near", uses=("news",))
    assert coverage([far, near], INSIDE).breach == "it is limited to the uses news, and this is tribute"
    assert coverage([far, near, Granted("fits"), Granted("fits too")], INSIDE) == Coverage(consent="fits")
    assert coverage([], INSIDE) == Coverage()


WORDS = st.sampled_from(["a", "b", "c"])
LIMITS = st.none() | st.lists(WORDS, min_size=1, max_size=2)


@given(LIMITS, LIMITS, LIMITS, st.none() | WORDS, st.none() | WORDS, st.none() | WORDS)
def test_inside_all_limits_or_outside_with_a_reason_for_each(
    platforms: list[str] | None,
    uses: list[str] | None,
    territories: list[str] | None,
    on: str | None,
    purpose: str | None,
    where: str | None,
) -> None:
    pairs = ((platforms, on), (uses, purpose), (territories, where))
    outside = [limit for limit, value in pairs if limit is not None and value not in limit]
    assert len(breaches_of(Granted(platforms=platforms, uses=uses, territories=territories), Use(START, on, purpose, where))) == len(
        outside
    )

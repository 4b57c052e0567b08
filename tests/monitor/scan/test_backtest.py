from __future__ import annotations

from dataclasses import replace

import pytest

from monitor.base.database import Store
from monitor.review.assessments import Judged, record_scan
from monitor.review.queue import claim
from monitor.review.verdicts import Verdict, decide
from monitor.scan.backtest import Gathered, gather
from tests.monitor.decision.test_policy import LIVING
from tests.monitor.review.helpers import NOW, VERSIONS, scan

FACTS = replace(LIVING, z=6.0)


def assessed(store: Store, post: str, *, likeness: str | None = "l1", facts: bool = True) -> str:
    """A post and what was concluded about it; the id of its case."""
    case, _ = scan(store, video=post, post=post)
    with store.session() as session:
        judged = Judged(likeness, 0.9, flagged=True, facts=FACTS.to_json() if facts else None)
        record_scan(session, [judged], post_id=post, video_sha256=post, versions=VERSIONS, now=NOW)
    return case.id


def gathered(store: Store, limit: int = 100) -> Gathered:
    with store.session(read_only=True) as session:
        return gather(session, limit=limit)


@pytest.mark.parametrize(
    ("verdict", "misuse"),
    [
        *((each, True) for each in (Verdict.DEEPFAKE, Verdict.MANIPULATED, Verdict.OTHER_AI)),
        *((each, False) for each in (Verdict.AUTHENTIC, Verdict.ARCHIVE, Verdict.LICENSED, Verdict.PARODY, Verdict.NEWS)),
        (Verdict.NOT_THIS_PERSON, False),
        (Verdict.INCONCLUSIVE, None),
    ],
)
def test_a_verdict_says_whether_a_flag_was_right(store: Store, verdict: Verdict, misuse: bool | None) -> None:
    case = assessed(store, "p")
    assert [each.misuse for each in gathered(store).kept] == [None], "undecided"
    with store.session() as session:
        lease = claim(session, case, reviewer="ada", lease_s=60, now=NOW)
        decide(session, case, reviewer="ada", token=lease.token, verdict=verdict, reason="r", now=NOW)
    (kept,) = gathered(store).kept
    assert kept.misuse is misuse
    assert (kept.post, kept.risk, kept.flagged) == ("p", 0.9, True)
    assert kept.facts == replace(FACTS, name=kept.likeness)


def test_what_cannot_be_replayed_is_counted(store: Store) -> None:
    assessed(store, "old", facts=False)
    assessed(store, "nobody", likeness=None, facts=False)
    assessed(store, "new")
    found = gathered(store)
    assert ([each.post for each in found.kept], found.without_facts, found.nobody_found) == (["new"], 1, 1)


def test_no_more_than_asked_for(store: Store) -> None:
    for number in range(4):
        assessed(store, f"p{number}")
    assert len(gathered(store, limit=3).kept) == 3

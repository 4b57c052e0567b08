"""`sosie demo`: every post of the fictional cast comes out as it is labelled."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from monitor.cast import posts as cast_posts
from monitor.cast.posts import POSTS
from tests.monitor.household import rows, sosie


@pytest.mark.timeout(600)
@pytest.mark.parametrize("some", [(0, 7, 9), pytest.param(range(POSTS), marks=pytest.mark.long)], ids=len)
def test_nothing_is_missed_and_nobody_is_flagged_falsely(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, some: Sequence[int]
) -> None:
    """Of all posts, or of one that misuses a likeness, one that is licensed to, and one of a stranger."""
    plans, count = cast_posts._plans(), len(some)
    monkeypatch.setattr(cast_posts, "_plans", lambda: tuple(plans[number] for number in some))
    monkeypatch.setenv("SOSIE_ENCODER", "nonsense")  # the demo leaves the operator's settings aside
    ran = sosie("demo", "--no-serve", "--json", "--home", tmp_path / "stage")
    (score,) = ran.objects
    assert set(score) == {"posts", "cases", "expected", "missed", "false", "seconds"}
    assert (score["missed"], score["false"]) == ([], [])
    assert score["posts"] == count
    assert score["expected"] == score["cases"] > 0
    assert ran.status == 0
    assert rows(tmp_path / "stage", "posts", "cases") == {"posts": count, "cases": score["cases"]}
    assert not home.exists()

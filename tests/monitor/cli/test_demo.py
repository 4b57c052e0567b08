"""`sosie demo`: every post of the fictional cast comes out as it is labelled."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest

from monitor.cast.posts import POSTS, posts
from monitor.cli import demonstration
from tests.monitor.household import rows, sosie


@pytest.mark.timeout(600)
@pytest.mark.parametrize("count", [6, pytest.param(POSTS, marks=pytest.mark.long)])
def test_nothing_is_missed_and_nobody_is_flagged_falsely(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(demonstration, "posts", lambda folder, studio: islice(posts(folder, studio), count))
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

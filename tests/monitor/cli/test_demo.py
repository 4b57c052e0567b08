"""`sosie demo`: every post of the fictional cast comes out as it is labelled."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitor.cast.posts import POSTS
from tests.monitor.household import rows, sosie


@pytest.mark.timeout(600)
def test_nothing_is_missed_and_nobody_is_flagged_falsely(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOSIE_ENCODER", "nonsense")  # the demo leaves the operator's settings aside
    ran = sosie("demo", "--no-serve", "--json", "--home", tmp_path / "stage")
    (score,) = ran.objects
    assert set(score) == {"posts", "cases", "expected", "missed", "false", "seconds"}
    assert (score["missed"], score["false"]) == ([], [])
    assert score["posts"] == POSTS
    assert score["expected"] == score["cases"]
    assert ran.status == 0
    assert rows(tmp_path / "stage", "posts", "cases") == {"posts": POSTS, "cases": score["cases"]}
    assert not home.exists()

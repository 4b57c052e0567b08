"""`sosie watermark`: marks by the command line, and what a scan says of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.monitor.household import sosie, trail
from tests.monitor.vision import marks


@pytest.fixture
def png(tmp_path: Path) -> Path:
    return marks.write_mark(tmp_path / "quill.png")


@pytest.fixture
def marked(tmp_path: Path) -> Path:
    return marks.write(tmp_path / "marked.mp4", marks.marked(marks.footage(8), placing=marks.moving))


def test_add_list_and_remove(home: Path, png: Path) -> None:
    assert "No mark is looked for" in sosie("watermark", "list").out
    added = sosie("watermark", "add", "quill", png, "--generator", "Quill")
    assert (added.status, added.out.startswith("quill is looked for from now on (")) == (0, True)
    assert "quill was there already" in sosie("watermark", "add", "quill", png, "--generator", "Quill").out
    (kept,) = sosie("watermark", "list", "--json").objects
    assert (kept["name"], kept["generator"]) == ("quill", "Quill")
    assert set(kept) == {"name", "generator", "sha256", "added_at", "added_by", "damage"}
    assert "Quill" in sosie("watermark", "list").out
    assert sosie("watermark", "remove", "quill").out == "quill is looked for no more.\n"
    assert trail(home, "watermark") == ["watermark.added", "watermark.removed"]
    again = sosie("watermark", "remove", "quill")
    assert again.status == 1
    assert "Watermark 'quill': is not kept" in again.err


def test_what_shows_no_mark_is_refused(home: Path, tmp_path: Path) -> None:
    plain = marks.write_mark(tmp_path / "plain.png", np.full((50, 90, 3), 7, np.uint8))
    ran = sosie("watermark", "add", "plain", plain)
    assert ran.status == 1
    assert f"sosie: {plain}: shows nothing: all of it has nearly the same brightness. Give a picture of nothing but the mark" in ran.err
    assert sosie("watermark", "list", "--json").objects == []


def test_look_tries_the_marks_on_a_video_and_says_when_and_where(home: Path, png: Path, marked: Path, tmp_path: Path) -> None:
    refused = sosie("watermark", "look", marked)
    assert refused.status == 1
    assert "there is no mark to look for. Add one with `sosie watermark add NAME TEMPLATE.png`" in refused.err
    sosie("watermark", "add", "quill", png, "--generator", "Quill")
    sosie("watermark", "add", "other", marks.write_mark(tmp_path / "other.png", marks.other_mark()))
    seen, other = sosie("watermark", "look", marked).out.splitlines()
    assert seen.startswith("quill  seen (score ")
    assert "0:00.0–0:04.0; clearest at 0:0" in seen
    assert "% across and" in seen
    assert other.startswith("other  not seen (score 0.")
    first, second = sosie("watermark", "look", marked, "--json").objects
    assert (first["name"], first["score"] > 0.9, second["ranges"]) == ("quill", True, [])


def test_a_scan_looks_for_them_and_says_so(furnished: Path, png: Path, marked: Path, tmp_path: Path) -> None:
    plain = marks.write(tmp_path / "plain.mp4", marks.footage(8))
    sosie("watermark", "add", "quill", png, "--generator", "Quill")
    first, second = sosie("scan", marked, plain, "--json").objects
    (mark,) = first["watermarks"]
    assert set(mark) == {"name", "generator", "score", "ranges", "at_s", "box"}
    assert (mark["name"], mark["generator"], mark["ranges"]) == ("quill", "Quill", [[0.0, 4.0]])
    assert second["watermarks"] == []
    assert first["assessment"]["watermarks"] == second["assessment"]["watermarks"] != "none"
    assert "Quill" in sosie("scan", marked).out

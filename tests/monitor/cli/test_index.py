"""`sosie index`: a damaged copy is refused, named, and made again from the registry."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.monitor.household import files, rows, sosie


def flip(file: Path) -> None:
    """Change one bit in the middle of a file."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0x01
    file.write_bytes(content)


def test_show_and_verify_tell_what_is_in_use(furnished: Path) -> None:
    shown = sosie("index", "show").out
    assert shown.startswith("Version ")
    assert "sosie-cast: 6 references" in shown
    verified = sosie("index", "verify")
    assert verified.status == 0
    assert "6 references, every byte as published" in verified.out


def test_verify_before_anything_was_written_says_so(furnished: Path) -> None:
    shutil.rmtree(furnished / "index")
    assert sosie("index", "verify").out == "No index has been written yet.\n"


@pytest.mark.parametrize("name", ["vectors.npy", "cohort.npy", "rows.json", "manifest.json", "CURRENT"])
def test_one_flipped_bit_stops_the_scan_and_a_rebuild_mends_it(furnished: Path, clips: Path, name: str) -> None:
    sound = files(furnished, ["index"])
    (damaged,) = (furnished / "index").rglob(name)
    flip(damaged)
    ran = sosie("scan", clips / "singer.mp4", "--json")
    assert (ran.status, ran.out) == (1, ""), "no fault of the video's"
    assert ran.err.startswith(f"sosie: {furnished / 'index'}")
    assert "Run `sosie index rebuild`" in ran.err
    assert rows(furnished, "videos", "posts") == {"videos": 0, "posts": 0}
    assert sosie("index", "verify").status == 1

    assert sosie("index", "rebuild").status == 0
    assert sosie("index", "verify").status == 0
    assert files(furnished, ["index"]).items() >= sound.items()
    assert sosie("scan", clips / "singer.mp4", "--json").objects[0]["matches"]
    assert rows(furnished, "likenesses", "references", "posts") == {"likenesses": 2, "references": 6, "posts": 1}


def test_a_missing_index_is_made_again_without_a_word(furnished: Path, clips: Path) -> None:
    shutil.rmtree(furnished / "index")
    assert sosie("scan", clips / "singer.mp4", "--json").objects[0]["matches"]


def test_a_damaged_cohort_is_made_again(furnished: Path, clips: Path) -> None:
    before = sosie("scan", clips / "singer.mp4", "--json").objects[0]
    (cohort,) = (furnished / "cohort").iterdir()
    flip(cohort)
    after = sosie("scan", clips / "singer.mp4", "--json").objects[0]
    assert after["matches"] == before["matches"]
    assert after["assessment"] == before["assessment"]

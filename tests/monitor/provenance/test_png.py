"""PNG: what is read, wherever it stands, and in whatever wrapping."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest
from PIL import Image

from monitor.provenance.fields import read_fields
from monitor.provenance.metadata import read
from monitor.provenance.types import AI
from tests.monitor.provenance.hostile import png
from tests.monitor.provenance.packets import DECLARED, LABEL

XMP = b"XML:com.adobe.xmp\0"
WAYS = {
    "text": (b"tEXt", XMP + DECLARED),
    "plain": (b"iTXt", XMP + b"\0\0\0\0" + DECLARED),
    "deflated": (b"iTXt", XMP + b"\1\0en\0name\0" + zlib.compress(DECLARED)),
    "deflated text": (b"zTXt", XMP + b"\0" + zlib.compress(DECLARED)),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("behind", [False, True])
def test_xmp_is_read_before_the_picture_and_behind_it(tmp_path: Path, way: str, behind: bool) -> None:
    path = png(tmp_path / "a.png", behind=[WAYS[way]]) if behind else png(tmp_path / "a.png", WAYS[way])
    assert read(path).ai is AI.FULLY


def test_chinas_label_in_a_text(tmp_path: Path) -> None:
    assert read(png(tmp_path / "a.png", (b"tEXt", b"AIGC\0" + LABEL.encode()))).ai is AI.FULLY


def test_exif_is_read_also_as_image_magick_writes_it(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0131] = "Dream 3"
    block = exif.tobytes()
    raw = b"Raw profile type exif\0\0" + zlib.compress(f"\nexif\n{len(block):8}\n{block.hex()}\n".encode())
    for chunk in ((b"eXIf", block.removeprefix(b"Exif\0\0")), (b"zTXt", raw)):
        assert ("Exif", "Software", "Dream 3") in read_fields(png(tmp_path / "a.png", chunk)).tags


@pytest.mark.parametrize(
    "chunk",
    [
        (b"zTXt", b"Comment\0\0not deflated"),
        (b"iTXt", b"Comment\0\1"),
        (b"iTXt", b""),
        (b"tEXt", b""),
        (b"eXIf", b"II*\0\xff\xff\xff\xff"),
        (b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(b"\nexif\n 4\nzz")),
    ],
)
def test_what_breaks_off_says_nothing_and_hides_nothing(tmp_path: Path, chunk: tuple[bytes, bytes]) -> None:
    assert read(png(tmp_path / "a.png", chunk, WAYS["plain"])).ai is AI.FULLY

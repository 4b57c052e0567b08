"""The metadata fields of a file, by format: through Pillow for pictures, PyAV for Matroska, our own readers for ISO media, PNG and XMP.

What breaks off gives what stood before. No more than a bounded part of the file is held, however long it is.
"""

from __future__ import annotations

import io
import mmap
import warnings
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import av
from PIL import Image

from monitor.provenance import xmp
from monitor.provenance.boxes import is_iso, read_boxes
from monitor.provenance.png import read_png

__all__ = ["MAX_CHARS", "Fields", "read_fields"]

MAX_CHARS = 16 * 1024
"""Of one field."""

_MAX_FIELDS = 100
_MAX_SCAN = 256 * 1024**2
_MAX_PACKETS = 8
_HEAD = 64
_ISO_PICTURES = (b"avif", b"avis", b"heic", b"heix", b"mif1", b"msf1")
_TIFF = (b"II*\0", b"MM\0*")
_PNG = b"\x89PNG\r\n\x1a\n"
_PICTURES = (b"\xff\xd8\xff", b"RIFF", b"GIF8")
_MATROSKA = b"\x1aE\xdf\xa3"
_EXIF_BLOCK, _USER_COMMENT = 0x8769, 0x9286
_NO_PICTURE = (OSError, ValueError, SyntaxError, KeyError, TypeError, IndexError, OverflowError, Image.DecompressionBombError)


@dataclass
class Fields:
    """The metadata of a file. `tags`: where, name, text. `xmp`: where, packet. `orphans`: where JUMBF lies that no reader looks for."""

    tags: list[tuple[str, str, str]] = field(default_factory=list)
    xmp: list[tuple[str, bytes]] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)


def read_fields(path: Path) -> Fields:
    """The fields of the file at `path`. OSError of the disk passes through; nothing else is raised for what stands in the file."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
        found = Fields()
        if is_iso(file):
            contents = read_boxes(file)
            found = Fields(contents.tags, contents.xmp, contents.orphans)
            if head[4:8] == b"ftyp" and head[8:12] in _ISO_PICTURES:
                found.xmp += _packets(file)  # items, whose places are a tree of their own: found by their wrapper
        elif head.startswith(_TIFF):
            found.xmp += _packets(file)
        elif head.startswith(_PNG):
            _of_png(file, found)
        elif head.startswith(_PICTURES):
            _of_picture(file, found)
        elif head.startswith(_MATROSKA):
            _of_container(path, found)
    return found


def _of_picture(file: BinaryIO, found: Fields) -> None:
    file.seek(0)
    with warnings.catch_warnings(action="ignore"), suppress(*_NO_PICTURE), Image.open(file) as picture:
        # A broken one has nothing to read; its state is C2PA's to tell.
        for name, value in list(picture.info.items())[:_MAX_FIELDS]:
            _of_info(found, str(picture.format), str(name), value)
        _of_exif(picture.getexif(), found)


def _of_png(file: BinaryIO, found: Fields) -> None:
    """Read a PNG's fields by our own reader: Pillow would decode the picture to look for Exif."""
    png = read_png(file)
    for name, text in png.texts:
        _of_info(found, "PNG", name, text)
    if png.exif:
        exif = Image.Exif()
        with warnings.catch_warnings(action="ignore"), suppress(*_NO_PICTURE):
            exif.load(png.exif)
            _of_exif(exif, found)


def _of_info(found: Fields, kind: str, name: str, value: Any) -> None:
    if name in ("xmp", "XML:com.adobe.xmp"):
        found.xmp.append((f"{kind} XMP", value if isinstance(value, bytes) else str(value).encode()))
    elif isinstance(value, str):
        found.tags.append((kind, name, value[:MAX_CHARS]))
    elif name == "comment" and isinstance(value, bytes):
        found.tags.append((kind, name, value[:MAX_CHARS].decode("utf-8", "replace")))


def _of_exif(exif: Image.Exif, found: Fields) -> None:
    for tag, name in ((0x010E, "ImageDescription"), (0x0131, "Software")):
        if isinstance(value := exif.get(tag), str):
            found.tags.append(("Exif", name, value[:MAX_CHARS]))
    comment = exif.get_ifd(_EXIF_BLOCK).get(_USER_COMMENT)
    if isinstance(comment, bytes):
        comment = comment[8:MAX_CHARS].decode("utf-8", "replace").strip("\0 ")  # after the name of its character code
    if isinstance(comment, str):
        found.tags.append(("Exif", "UserComment", comment[:MAX_CHARS]))


def _of_container(path: Path, found: Fields) -> None:
    with suppress(av.FFmpegError, ValueError), av.open(str(path), metadata_errors="replace") as container:
        found.tags += [("container", name, value[:MAX_CHARS]) for name, value in list(container.metadata.items())[:_MAX_FIELDS]]


def _packets(file: BinaryIO) -> list[tuple[str, bytes]]:
    """The XMP packets of a file, found by their wrapper: XMP part 3's way for formats that one does not take apart."""
    size = file.seek(0, io.SEEK_END)
    packets: list[tuple[str, bytes]] = []
    if size == 0:
        return packets
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        at, limit = 0, min(size, _MAX_SCAN)
        while len(packets) < _MAX_PACKETS and (start := data.find(b"<?xpacket begin", at, limit)) >= 0:
            furthest = min(limit, start + xmp.MAX_BYTES)
            end = data.find(b"<?xpacket end", start, furthest)
            at = end if end > 0 else start + 1
            packets.append((f"XMP packet at byte {start}", data[start : end if end > 0 else furthest]))
    return packets

"""What a PNG says besides its picture (PNG third edition, 11.3): texts, XMP and Exif, before the picture and behind it.

Pillow reads what stands behind the picture, and looks for Exif, by decoding the picture: a bomb's favourite. Here only chunk headers
and small chunks are read, and no more is inflated than is kept. CRCs are not checked: who reads metadata does not either.
"""

from __future__ import annotations

import struct
import zlib
from contextlib import suppress
from dataclasses import dataclass, field
from typing import BinaryIO

__all__ = ["Texts", "read_png"]

_MAX_CHUNKS = 20_000
_MAX_BYTES = 1024 * 1024
_MAX_TEXTS = 100
_SIGNATURE_BYTES = 8
_RAW_EXIF = "Raw profile type exif"  # as ImageMagick writes it: a name, a length, then hexadecimal lines


@dataclass
class Texts:
    """What a PNG says. `texts`: keyword and text, in the order of the file. `exif`: the block, empty without one."""

    texts: list[tuple[str, str]] = field(default_factory=list)
    exif: bytes = b""


def read_png(file: BinaryIO) -> Texts:
    """Read a seekable PNG. OSError passes through; nothing else is raised for what stands in the file."""
    found = Texts()
    end = file.seek(0, 2)
    at = _SIGNATURE_BYTES
    for _ in range(_MAX_CHUNKS):
        file.seek(at)
        head = file.read(8)
        if len(head) < 8:
            break
        length, kind = struct.unpack(">I4s", head)
        if kind in (b"tEXt", b"zTXt", b"iTXt", b"eXIf"):
            _take(kind, file.read(min(length, _MAX_BYTES, end)), found)
        if kind == b"IEND":
            break
        at += 12 + length
    return found


def _take(kind: bytes, content: bytes, found: Texts) -> None:
    if kind == b"eXIf":
        found.exif = found.exif or content
        return
    keyword, _, rest = content.partition(b"\0")
    text = _text(kind, rest)
    if text is None or len(found.texts) >= _MAX_TEXTS:
        return
    name = keyword[:79].decode("latin-1")
    if name == _RAW_EXIF:
        with suppress(ValueError):
            found.exif = found.exif or bytes.fromhex("".join(text.split("\n")[3:]))
    else:
        found.texts.append((name, text))


def _text(kind: bytes, rest: bytes) -> str | None:
    if kind == b"tEXt":
        return rest.decode("latin-1")
    if kind == b"zTXt":
        return _inflated(rest[1:]).decode("latin-1")
    compressed, rest = rest[:1] == b"\1", rest[2:]
    parts = rest.split(b"\0", 2)  # language, translated keyword, text
    if len(parts) < 3:
        return None
    return (_inflated(parts[2]) if compressed else parts[2]).decode("utf-8", "replace")


def _inflated(content: bytes) -> bytes:
    """The inflated content, at most what is kept of a text; nothing where the content is not deflated."""
    with suppress(zlib.error):
        return zlib.decompressobj().decompress(content, _MAX_BYTES)
    return b""

"""What ISO base media files (MP4, MOV, 3GP, HEIC, AVIF) say outside of any manifest: XMP, tags, handlers, and orphaned JUMBF.

ISO/IEC 14496-12 for the boxes, QuickTime's and Apple's metadata for `keys` and `ilst`, XMP part 3 for `uuid` and `XMP_`. Only the
structure is read, never the media: headers by seeking, small payloads up to a limit. Lengths that lie end the box they stand in.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import BinaryIO

from monitor.intake.boxes import Box, payload, walk

__all__ = ["Contents", "is_iso", "manifest_store", "read_boxes"]

_MAX_STORE = 16 * 1024 * 1024
_MAX_PAYLOAD = 1024 * 1024
_MAX_TAG_CHARS = 16 * 1024
_MAX_TAGS = 500
_MAX_KEY_CHARS = 200
_MAX_PACKETS = 8

_FIRST = (b"ftyp", b"styp", b"moov", b"moof", b"mdat", b"free", b"skip", b"wide", b"uuid", b"jumb")
_XMP_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_C2PA_UUID = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
_CONTAINERS = {b"moov", b"trak", b"mdia", b"udta", b"meta", b"moof", b"traf", b"minf", b"stbl"}
_APPLE = {
    b"\xa9too": "encoder",
    b"\xa9cmt": "comment",
    b"\xa9nam": "title",
    b"\xa9ART": "artist",
    b"desc": "description",
    b"\xa9swr": "software",
}


@dataclass
class Contents:
    """What the boxes of a file say. `tags`: where, name, text. `xmp`: where, packet. `manifests`: where the content of each C2PA box begins
    and ends. `orphans`: JUMBF where none belongs.
    """

    tags: list[tuple[str, str, str]] = field(default_factory=list)
    xmp: list[tuple[str, bytes]] = field(default_factory=list)
    manifests: list[tuple[int, int]] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)


def is_iso(file: BinaryIO) -> bool:
    """Whether a seekable file begins as ISO media does; OSError passes through."""
    file.seek(4)
    return file.read(4) in _FIRST


def read_boxes(file: BinaryIO) -> Contents:
    """Read the structure of a seekable file. OSError passes through; nothing else is raised."""
    found = Contents()
    keys: list[str] = []
    for box in walk(file, inside=partial(_inside, file)):
        if box.kind == b"uuid":
            _uuid(file, box, found)
        elif box.kind == b"jumb" or (box.kind in (b"free", b"skip") and b"jumdc2pa" in payload(file, box, 64)):
            found.orphans.append(box.where)
        elif box.kind == b"XMP_" or (box.kind == b"mime" and b"rdf+xml" in payload(file, box, 64)):
            _packet(found, box.where, file, box)
        elif box.kind == b"hdlr" and b"trak" in box.path:
            _tag(found, box.where, "handler", payload(file, box, 256)[24:].split(b"\0")[0])
        elif box.kind == b"keys":
            keys = list(_keys(file, box))
        elif box.kind == b"ilst":
            _items(file, box, keys, found)
        elif box.path[-1:] == (b"udta",) and box.kind[:1] == b"\xa9":
            _tag(found, box.where, _APPLE.get(box.kind, box.kind.decode("latin-1")), payload(file, box, _MAX_TAG_CHARS)[4:])
    return found


def manifest_store(file: BinaryIO) -> bytes | None:
    """The C2PA manifest store (JUMBF) in seekable ISO media that holds one, and that whole; else None.

    C2PA specification 2.x, A.5.1: version and flags, the box's purpose, the offset of a Merkle box, the store.
    """
    spans = read_boxes(file).manifests if is_iso(file) else []
    if len(spans) != 1 or spans[0][1] - spans[0][0] > _MAX_STORE:
        return None
    start, end = spans[0]
    file.seek(start + 16 + 4)
    purpose, nul, rest = file.read(max(0, end - start - 16 - 4)).partition(b"\0")
    return rest[8:] if nul and purpose == b"manifest" else None


def _inside(file: BinaryIO, box: Box) -> int | None:
    """Where the children of a box begin; None for a box without. ISO's `meta` has version and flags before them, QuickTime's has not."""
    if box.kind not in _CONTAINERS:
        return None
    full = box.kind == b"meta" and payload(file, box, 8)[4:8] != b"hdlr"
    return box.start + 4 if full else box.start


def _uuid(file: BinaryIO, box: Box, found: Contents) -> None:
    content = payload(file, box, 96)
    if content[:16] == _XMP_UUID:
        _packet(found, f"{box.where} (XMP)", file, replace(box, start=box.start + 16))
    elif content[:16] == _C2PA_UUID:
        found.manifests.append((box.start, box.end))
    elif b"jumdc2pa" in content:  # a manifest under another name: the library does not look there
        found.orphans.append(f"{box.where} {content[:16].hex()}")


def _packet(found: Contents, where: str, file: BinaryIO, box: Box) -> None:
    if len(found.xmp) < _MAX_PACKETS:
        found.xmp.append((where, payload(file, box, _MAX_PAYLOAD)))


def _keys(file: BinaryIO, box: Box) -> Iterator[str]:
    """The names of QuickTime's `keys`, for the numbers of `ilst`; they stand after version, flags and their count."""
    for key in walk(file, box.start + 8, min(box.end, box.start + _MAX_PAYLOAD)):
        yield payload(file, key, 4 * _MAX_KEY_CHARS).decode("utf-8", "replace")[:_MAX_KEY_CHARS]


def _items(file: BinaryIO, box: Box, keys: list[str], found: Contents) -> None:
    """Read the items of `ilst`, each of which holds its value in a box `data`, after a type and a language."""
    for item in walk(file, box.start, min(box.end, box.start + _MAX_PAYLOAD)):
        number = int.from_bytes(item.kind, "big")
        name = keys[number - 1] if 0 < number <= len(keys) else _APPLE.get(item.kind, item.kind.decode("latin-1"))
        data = next(walk(file, item.start, item.end), None)
        if data is not None and data.kind == b"data":
            _tag(found, box.where, name, payload(file, data, 8 + _MAX_TAG_CHARS)[8:])


def _tag(found: Contents, where: str, name: str, value: bytes) -> None:
    text = value[:_MAX_TAG_CHARS].decode("utf-8", "replace").strip("\0 \x1f")
    if text and len(found.tags) < _MAX_TAGS:
        found.tags.append((where, name, text))

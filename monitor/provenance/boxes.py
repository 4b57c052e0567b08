"""What ISO base media files (MP4, MOV, 3GP, HEIC, AVIF) say outside of any manifest: XMP, tags, handlers, and orphaned JUMBF.

ISO/IEC 14496-12 for the boxes, QuickTime's and Apple's metadata for `keys` and `ilst`, XMP part 3 for `uuid` and `XMP_`. Only the
structure is read, never the media: headers by seeking, small payloads up to a limit. Lengths that lie end the box they stand in.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import BinaryIO

__all__ = ["Contents", "is_iso", "manifest_store", "read_boxes"]

_MAX_BOXES = 20_000
_MAX_DEPTH = 12
_MAX_STORE = 16 * 1024 * 1024
_MAX_PAYLOAD = 1024 * 1024
_MAX_TAG_CHARS = 16 * 1024
_MAX_TAGS = 500
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
    """`tags`: where, name, text. `xmp`: where, packet. `manifests`: where the content of each C2PA box begins and ends.
    `orphans`: JUMBF where none belongs.
    """

    tags: list[tuple[str, str, str]] = field(default_factory=list)
    xmp: list[tuple[str, bytes]] = field(default_factory=list)
    manifests: list[tuple[int, int]] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Box:
    kind: bytes
    start: int  # of the payload
    end: int
    path: tuple[bytes, ...]

    @property
    def where(self) -> str:
        return "/".join(kind.decode("latin-1") for kind in (*self.path, self.kind))

    @property
    def size(self) -> int:
        return self.end - self.start


def is_iso(file: BinaryIO) -> bool:
    """Whether a seekable file begins as ISO media does; OSError passes through."""
    file.seek(4)
    return file.read(4) in _FIRST


def read_boxes(file: BinaryIO) -> Contents:
    """Read the structure of a seekable file. OSError passes through; nothing else is raised."""
    found = Contents()
    keys: list[str] = []
    for box in _walk(file):
        if box.kind == b"uuid":
            _uuid(file, box, found)
        elif box.kind == b"jumb" or (box.kind in (b"free", b"skip") and b"jumdc2pa" in _payload(file, box, 64)):
            found.orphans.append(box.where)
        elif box.kind == b"XMP_" or (box.kind == b"mime" and b"rdf+xml" in _payload(file, box, 64)):
            _packet(found, box.where, file, box)
        elif box.kind == b"hdlr" and b"trak" in box.path:
            _tag(found, box.where, "handler", _payload(file, box, 256)[24:].split(b"\0")[0])
        elif box.kind == b"keys":
            keys = list(_keys(_payload(file, box)))
        elif box.kind == b"ilst":
            _items(file, box, keys, found)
        elif box.path[-1:] == (b"udta",) and box.kind[:1] == b"\xa9":
            _tag(found, box.where, _APPLE.get(box.kind, box.kind.decode("latin-1")), _payload(file, box, _MAX_TAG_CHARS)[4:])
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


def _walk(file: BinaryIO) -> Iterator[_Box]:
    """Every box, a container before its children. A work list, not recursion: depth is the file's choice."""
    seen = 0
    pending: list[tuple[int, int, tuple[bytes, ...]]] = [(0, file.seek(0, 2), ())]
    while pending:
        at, end, path = pending.pop()
        if at + 8 > end or (seen := seen + 1) > _MAX_BOXES:
            continue
        file.seek(at)
        head = file.read(16)
        if len(head) < 8:
            continue
        size, kind = struct.unpack_from(">I4s", head)
        skip = 8
        if size == 1 and len(head) == 16:
            size, skip = struct.unpack_from(">Q", head, 8)[0], 16
        box_end = end if size == 0 else at + size
        if box_end < at + skip:
            continue  # a length that is none: what follows cannot be found
        box = _Box(kind, at + skip, min(box_end, end), path)
        pending.append((box_end, end, path))
        yield box
        if kind in _CONTAINERS and len(path) < _MAX_DEPTH:
            start = box.start + _full_header(file, box) if kind == b"meta" else box.start
            pending.append((start, box.end, (*path, kind)))


def _full_header(file: BinaryIO, box: _Box) -> int:
    """ISO's `meta` has version and flags before its children, QuickTime's has not."""
    return 0 if _payload(file, box, 8)[4:8] == b"hdlr" else 4


def _payload(file: BinaryIO, box: _Box, limit: int = _MAX_PAYLOAD) -> bytes:
    file.seek(box.start)
    return file.read(max(0, min(box.size, limit)))


def _uuid(file: BinaryIO, box: _Box, found: Contents) -> None:
    content = _payload(file, box, 96)
    if content[:16] == _XMP_UUID:
        _packet(found, f"{box.where} (XMP)", file, replace(box, start=box.start + 16))
    elif content[:16] == _C2PA_UUID:
        found.manifests.append((box.start, box.end))
    elif b"jumdc2pa" in content:  # a manifest under another name: the library does not look there
        found.orphans.append(f"{box.where} {content[:16].hex()}")


def _packet(found: Contents, where: str, file: BinaryIO, box: _Box) -> None:
    if len(found.xmp) < _MAX_PACKETS:
        found.xmp.append((where, _payload(file, box)))


def _keys(content: bytes) -> Iterator[str]:
    """The names of QuickTime's `keys`, for the numbers of `ilst`."""
    at = 8
    while at + 8 <= len(content):
        size = int.from_bytes(content[at : at + 4], "big")
        if size < 8:
            return
        yield content[at + 8 : at + size].decode("utf-8", "replace")[:200]
        at += size


def _items(file: BinaryIO, box: _Box, keys: list[str], found: Contents) -> None:
    content = _payload(file, box)
    at = 0
    while at + 24 <= len(content):
        size, kind = struct.unpack_from(">I4s", content, at)
        if size < 8:
            return
        number = int.from_bytes(kind, "big")
        name = keys[number - 1] if 0 < number <= len(keys) else _APPLE.get(kind, kind.decode("latin-1"))
        if content[at + 12 : at + 16] == b"data":
            length = int.from_bytes(content[at + 8 : at + 12], "big")
            _tag(found, box.where, name, content[at + 24 : at + 8 + min(length, size - 8)])
        at += size


def _tag(found: Contents, where: str, name: str, value: bytes) -> None:
    text = value[:_MAX_TAG_CHARS].decode("utf-8", "replace").strip("\0 \x1f")
    if text and len(found.tags) < _MAX_TAGS:
        found.tags.append((where, name, text))

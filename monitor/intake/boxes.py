"""Boxes: the one walker of the structure that ISO media (ISO/IEC 14496-12), QuickTime's metadata and JUMBF (ISO/IEC 19566-5) share.

A box is a length, a kind of four bytes, and a payload, in which further boxes may stand. Only headers are read, by seeking; a work list
takes the place of recursion, because depth is the file's choice; and no more than `MAX_BOXES` are looked at.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

__all__ = ["MAX_BOXES", "Box", "payload", "walk"]

MAX_BOXES = 20_000
_MAX_DEPTH = 12


@dataclass(frozen=True, slots=True)
class Box:
    """One box: its kind, where its payload begins and ends (not included) in bytes, and the kinds of the boxes around it."""

    kind: bytes
    start: int
    end: int
    path: tuple[bytes, ...] = ()

    @property
    def where(self) -> str:
        """The box and those around it, as in `moov/udta/meta`."""
        return "/".join(kind.decode("latin-1") for kind in (*self.path, self.kind))

    @property
    def size(self) -> int:
        """Bytes of the payload."""
        return self.end - self.start


def walk(
    file: BinaryIO, start: int = 0, end: int | None = None, *, inside: Callable[[Box], int | None] = lambda box: None
) -> Iterator[Box]:
    """Every box between `start` and `end` (of the file: None) of a seekable file, a container before what stands in it.

    `inside` says where in the file the boxes in a box begin; None for one that holds none. A length of 0 reaches to the end of what the box
    stands in; one that is too long ends there; after one that is shorter than its own header, nothing more is found beside it.
    OSError passes through; nothing else is raised.
    """
    seen = 0
    pending: list[tuple[int, int, tuple[bytes, ...]]] = [(start, file.seek(0, 2) if end is None else end, ())]
    while pending:
        at, limit, path = pending.pop()
        if at + 8 > limit or (seen := seen + 1) > MAX_BOXES:
            continue
        file.seek(at)
        head = file.read(min(16, limit - at))
        if len(head) < 8:
            continue
        size, kind = struct.unpack_from(">I4s", head)
        skip = 8
        if size == 1 and len(head) == 16:
            size, skip = struct.unpack_from(">Q", head, 8)[0], 16
        box_end = limit if size == 0 else at + size
        if box_end < at + skip:
            continue
        box = Box(kind, at + skip, min(box_end, limit), path)
        pending.append((box_end, limit, path))
        yield box
        if len(path) < _MAX_DEPTH and (begin := inside(box)) is not None:
            pending.append((begin, box.end, (*path, kind)))


def payload(file: BinaryIO, box: Box, limit: int) -> bytes:
    """The beginning of what stands in a box, at most `limit` bytes; fewer where the file ends before the box does."""
    file.seek(box.start)
    return file.read(max(0, min(box.size, limit)))

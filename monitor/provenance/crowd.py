"""Crowded manifest stores, with more in them than anybody signs, are recognised before the library reads them.

c2pa-rs 0.91 takes time that grows with the square of the ingredients: 1,000 cost two seconds, 10,000 four minutes, in a file of 2 MB.
Pure but for reading the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import BinaryIO

from monitor.provenance.boxes import is_iso, read_boxes

__all__ = ["MAX_BOXES", "is_crowded"]

MAX_BOXES = 2000
"""Of JUMBF superboxes in a file, an assertion each. The busiest of the real files at hand has 41."""

_DESCRIPTION = b"jumd"  # each superbox begins with one
_PIECE = 1024 * 1024


def is_crowded(file: BinaryIO) -> bool:
    """Whether the manifest stores in a seekable file hold more than `MAX_BOXES` boxes. OSError passes through.

    In ISO media the store's box alone is read, elsewhere the whole file.
    """
    spans: list[tuple[int, int | None]] = [*read_boxes(file).manifests] if is_iso(file) else [(0, None)]
    seen = 0
    for piece in (piece for span in spans for piece in _pieces(file, *span)):
        seen += piece.count(_DESCRIPTION)
        if seen > MAX_BOXES:
            return True
    return False


def _pieces(file: BinaryIO, start: int, end: int | None) -> Iterator[bytes]:
    """The bytes from `start` to `end` (None: of the file), in pieces that overlap so that nothing is missed or counted twice."""
    overlap = len(_DESCRIPTION) - 1
    for at in count(start, _PIECE):
        length = _PIECE + overlap if end is None else min(_PIECE + overlap, end - at)
        if length <= 0:
            return
        file.seek(at)
        if len(piece := file.read(length)) == 0:
            return
        yield piece

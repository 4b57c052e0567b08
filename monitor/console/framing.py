"""Where in a still the matched face is, in pixels of that still. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MARGIN = 2.0  # the cut-out is so many times the larger side of the face's box


@dataclass(frozen=True, slots=True)
class Framing:
    """A still's size; the face's outline as x, y, width, height; and a square cut-out around it, inside the still where it fits."""

    width: int
    height: int
    outline: tuple[float, float, float, float] | None
    cutout: tuple[float, float, float, float] | None

    @property
    def tall(self) -> bool:
        return self.height > self.width


def framing(width: int, height: int, box: Sequence[float] | None) -> Framing:
    """The framing of a still of this size. `box` is x0, y0, x1, y1 as shares of the still; a box that is empty or outside is ignored: the
    still is shown without an outline."""
    if box is None:
        return Framing(width, height, None, None)
    x0, x1 = (min(max(edge, 0.0), 1.0) * width for edge in (box[0], box[2]))
    y0, y1 = (min(max(edge, 0.0), 1.0) * height for edge in (box[1], box[3]))
    if x1 <= x0 or y1 <= y0:
        return Framing(width, height, None, None)
    side = min(MARGIN * max(x1 - x0, y1 - y0), width, height)
    left = min(max((x0 + x1 - side) / 2, 0.0), width - side)
    top = min(max((y0 + y1 - side) / 2, 0.0), height - side)
    rounded = [round(value, 1) for value in (x0, y0, x1 - x0, y1 - y0, left, top, side)]
    return Framing(width, height, (rounded[0], rounded[1], rounded[2], rounded[3]), (rounded[4], rounded[5], rounded[6], rounded[6]))

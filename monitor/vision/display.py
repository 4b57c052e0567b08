"""From a decoded frame to the picture a viewer sees: square pixels, upright, RGB, no larger than asked.

Scaling and colour conversion are one pass of swscale (bicubic), straight from the decoder's planes: no full-size
RGB copy is ever made. Nothing is scaled up. HDR transfer curves are not mapped.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any, cast

import av
import numpy as np
from av.sidedata.sidedata import SideData, Type
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

MAX_PIXELS = 8192 * 8192
"""Larger pictures are refused: a frame of this size already takes 100 MB decoded."""

ABSURD_ASPECT = 40
"""A picture more than this many times as long as wide shows nobody, but would make huge buffers of small limits."""

PLAUSIBLE_SAMPLE_ASPECT = (Fraction(1, 4), Fraction(4))
"""Outside this range the container's sample aspect ratio is taken for nonsense and ignored, as players do."""

_SIZE_LIMIT = 65535


def display_size(width: int, height: int, sample_aspect: Fraction | None) -> tuple[int, int]:
    """(width, height) with square pixels, before any turn; the height is kept, as players do."""
    lowest, highest = PLAUSIBLE_SAMPLE_ASPECT
    if not sample_aspect or not lowest <= sample_aspect <= highest:
        return width, height
    return max(1, round(width * sample_aspect)), height


def fitted_size(
    width: int, height: int, sample_aspect: Fraction | None, *, short_side_px: int = _SIZE_LIMIT, long_side_px: int = _SIZE_LIMIT
) -> tuple[int, int]:
    """The largest size with the display's aspect, within the limits, in which neither axis of the coded picture grows."""
    shown = display_size(width, height, sample_aspect)
    scale = min(
        Fraction(short_side_px, min(shown)), Fraction(long_side_px, max(shown)), Fraction(width, shown[0]), Fraction(height, shown[1])
    )
    return max(1, round(shown[0] * scale)), max(1, round(shown[1] * scale))


def quarter_turns(frame: VideoFrame) -> int:
    """How many quarter turns clockwise the display applies; other angles are rounded to the nearest."""
    return round(-frame.rotation / 90) % 4


class Renderer:
    """Turns frames into RGB pictures of one target size; keeps swscale's state between frames. Not thread-safe."""

    def __init__(self, sample_aspect: Fraction | None, *, short_side_px: int = _SIZE_LIMIT, long_side_px: int = _SIZE_LIMIT) -> None:
        self._sample_aspect = sample_aspect
        self._limits: dict[str, Any] = {"short_side_px": short_side_px, "long_side_px": long_side_px}
        self._scaler = VideoReformatter()

    def __call__(self, frame: VideoFrame) -> NDArray[np.uint8]:
        """uint8 (h, w, 3), C-contiguous, independent of the frame. Raises `ValueError` for a shape or format it cannot show."""
        if frame.width * frame.height > MAX_PIXELS or max(frame.width, frame.height) > ABSURD_ASPECT * min(frame.width, frame.height):
            raise ValueError(f"a frame of {frame.width}x{frame.height} pixels")
        width, height = fitted_size(frame.width, frame.height, self._sample_aspect, **self._limits)
        try:
            scaled = self._scaler.reformat(frame, width, height, "rgb24", interpolation=Interpolation.BICUBIC, threads=1)
        except av.FFmpegError as error:
            raise ValueError(f"frames in {frame.format.name}, which cannot be converted") from error
        return _upright(np.asarray(scaled.to_ndarray(), dtype=np.uint8), frame)


def _upright(picture: NDArray[np.uint8], frame: VideoFrame) -> NDArray[np.uint8]:
    """Apply the display matrix (ISO/IEC 14496-12, 8.2.2): turns by quarters, and mirrorings.

    The matrix maps a pixel (x, y) to (a·x + c·y, b·x + d·y).
    """
    matrix = _display_matrix(frame)
    if matrix is None:
        return np.ascontiguousarray(np.rot90(picture, -quarter_turns(frame)))
    a, b, _, c, d = matrix[:5]
    if abs(a) + abs(d) < abs(b) + abs(c):
        picture = picture.transpose(1, 0, 2)
        a, d = c, b
    return np.ascontiguousarray(picture[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])


def _display_matrix(frame: VideoFrame) -> list[int] | None:
    """The nine numbers of a frame's display matrix; None without one, or where PyAV stumbles over other side data it has no name for."""
    try:
        side_data = cast("Mapping[Type, SideData]", frame.side_data)
        matrix: list[int] = np.frombuffer(bytes(side_data[Type.DISPLAYMATRIX]), dtype=np.int32).tolist()
    except (KeyError, ValueError):
        return None
    return matrix

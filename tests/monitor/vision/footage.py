"""Test films, made with PyAV in a fraction of a second, whose frames tell their number.

Every frame shows its number as 12 black or white fields, so that a picture can be named whatever codec it went through,
over a background that changes between frames or stands still.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

BITS = 12
SIZE = (192, 128)
Picture = NDArray[np.uint8]


def numbered(number: int, size: tuple[int, int] = SIZE) -> Picture:
    """(h, w, 3): two rows of six fields, most significant first, black for 0 and white for 1."""
    width, height = size
    rows, columns = np.indices((height, width))
    field = (rows * 2 // height) * 6 + columns * 6 // width
    return np.repeat((((number >> (BITS - 1 - field)) & 1) * 255).astype(np.uint8)[:, :, None], 3, axis=2)


def number_in(picture: Picture) -> int:
    """The number that `numbered` wrote, read in the middle of each field."""
    height, width = picture.shape[:2]
    bits = [picture[(2 * row + 1) * height // 4, (2 * column + 1) * width // 12].mean() > 127 for row in range(2) for column in range(6)]
    return int("".join(str(int(bit)) for bit in bits), 2)


def write(
    path: Path,
    pictures: Iterable[Picture],
    *,
    codec: str = "libx264",
    options: dict[str, str] | None = None,
    rate: int | Fraction = 25,
    ticks: Callable[[int], int] = lambda number: number,
    pix_fmt: str = "yuv420p",
    container: str | None = None,
    container_options: dict[str, str] | None = None,
    prepare: Callable[[VideoStream], Any] = lambda stream: None,
    keys: Sequence[int] = (),
) -> Path:
    """Encode the pictures; `ticks(i)` is the i-th one's time in units of 1/rate, `keys` are forced to be key frames."""
    with av.open(str(path), "w", format=container, options=container_options or {}) as out:
        stream: VideoStream | None = None
        for index, picture in enumerate(pictures):
            if stream is None:
                stream = out.add_stream(codec, rate=rate, options=options or {})
                stream.height, stream.width = picture.shape[:2]
                stream.pix_fmt = pix_fmt
                stream.thread_count = 1
                stream.codec_context.time_base = 1 / Fraction(rate)
                prepare(stream)
            frame = av.VideoFrame.from_ndarray(picture).reformat(format=pix_fmt)
            frame.pts, frame.time_base = ticks(index), 1 / Fraction(rate)
            if index in keys:
                frame.pict_type = av.video.frame.PictureType.I
            out.mux(stream.encode(frame))
        assert stream is not None
        out.mux(stream.encode(None))
    return path


def film(path: Path, frames: int, **options: Any) -> Path:
    """`frames` numbered pictures."""
    return write(path, (numbered(number) for number in range(frames)), **options)


X264 = {"preset": "ultrafast", "bf": "3", "b-adapt": "0", "tune": "stillimage"}
"""Fast, with B-frames."""

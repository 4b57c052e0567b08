"""Short clips made from still pictures, as uploaders make them: pan, zoom, recompression, letterbox, caption bar."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]

FPS = 12
SIZE = (360, 480)


def write_clip(path: Path, frames: Iterator[Picture], *, fps: int = FPS, crf: int = 23, gop: int = 24, codec: str = "libx264") -> None:
    """Encode RGB frames of one even size as H.264."""
    with av.open(str(path), "w") as container:
        stream = None
        for frame in frames:
            if stream is None:
                options = {"crf": str(crf), "g": str(gop), "preset": "veryfast"}
                stream = container.add_stream(codec, rate=fps, options=options)
                stream.height, stream.width, stream.pix_fmt = frame.shape[0], frame.shape[1], "yuv420p"
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
        assert stream is not None, "a clip needs a frame"
        container.mux(stream.encode(None))


def slideshow(
    pictures: Sequence[Picture], *, seconds_each: float, zoom: tuple[float, float], pan: tuple[float, float]
) -> Iterator[Picture]:
    """Each picture in turn, the camera moving over it; `zoom` from-to, `pan` in shares of the picture."""
    height, width = SIZE
    for picture in pictures:
        scale = height / picture.shape[0]
        count = round(seconds_each * FPS)
        for i in range(count):
            t = i / max(1, count - 1)
            factor = scale * (zoom[0] + (zoom[1] - zoom[0]) * t)
            centre = np.array(picture.shape[1::-1]) / 2 + np.array(pan) * (t - 0.5) * picture.shape[1]
            matrix = np.array([[factor, 0, width / 2 - factor * centre[0]], [0, factor, height / 2 - factor * centre[1]]])
            yield cv2.warpAffine(picture, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def letterboxed(frames: Iterator[Picture], share: float = 0.12) -> Iterator[Picture]:
    for frame in frames:
        bar = round(frame.shape[0] * share)
        out = np.zeros_like(frame)
        out[bar:-bar] = cv2.resize(frame, (frame.shape[1], frame.shape[0] - 2 * bar))
        yield out


def captioned(frames: Iterator[Picture], text: str = "you will not believe this") -> Iterator[Picture]:
    for frame in frames:
        out = frame.copy()
        out[-52:] = 245
        cv2.putText(out, text, (14, out.shape[0] - 18), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (20, 20, 20), 2, cv2.LINE_AA)
        yield out


def plain(frames: Iterator[Picture]) -> Iterator[Picture]:
    return frames


DRESSINGS: tuple[tuple[str, Callable[[Iterator[Picture]], Iterator[Picture]], dict[str, tuple[float, float]], int], ...] = (
    ("pan", plain, {"zoom": (1.1, 1.1), "pan": (-0.15, 0.0)}, 23),
    ("zoom", plain, {"zoom": (0.8, 1.5), "pan": (0.0, 0.0)}, 23),
    ("recompression", plain, {"zoom": (1.0, 1.1), "pan": (0.05, 0.0)}, 38),
    ("letterbox", letterboxed, {"zoom": (1.0, 1.2), "pan": (0.0, 0.05)}, 26),
    ("caption bar", captioned, {"zoom": (1.0, 1.2), "pan": (0.05, 0.0)}, 28),
)

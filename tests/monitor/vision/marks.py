"""A mark that no generator uses, and footage that bears it: moving, fading, scaled, recompressed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from monitor.cast.film import frames
from monitor.cast.people import person
from monitor.vision.frames import Frame
from monitor.vision.watermark import Template, mark_luma
from tests.clips import Picture, write_clip

Placing = Callable[[int], tuple[float, float, float]]
"""Number of a frame → where the mark's middle is, in shares of the picture, and how opaque it is."""


def made_mark() -> Picture:
    """White on transparency, uint8 RGBA: a ring with a wedge in it, and a word."""
    opacity = np.zeros((60, 170), np.uint8)
    cv2.circle(opacity, (30, 30), 22, 255, 5, cv2.LINE_AA)
    cv2.fillPoly(opacity, [np.array([[22, 20], [44, 30], [22, 40]])], 255, cv2.LINE_AA)
    cv2.putText(opacity, "Quill", (62, 42), cv2.FONT_HERSHEY_SIMPLEX, 1.15, 255, 4, cv2.LINE_AA)
    return np.dstack((np.full((60, 170, 3), 255, np.uint8), opacity))


def other_mark() -> Picture:
    opacity = np.zeros((60, 170), np.uint8)
    cv2.rectangle(opacity, (5, 8), (164, 52), 255, 4, cv2.LINE_AA)
    cv2.putText(opacity, "No. 47", (20, 42), cv2.FONT_HERSHEY_SIMPLEX, 1.0, 255, 3, cv2.LINE_AA)
    return np.dstack((np.full((60, 170, 3), 255, np.uint8), opacity))


def template(picture: Picture | None = None, name: str = "quill", generator: str | None = "Quill") -> Template:
    return Template(name, generator, mark_luma(made_mark() if picture is None else picture))


def write_mark(path: Path, picture: Picture | None = None) -> Path:
    Image.fromarray(made_mark() if picture is None else picture).save(path)
    return path


def footage(count: int, *, seed: int = 3, fps: int = 2, size: tuple[int, int] = (360, 640)) -> list[Picture]:
    """Somebody of the cast, talking in a furnished room."""
    return list(frames([person(7000 + seed)], seconds=count / fps, seed=seed, size=size, fps=fps))


def still(_number: int) -> tuple[float, float, float]:
    return 0.2, 0.15, 0.8


def moving(number: int) -> tuple[float, float, float]:
    return ((0.2, 0.15, 0.8), (0.75, 0.5, 0.8), (0.3, 0.85, 0.8))[number // 2 % 3]


def fading(number: int) -> tuple[float, float, float]:
    """Gone for a third of the time, half there for another."""
    return 0.2, 0.15, (0.9, 0.45, 0.0)[number % 3]


def marked(pictures: Sequence[Picture], *, mark: Picture | None = None, size: float = 0.14, placing: Placing = still) -> list[Picture]:
    """`size` is the root of the mark's area, in shares of the short side."""
    picture = made_mark() if mark is None else mark
    done = []
    for number, below in enumerate(pictures):
        height, width = below.shape[:2]
        factor = size * min(height, width) / np.sqrt(picture.shape[0] * picture.shape[1])
        layer = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        x, y, opacity = placing(number)
        left = min(max(round(x * width - layer.shape[1] / 2), 0), width - layer.shape[1])
        top = min(max(round(y * height - layer.shape[0] / 2), 0), height - layer.shape[0])
        place = np.s_[top : top + layer.shape[0], left : left + layer.shape[1]]
        alpha = layer[..., 3:].astype(np.float32) / 255 * opacity
        out = below.copy()
        out[place] = np.round(out[place] * (1 - alpha) + layer[..., :3] * alpha).astype(np.uint8)
        done.append(out)
    return done


def shown(pictures: Sequence[Picture], *, every_s: float = 0.5) -> list[Frame]:
    return [Frame(number * every_s, picture) for number, picture in enumerate(pictures)]


def write(path: Path, pictures: Sequence[Picture], *, fps: int = 2, crf: int = 28) -> Path:
    write_clip(path, iter(pictures), fps=fps, crf=crf)
    return path

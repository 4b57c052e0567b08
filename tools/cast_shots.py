"""Face crops of fictional people for training and measuring: rendered, then damaged as uploads are."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from monitor.cast.drawing import face_box, portrait, random_shot
from monitor.cast.people import Person, look_alike, person

SIDE_PX = 144
CROP_PX = 96
_UNITS = 4.6
_DETECTOR_BIAS = np.array([0.03, -0.09, 0.0, 0.04])
"""MTCNN's box against the drawn one, as shares of its width; measured over 200 portraits."""


@dataclass(frozen=True, slots=True)
class Cached:
    """A rendered shot before damage: `image` (144, 144, 3) uint8 and where a detector would see the face."""

    image: NDArray[np.uint8]
    box: NDArray[np.float32]


def identity(index: int, *, base: int) -> Person:
    """Even indices are people of their own, each odd one is the look-alike of the one before."""
    seed = base + index // 2
    return person(seed) if index % 2 == 0 else look_alike(person(seed), seed)


def render(who: Person, rng: np.random.Generator) -> Cached:
    """One shot of a person, with some room around the face."""
    shot = replace(random_shot(rng), x=0.5, y=0.5 - 0.2 / _UNITS, scale=1 / _UNITS)
    box = np.array(face_box(who, shot, (SIDE_PX, SIDE_PX)))
    box = box + _DETECTOR_BIAS * (box[2] - box[0])
    return Cached(portrait(who, shot, (SIDE_PX, SIDE_PX)), box.astype(np.float32))


def clean(shot: Cached, rng: np.random.Generator, *, jitter: float = 0.35) -> NDArray[np.uint8]:
    """The crop an encoder gets, (96, 96, 3), with a detector's usual inaccuracy and nothing else wrong."""
    return _crop(shot, rng, jitter=jitter, tilt_deg=0.0)


def damaged(shot: Cached, rng: np.random.Generator) -> NDArray[np.uint8]:
    """The crop of a copy: moved, mirrored, recoloured, shrunk, compressed, captioned."""
    image = _crop(shot, rng, jitter=1.0, tilt_deg=float(rng.normal(0, 4)))
    if rng.uniform() < 0.3:
        image = np.ascontiguousarray(image[:, ::-1])
    if rng.uniform() < 0.7:
        gain = rng.normal(1, 0.12) * (1 + rng.normal(0, 0.05, 3))
        table = np.clip((np.arange(256)[:, None] / 255) ** np.exp(rng.normal(0, 0.15)) * gain * 255 + rng.normal(0, 8), 0, 255)
        image = cv2.LUT(image, table.astype(np.uint8)[None])
    if rng.uniform() < 0.15:
        _bar(image, rng)
    if rng.uniform() < 0.45:
        small = int(rng.integers(28, 90))
        image = cv2.resize(
            cv2.resize(image, (small, small), interpolation=cv2.INTER_AREA), (CROP_PX, CROP_PX), interpolation=cv2.INTER_LINEAR
        )
    if rng.uniform() < 0.2:
        image = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.5, 1.6)))
    if rng.uniform() < 0.2:
        image = np.clip(image + rng.normal(0, rng.uniform(2, 10), image.shape), 0, 255).astype(np.uint8)
    if rng.uniform() < 0.5:
        _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(12, 85))])
        image = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
    return image


def _crop(shot: Cached, rng: np.random.Generator, *, jitter: float, tilt_deg: float) -> NDArray[np.uint8]:
    x0, y0, x1, y1 = (float(value) for value in shot.box)
    side = 1.6 * max(x1 - x0, y1 - y0) * float(np.exp(rng.normal(0, 0.07 * jitter)))
    x, y = np.array([(x0 + x1) / 2, (y0 + y1) / 2]) + rng.normal(0, 0.035 * jitter, 2) * side
    turn = cv2.getRotationMatrix2D((x, y), tilt_deg, CROP_PX / side)
    turn[:, 2] += (CROP_PX / 2 - x, CROP_PX / 2 - y)
    crop: NDArray[np.uint8] = cv2.warpAffine(
        shot.image, turn, (CROP_PX, CROP_PX), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    ).astype(np.uint8)
    return crop


def _bar(image: NDArray[np.uint8], rng: np.random.Generator) -> None:
    high = int(rng.integers(6, 22))
    top = CROP_PX - high if rng.uniform() < 0.8 else 0
    image[top : top + high] = rng.integers(0, 256, 3)
    for _ in range(int(rng.integers(0, 8))):
        x = int(rng.integers(CROP_PX))
        image[top + high // 3 : top + 2 * high // 3, x : x + int(rng.integers(2, 12))] = rng.integers(0, 256, 3)

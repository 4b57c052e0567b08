"""Portraits are reproducible, obey the shot, and hold faces that a detector made for real ones finds."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from monitor.cast.drawing import Shot, backdrop, face_box, portrait, random_shot
from monitor.cast.people import look_alike, person

if TYPE_CHECKING:
    from facenet_pytorch import MTCNN

Box = tuple[float, float, float, float]
SIZE = (240, 240)


@pytest.fixture(scope="module")
def detector() -> MTCNN:
    from facenet_pytorch import MTCNN  # here: it loads torch

    return MTCNN(keep_all=True)


def overlap(a: Box, b: Box) -> float:
    wide, high = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(0.0, wide) * max(0.0, high)
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def found(detector: MTCNN, seed: int, shot: Shot) -> bool:
    who = person(seed)
    boxes, _ = detector.detect(portrait(who, shot, SIZE))
    return boxes is not None and any(overlap(tuple(box), face_box(who, shot, SIZE)) > 0.5 for box in boxes)


def test_equal_arguments_give_equal_pixels() -> None:
    shot = random_shot(np.random.default_rng(3))
    first, again = (portrait(person(1), shot, (120, 160)) for _ in range(2))
    assert first.shape == (120, 160, 3)
    assert first.dtype == np.uint8
    assert np.array_equal(first, again)


def test_a_look_alike_is_drawn_differently_in_the_same_shot() -> None:
    who, shot = person(5), Shot(noise=0)
    assert np.abs(portrait(who, shot).astype(int) - portrait(look_alike(who, 1), shot)).mean() > 1


@pytest.mark.parametrize(
    "change", [{"yaw": 20.0}, {"pitch": 10.0}, {"roll": 12.0}, {"mouth": 1.0}, {"blink": 1.0}, {"light_x": 1.0}, {"place": 9}]
)
def test_each_circumstance_shows(change: dict[str, float]) -> None:
    still = Shot(noise=0)
    assert np.abs(portrait(person(8), replace(still, **change), SIZE).astype(int) - portrait(person(8), still, SIZE)).max() > 40  # type: ignore[arg-type]


def test_a_detector_finds_frontal_faces(detector: MTCNN) -> None:
    rng = np.random.default_rng(1)
    assert sum(found(detector, 1000 + n, random_shot(rng, turn=0)) for n in range(32)) >= 31


def test_a_detector_finds_most_turned_faces(detector: MTCNN) -> None:
    rng = np.random.default_rng(2)
    assert sum(found(detector, 1000 + n, random_shot(rng)) for n in range(32)) >= 29


def test_a_detector_finds_nobody_in_an_empty_room(detector: MTCNN) -> None:
    assert all(detector.detect(backdrop(place, SIZE))[0] is None for place in range(8))

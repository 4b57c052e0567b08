"""Which pictures may stand for a person, and what the others are told."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from monitor.base.errors import ReferenceRefused
from monitor.cast.drawing import portrait
from monitor.cast.people import person
from monitor.cast.shot import Shot, random_shot
from monitor.vision.detectors import load_detector
from monitor.vision.faces import Detector
from monitor.vision.pictures import decode_picture
from monitor.vision.reference import examine

Picture = NDArray[np.uint8]


@pytest.fixture(scope="module")
def detector() -> Detector:
    return load_detector("mtcnn")


def drawn(seed: int, scale: float = 0.21) -> Picture:
    return portrait(person(seed), Shot(place=seed, scale=scale))


def test_accepts_portraits_of_the_cast(detector: Detector) -> None:
    """All but one or two of fifty: MTCNN misses some glasses."""
    rng = np.random.default_rng(2)
    refused = []
    for seed in range(300, 350):
        try:
            examine(portrait(person(seed), random_shot(rng, turn=0.5)), detector, source=f"person {seed}")
        except ReferenceRefused as error:
            refused.append(str(error))
    assert len(refused) <= 2, refused


def test_refuses_a_picture_of_nobody(detector: Detector) -> None:
    with pytest.raises(ReferenceRefused, match=r"garden.jpg: no face was found.*seen from the front"):
        examine(np.full((300, 300, 3), 120, dtype=np.uint8), detector, source="garden.jpg")


def test_refuses_two_people_side_by_side(detector: Detector) -> None:
    with pytest.raises(ReferenceRefused, match=r"there are 2 faces.*[Cc]ut the picture to the one person"):
        examine(np.concatenate([drawn(1), drawn(2)], axis=1), detector)


def test_ignores_a_small_bystander(detector: Detector) -> None:
    pair = np.concatenate([drawn(1, scale=0.24), drawn(2, scale=0.075)], axis=1)
    assert len(detector.detect([pair])[0]) == 2, "the bystander must be seen, or this tests nothing"
    assert examine(pair, detector).box[2] < 360


def test_refuses_a_face_of_few_pixels(detector: Detector) -> None:
    small = np.asarray(cv2.resize(drawn(3), (72, 72), interpolation=cv2.INTER_AREA), dtype=np.uint8)
    with pytest.raises(ReferenceRefused, match=r"too small \(\d+ pixels high; 48 are needed\).*full resolution"):
        examine(small, detector)


def test_refuses_a_blurred_face(detector: Detector) -> None:
    for seed in (4, 5, 6):
        blurred = np.asarray(cv2.GaussianBlur(drawn(seed), (0, 0), 7), dtype=np.uint8)
        with pytest.raises(ReferenceRefused, match=r"too blurred.*Give a sharper picture"):
            examine(blurred, detector)


def test_a_dim_picture_is_not_a_blurred_one(detector: Detector) -> None:
    dim = (drawn(7) * 0.3).astype(np.uint8)
    assert examine(dim, detector).height_px > 48


@pytest.mark.shared_data
@pytest.mark.parametrize("each", [1, pytest.param(3, marks=pytest.mark.long)])
def test_accepts_most_press_pictures(shared: Path, detector: Detector, each: int) -> None:
    """Of all 430, 399 are accepted; 29 show several people and 2 are too small. `each`: so many pictures of every person."""
    paths = [path for folder in sorted((shared / "faces").iterdir()) for path in sorted(folder.glob("*.jpg"))[:each]]
    refused: list[str] = []
    for path in paths:
        try:
            examine(decode_picture(path), detector, source=path.name)
        except ReferenceRefused as error:
            refused.append(error.reason)
    assert len(paths) > 66 * each
    assert len(refused) < 0.1 * len(paths), refused
    assert any("faces in it" in reason for reason in refused)
    assert not any("blurred" in reason or "no face" in reason for reason in refused)

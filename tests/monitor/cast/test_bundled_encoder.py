"""The bundled encoder is what its manifest says, and tells apart people it was not trained on, as scanned: detected, cropped, encoded."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import monitor.vision
from monitor.cast.drawing import portrait, random_shot
from monitor.cast.people import Person, person
from monitor.cast.roster import EVERYBODY, LOOK_ALIKE, MOURNED
from monitor.cast.shot import Shot
from monitor.vision.detectors import load_detector
from monitor.vision.encoder import Encoder, load_encoder
from monitor.vision.faces import Detector, face_crop

BUNDLED = Path(monitor.vision.__file__).parent / "bundled"
SHOTS = 4
Vectors = NDArray[np.float32]


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return load_encoder("bundled", threads=1)


@pytest.fixture(scope="module")
def detector() -> Detector:
    return load_detector("mtcnn")


def vectors(encoder: Encoder, detector: Detector, people: list[Person], shots: list[Shot]) -> Vectors:
    """Rows of one person after the other; a picture in which no face is found is encoded whole."""
    pictures = [portrait(who, shot, (200, 200)) for who in people for shot in shots]
    found = detector.detect(pictures)
    return encoder.encode([face_crop(picture, faces[0]) if faces else picture for picture, faces in zip(pictures, found, strict=True)])


def test_manifest_names_the_weights() -> None:
    manifest = json.loads((BUNDLED / "manifest.json").read_text())
    weights = (BUNDLED / manifest["weights"]).read_bytes()
    assert hashlib.sha256(weights).hexdigest() == manifest["sha256"]
    assert len(weights) <= 8_000_000
    assert (BUNDLED / manifest["config"]).exists()


@pytest.mark.parametrize("people", [20, pytest.param(60, marks=pytest.mark.long)])
def test_unseen_people_are_told_apart(encoder: Encoder, detector: Detector, people: int) -> None:
    rng = np.random.default_rng(12)
    rows = vectors(encoder, detector, [person(30_000_000 + n) for n in range(people)], [random_shot(rng) for _ in range(SHOTS)])
    cosine = rows @ rows.T
    who = np.repeat(np.arange(people), SHOTS)
    same, itself = who[:, None] == who[None], np.eye(len(rows), dtype=bool)
    genuine, impostors = cosine[same & ~itself], cosine[~same]
    places = np.searchsorted(np.sort(impostors), genuine)
    assert places.mean() / len(impostors) > 0.998
    nearest = np.where(itself, -1.0, cosine).argmax(axis=1)
    assert np.mean(who[nearest] == who) > 0.95


def test_the_cast_is_pairwise_separate(encoder: Encoder, detector: Detector) -> None:
    shots = [Shot(), Shot(yaw=12, light_x=0.6, smile=0.1, place=3), Shot(yaw=-10, pitch=4, mouth=0.6, place=7)]
    rows = vectors(encoder, detector, [member.person for member in EVERYBODY], shots)
    cosine = (rows @ rows.T).reshape(len(EVERYBODY), len(shots), len(EVERYBODY), len(shots))
    for i, member in enumerate(EVERYBODY):
        own = cosine[i, :, i][~np.eye(len(shots), dtype=bool)].min()
        others = np.delete(cosine[i], i, axis=1).max()
        assert own > others, member.name


def test_the_look_alike_is_near_but_not_the_singer(encoder: Encoder, detector: Detector) -> None:
    rows = vectors(encoder, detector, [MOURNED[0].person, LOOK_ALIKE.person, MOURNED[1].person], [Shot(), Shot(yaw=10, place=2)])
    herself, sister, stranger = rows[0] @ rows[1], rows[0] @ rows[2], rows[0] @ rows[4]
    assert herself - 0.1 > sister > stranger

"""May this picture stand for a person? One clear face, large and sharp enough to tell people apart.

The limits were set on 430 press pictures and 200 drawings of the cast, and on blurred copies of both.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from monitor.base.errors import ReferenceRefused
from monitor.vision.alignment import align
from monitor.vision.faces import Detector, Face

MIN_FACE_PX = 48
MIN_EYE_DISTANCE_PX = 16
MIN_SHARPNESS = 0.6

BYSTANDER_SHARE = 0.4
"""Other faces lower than this share of the largest one's height are bystanders, and do not matter."""

BYSTANDER_CONFIDENCE = 0.85
"""Nor do those the detector is less sure of."""

_INNER = (slice(16, 104), slice(16, 96))  # of the aligned face: brows to mouth, without background


def examine(image: NDArray[np.uint8], detector: Detector, *, source: str = "the picture") -> Face:
    """The one face of an RGB uint8 picture that may serve as a reference; `source` names it in errors.

    Raises `ReferenceRefused` if there is no face, more than one, or one too small, turned away or blurred.
    """
    faces = detector.detect([image])[0]
    if not faces:
        raise ReferenceRefused(
            source,
            "no face was found in it",
            "Give a picture in which the face is seen from the front and fills at least a fifth of the height",
        )
    main, *others = faces
    rivals = [face for face in others if _rivals(face, main)]
    if rivals:
        raise ReferenceRefused(
            source,
            f"there are {1 + len(rivals)} faces in it, and nothing says whose picture it is",
            "Cut the picture to the one person, or give another picture",
        )
    if main.height_px < MIN_FACE_PX:
        raise ReferenceRefused(
            source,
            f"the face is too small ({main.height_px:.0f} pixels high; {MIN_FACE_PX} are needed)",
            "Give the picture in its full resolution, or a closer one; enlarging it does not help",
        )
    if main.eye_distance_px < MIN_EYE_DISTANCE_PX:
        raise ReferenceRefused(
            source,
            f"the face is too small or turned away (eyes {main.eye_distance_px:.0f} pixels apart; {MIN_EYE_DISTANCE_PX} are needed)",
            "Give a closer picture that shows both eyes",
        )
    if (sharp := sharpness(image, main)) < MIN_SHARPNESS:
        raise ReferenceRefused(
            source,
            f"the face is too blurred (sharpness {sharp:.2f}; {MIN_SHARPNESS:g} is needed)",
            "Give a sharper picture, or the original in place of a compressed copy",
        )
    return main


def sharpness(image: NDArray[np.uint8], face: Face) -> float:
    """Variance of the Laplacian over the standard deviation of the grey values, on the aligned face.

    Alignment makes it independent of the picture's size, and the division lets dark and pale faces pass alike.
    Pictures as published score 1.6 and more (1st percentile); blurred by 8 % of the eye distance, 95 in 100 stay below 0.5.
    """
    grey = cv2.cvtColor(align(image, face.landmarks, repeat_edge=True), cv2.COLOR_RGB2GRAY).astype(np.float32)[_INNER]
    return float(cv2.Laplacian(grey, cv2.CV_32F).var() / max(1.0, float(grey.std())))


def _rivals(other: Face, main: Face) -> bool:
    return other.height_px >= BYSTANDER_SHARE * main.height_px and other.confidence >= BYSTANDER_CONFIDENCE

"""A face turned upright and to one size: the five-point alignment of ArcFace.

Deng et al.: "ArcFace", 2019, for the template; Umeyama: "Least-squares estimation of transformation
parameters between two point patterns", 1991, for the transform.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

SIZE_PX = 112
"""Side of an aligned face."""

TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]],
    dtype=np.float64,
)
"""Where left eye, right eye, nose and mouth corners come to lie, in pixels of the aligned face."""


def similarity(landmarks: NDArray[np.floating]) -> NDArray[np.float64]:
    """The (2, 3) matrix of rotation, uniform scale and shift that brings (5, 2) landmarks closest to the template.

    Closed form, hence deterministic; never a reflection. Five equal points give a matrix of zero scale.
    """
    points = np.asarray(landmarks, dtype=np.float64)
    centre, target = points.mean(axis=0), TEMPLATE.mean(axis=0)
    centred = points - centre
    u, stretch, vt = np.linalg.svd((TEMPLATE - target).T @ centred)
    keep = np.array([1.0, np.sign(np.linalg.det(u @ vt))])
    spread = float((centred**2).sum())
    scale = float(stretch @ keep) / spread if spread > 0 else 0.0
    turn = scale * (u * keep) @ vt
    return np.column_stack([turn, target - turn @ centre])


def align(image: NDArray[np.uint8], landmarks: NDArray[np.floating], *, repeat_edge: bool = False) -> NDArray[np.uint8]:
    """The face as (112, 112, 3) uint8; beyond the picture black, as ArcFace is trained, or its edge repeated.

    Faces more than twice the template's size are averaged down first, so that a face looks alike in a
    large picture and in a small one.
    """
    matrix = similarity(landmarks)
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    if 0.0 < scale < 0.5:
        height, width = image.shape[:2]
        size = (max(1, round(width * 2 * scale)), max(1, round(height * 2 * scale)))
        shrunk = np.array([size[0] / width, size[1] / height])
        # Pixel centres: the middle of the first pixel lies at 0, so shrinking moves points by half a pixel.
        matrix = similarity((np.asarray(landmarks, dtype=np.float64) + 0.5) * shrunk - 0.5)
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    border = cv2.BORDER_REPLICATE if repeat_edge else cv2.BORDER_CONSTANT
    aligned = cv2.warpAffine(image, matrix, (SIZE_PX, SIZE_PX), flags=cv2.INTER_LINEAR, borderMode=border)
    return np.asarray(aligned, dtype=np.uint8)

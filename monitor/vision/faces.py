"""Faces in pictures: what a detector answers, and the crop an encoder sees.

Pictures are RGB uint8 (h, w, 3). Coordinates are pixels of the picture given, x to the right, y down.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

SMALLEST_FACE_SHARE = 0.1
"""Faces lower than this share of the picture's short side are not searched for: their pixels tell nobody apart."""

SMALLEST_FACE_PX = 20
"""Nor are faces lower than this, in any picture."""


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """One face: `box` is (x0, y0, x1, y1), inside the picture; `confidence` is the detector's own, 0 to 1.

    `landmarks` is float32 (5, 2): left eye, right eye, nose, left and right mouth corner, as seen in the
    picture (the left eye is the subject's right one). They may lie outside the box, or outside the picture.
    """

    box: tuple[float, float, float, float]
    landmarks: NDArray[np.float32]
    confidence: float

    @property
    def width_px(self) -> float:
        return self.box[2] - self.box[0]

    @property
    def height_px(self) -> float:
        return self.box[3] - self.box[1]

    @property
    def eye_distance_px(self) -> float:
        return float(np.linalg.norm(self.landmarks[1] - self.landmarks[0]))


class Detector(Protocol):
    """Finds faces. Deterministic, thread-safe, and indifferent to how pictures are batched."""

    @property
    def id(self) -> str:
        """Name, version and weights; it changes whenever the same picture may get other faces."""

    def detect(self, images: Sequence[NDArray[np.uint8]]) -> list[list[Face]]:
        """One list per picture, in order, the largest face first; empty where there is no face.

        Pictures may differ in size. Faces lower than `smallest_face_px` of their picture may be missed.
        """


def smallest_face_px(height: int, width: int) -> int:
    """The lowest face searched for in a picture of this size."""
    return max(SMALLEST_FACE_PX, round(SMALLEST_FACE_SHARE * min(height, width)))


def faces_from_arrays(
    boxes: NDArray[np.float32], landmarks: NDArray[np.float32], confidences: NDArray[np.float32], *, height: int, width: int
) -> list[Face]:
    """Faces of one (height, width) picture from a network's (n, 4), (n, 5, 2) and (n,) answers: clipped, largest first."""
    corners = np.clip(boxes, 0.0, np.array([width, height, width, height], dtype=np.float32))
    sizes = corners[:, 2:] - corners[:, :2]
    order = np.argsort(-sizes.prod(axis=1), kind="stable")
    return [
        Face(
            box=(float(corners[i, 0]), float(corners[i, 1]), float(corners[i, 2]), float(corners[i, 3])),
            landmarks=np.array(landmarks[i], dtype=np.float32),
            confidence=float(confidences[i]),
        )
        for i in order
        if sizes[i].min() >= 1.0
    ]


def face_crop(image: NDArray[np.uint8], face: Face, margin: float = 0.3) -> NDArray[np.uint8]:
    """A square around the face's centre, the box's longer side widened by `margin` at each end.

    Beyond the picture its edge is repeated, so the face keeps its place and proportion in every crop.
    """
    height, width = image.shape[:2]
    x0, y0, x1, y1 = face.box
    side = max(1, round(max(x1 - x0, y1 - y0) * (1 + 2 * margin)))
    left, top = round((x0 + x1 - side) / 2), round((y0 + y1 - side) / 2)
    rows = np.clip(np.arange(top, top + side), 0, height - 1)
    columns = np.clip(np.arange(left, left + side), 0, width - 1)
    return image[rows[:, None], columns]

"""YuNet, a detector from one ONNX file, run by OpenCV.

Wu, Peng, Yu: "YuNet: A Tiny Millisecond-level Face Detector", 2023.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from monitor.base.errors import ModelError
from monitor.vision.faces import Face, faces_from_arrays

_SCORE = 0.7
_NMS_OVERLAP = 0.3
_MAX_CANDIDATES = 200
_MAX_SIDE_PX = 640  # faces of some 600 px and more are missed; shrunk ones are found
_MIN_SIDE_PX = 10
_HOW_TO_GET_IT = (
    "Set SOSIE_FACE_DETECTOR to a YuNet file (`face_detection_yunet_2023mar.onnx` of OpenCV's model zoo, "
    "or `yunet_n_dynamic.onnx` of libfacedetection.train), or to `mtcnn`"
)


class YuNet:
    """A `Detector`: 13 ms of CPU per 640x360 picture. Larger pictures are shrunk to 640 px before the search."""

    def __init__(self, path: Path) -> None:
        try:
            weights = path.read_bytes()
        except OSError as error:
            raise ModelError(path, f"cannot be read: {error.strerror}", _HOW_TO_GET_IT) from error
        self._lock = threading.Lock()
        try:
            self._network = cv2.FaceDetectorYN.create(
                "onnx",
                np.frombuffer(weights, dtype=np.uint8),
                np.empty(0, dtype=np.uint8),
                (320, 320),
                score_threshold=_SCORE,
                nms_threshold=_NMS_OVERLAP,
                top_k=_MAX_CANDIDATES,
            )
            self.detect([np.zeros((320, 320, 3), dtype=np.uint8)])
        except cv2.error as error:
            raise ModelError(path, "is not a YuNet face detector that OpenCV can run", _HOW_TO_GET_IT) from error
        self._id = f"yunet opencv-{cv2.__version__} {hashlib.sha256(weights).hexdigest()} score {_SCORE:g}"

    @property
    def id(self) -> str:
        return self._id

    def detect(self, images: Sequence[NDArray[np.uint8]]) -> list[list[Face]]:
        return [self._detect(image) for image in images]

    def _detect(self, image: NDArray[np.uint8]) -> list[Face]:
        height, width = image.shape[:2]
        if min(height, width) < _MIN_SIDE_PX:
            return []
        shrink = min(1.0, _MAX_SIDE_PX / max(height, width))
        searched = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2BGR), dtype=np.uint8)
        if shrink < 1.0:
            size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
            searched = np.asarray(cv2.resize(searched, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
        with self._lock:
            self._network.setInputSize((searched.shape[1], searched.shape[0]))
            _, rows = self._network.detect(searched)
        if rows is None:
            return []
        scale = np.array([width / searched.shape[1], height / searched.shape[0]], dtype=np.float32)
        corners = np.concatenate([rows[:, :2], rows[:, :2] + rows[:, 2:4]], axis=1) * np.tile(scale, 2)
        landmarks = rows[:, 4:14].reshape(-1, 5, 2) * scale
        return faces_from_arrays(corners, landmarks, rows[:, 14], height=height, width=width)

"""Which face detectors there are. Each is imported when asked for, because MTCNN brings torch and YuNet does not."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from monitor.vision.faces import Detector


def load_detector(setting: Literal["mtcnn"] | Path) -> Detector:
    """The detector that `SOSIE_FACE_DETECTOR` names: `mtcnn`, or the ONNX file of a YuNet. Raises `ModelError`."""
    if isinstance(setting, Path):
        from monitor.vision.yunet import YuNet

        return YuNet(setting)
    from monitor.vision.mtcnn import Mtcnn

    return Mtcnn()

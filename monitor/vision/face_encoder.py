"""A face-recognition network from one ONNX file: aligned faces to unit vectors.

The file takes float32 (1 or n, 3, 112, 112) and answers (n, dim), as ArcFace and its kin do. How pixels are
scaled stands in no such file, so it is, first found first taken:

    FILE.json    beside FILE.onnx: {"mean": [127.5, 127.5, 127.5], "std": [127.5, 127.5, 127.5], "channel_order": "rgb"}
    known files  by SHA-256, below
    otherwise    insightface's way: RGB, (value - 127.5) / 127.5

`mean` and `std` apply to values of 0 to 255.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from indexes.space import Space
from monitor.base.errors import ModelError
from monitor.vision.alignment import SIZE_PX, align
from monitor.vision.faces import Face

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

_BATCH = 32
_ALIGNMENT = f"arcface five points {SIZE_PX}"
_NEEDED = f"SOSIE_FACE_ENCODER takes an ArcFace-like ONNX file: one float32 input (n, 3, {SIZE_PX}, {SIZE_PX}), one output (n, dim)"
_MANNERS = '{"mean": [127.5, 127.5, 127.5], "std": [127.5, 127.5, 127.5], "channel_order": "rgb"}'


@dataclass(frozen=True, slots=True)
class Scaling:
    """The scaling of pixels: the network sees (value - mean) / std of each channel, values 0 to 255, channels in this order."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    channel_order: Literal["rgb", "bgr"] = "rgb"


INSIGHTFACE = Scaling(mean=(127.5, 127.5, 127.5), std=(127.5, 127.5, 127.5))
IMAGENET = Scaling(mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375))

KNOWN = {
    # foamliu/MobileFaceNet, weights/MobileFaceNet.onnx
    "b7120c095d60094f28a4a54ba6a8bf51b297a6273fb40ef6350dfec1f63d9507": IMAGENET,
}
"""Scalings of published files, by SHA-256."""


class FaceEncoder:
    """Faces to unit vectors. Made by `load_face_encoder`; thread-safe."""

    def __init__(self, session: InferenceSession, scaling: Scaling, space: Space, *, batch: int) -> None:
        self.space = space
        self._session = session
        self._input = session.get_inputs()[0].name
        self._output = session.get_outputs()[0].name
        self._scaling = scaling
        self._batch = batch

    def encode(self, images: Sequence[NDArray[np.uint8]], faces: Sequence[Face]) -> NDArray[np.float32]:
        """The vectors of faces, float32 (n, dim), rows of length 1: `faces[i]` lies in the RGB uint8 picture `images[i]`.

        A picture may occur several times. No faces, no rows. Unequal lengths are a `ValueError`.
        """
        aligned = [align(image, face.landmarks) for image, face in zip(images, faces, strict=True)]
        rows = np.empty((len(aligned), self.space.dim), dtype=np.float32)
        for start in range(0, len(aligned), self._batch):
            batch = np.stack(aligned[start : start + self._batch])
            (answer,) = self._session.run([self._output], {self._input: _scaled(batch, self._scaling)})
            rows[start : start + len(batch)] = answer
        lengths: NDArray[np.float32] = np.linalg.norm(rows, axis=1, keepdims=True)
        return np.divide(rows, np.maximum(lengths, np.finfo(np.float32).tiny), dtype=np.float32)


def load_face_encoder(path: Path, threads: int = 1) -> FaceEncoder:
    """The face encoder of an ONNX file, on the CPU with so many threads.

    Raises `ModelError` if onnxruntime is not installed, the file is not such a network, or its sidecar is wrong.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise ModelError(path, "ONNX Runtime is not installed", "Run `pip install 'sosie[onnx]'`, or unset SOSIE_FACE_ENCODER") from error

    try:
        weights = path.read_bytes()
    except OSError as error:
        raise ModelError(path, f"cannot be read: {error.strerror}", "Put the file there, or correct SOSIE_FACE_ENCODER") from error
    sha256 = hashlib.sha256(weights).hexdigest()
    scaling = _sidecar(path.with_suffix(".json")) or KNOWN.get(sha256, INSIGHTFACE)

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(weights, options, providers=["CPUExecutionProvider"])
        batch = _batch_of(session)
        black = np.zeros((1, SIZE_PX, SIZE_PX, 3), dtype=np.uint8)
        probe = np.asarray(session.run(None, {session.get_inputs()[0].name: _scaled(black, scaling)})[0])
    except Exception as error:  # ONNX Runtime raises a dozen unrelated types for a file it does not like
        raise ModelError(path, f"does not run as a face encoder: {_first_line(error)}", _NEEDED) from error
    if probe.ndim != 2 or probe.shape[0] != 1 or not np.isfinite(probe).all():
        raise ModelError(path, f"answers {probe.shape} instead of one finite vector per face", _NEEDED)
    preprocessing = json.dumps(asdict(scaling) | {"alignment": _ALIGNMENT}, sort_keys=True, separators=(",", ":"))
    return FaceEncoder(session, scaling, Space(path.stem, sha256, preprocessing, probe.shape[1]), batch=batch)


def _batch_of(session: InferenceSession) -> int:
    """How many faces go in at once: the number the file fixes, which must be 1, or else our own."""
    inputs = session.get_inputs()
    shape = list(inputs[0].shape)
    wanted = [3, SIZE_PX, SIZE_PX]
    fits = len(shape) == 4 and all(given == want or not isinstance(given, int) for given, want in zip(shape[1:], wanted, strict=True))
    if len(inputs) != 1 or not fits or inputs[0].type != "tensor(float)":
        raise ValueError(f"its input is {inputs[0].type} {shape}")
    if not isinstance(shape[0], int):
        return _BATCH
    if shape[0] != 1:
        raise ValueError(f"it takes exactly {shape[0]} faces at a time")
    return 1


def _scaled(aligned: NDArray[np.uint8], scaling: Scaling) -> NDArray[np.float32]:
    """(n, h, w, 3) RGB uint8 to (n, 3, h, w) float32."""
    ordered = aligned if scaling.channel_order == "rgb" else aligned[..., ::-1]
    values = (ordered.astype(np.float32) - np.array(scaling.mean, dtype=np.float32)) / np.array(scaling.std, dtype=np.float32)
    return np.ascontiguousarray(values.transpose(0, 3, 1, 2))


def _sidecar(path: Path) -> Scaling | None:
    try:
        given: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        mean, std, order = given["mean"], given["std"], given.get("channel_order", "rgb")
        if order not in ("rgb", "bgr"):
            raise ValueError(f"channel_order {order!r} is neither rgb nor bgr")
        scaling = Scaling((float(mean[0]), float(mean[1]), float(mean[2])), (float(std[0]), float(std[1]), float(std[2])), order)
        if min(scaling.std) <= 0:
            raise ValueError("std is not positive")
        if 0 < max(scaling.mean) <= 1:
            raise ValueError("mean and std are of values 0 to 1; multiply both by 255")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        reason = f"the key {error} is missing" if isinstance(error, KeyError) else str(error)
        raise ModelError(path, f"does not tell how to scale pixels: {reason}", f"It must read like {_MANNERS}") from error
    return scaling


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]

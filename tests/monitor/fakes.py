"""Fingerprints with made-up vectors, for tests of what comes after the networks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from indexes.space import Space
from monitor.provenance.types import AI, Provenance, State
from monitor.scan.fingerprint import Fingerprint, SeenFace

DIM = 64
CLIP = Space("toy clip", "0" * 64, "crop", DIM)
ALIGNED = Space("toy faces", "1" * 64, "aligned", DIM)


def unit(rows: NDArray[np.float64]) -> NDArray[np.float32]:
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def identity(seed: int) -> NDArray[np.float32]:
    return unit(np.random.default_rng(seed).standard_normal(DIM))


def near(person: NDArray[np.float32], likeness: float, seed: int) -> NDArray[np.float32]:
    """A unit vector whose cosine to `person` is `likeness`."""
    noise = np.random.default_rng(10_000 + seed).standard_normal(DIM)
    noise -= (noise @ person) * person
    return unit(likeness * person + np.sqrt(1 - likeness**2) * noise / np.linalg.norm(noise))


def fingerprint(
    faces: Sequence[tuple[int, Sequence[NDArray[np.float32]]]],
    *,
    times_s: Sequence[float],
    spaces: Sequence[Space] = (CLIP,),
    duration_s: float = 10.0,
    sha256: str = "a" * 64,
) -> Fingerprint:
    """`faces` are (frame, one vector per space)."""
    return Fingerprint(
        sha256=sha256,
        size_bytes=1,
        duration_s=duration_s,
        truncated_at_s=None,
        provenance=Provenance(State.ABSENT, AI.UNKNOWN, "none"),
        makers="toy",
        times_s=tuple(times_s),
        frame_vectors=unit(np.ones((len(times_s), DIM))),
        faces=tuple(SeenFace(frame, (0.1, 0.1, 0.2, 0.2), 0.99) for frame, _ in faces),
        face_spaces=tuple(spaces),
        face_vectors=tuple(
            np.stack([vectors[i] for _, vectors in faces]) if faces else np.empty((0, DIM), np.float32) for i in range(len(spaces))
        ),
    )

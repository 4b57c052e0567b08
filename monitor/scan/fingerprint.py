"""Fingerprints: what is kept of a video. `monitor.scan.fingerprinter` makes them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from indexes.space import Space
from monitor.provenance.types import Provenance
from monitor.vision.marks import NO_MARKS
from monitor.vision.watermark import Sighting

Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class SeenFace:
    """A face in a sampled frame: index into `Fingerprint.times_s`, box in fractions of the picture."""

    frame: int
    box: tuple[float, float, float, float]
    confidence: float


@dataclass(frozen=True, eq=False)
class Fingerprint:
    """What is kept of a video. `frame_vectors` `(len(times_s), dim)`; `face_vectors` one `(len(faces), dim)` per space of `face_spaces`.

    `marks` are the visible marks seen, the surest first, of the templates of version `watermarks`.
    """

    sha256: str
    size_bytes: int
    duration_s: float
    truncated_at_s: float | None
    provenance: Provenance
    makers: str
    times_s: tuple[float, ...]
    frame_vectors: Vectors
    faces: tuple[SeenFace, ...]
    face_spaces: tuple[Space, ...]
    face_vectors: tuple[Vectors, ...]
    watermarks: str = NO_MARKS
    marks: tuple[Sighting, ...] = ()

    def faces_in(self, space: Space) -> Vectors:
        """The face vectors of one space. Raises `SpaceMismatch` if the fingerprint has none of it."""
        for held, vectors in zip(self.face_spaces, self.face_vectors, strict=True):
            if held == space:
                return vectors
        space.require(self.face_spaces[0], holder=f"fingerprint {self.sha256[:12]}")
        raise AssertionError("unreachable: require raises")

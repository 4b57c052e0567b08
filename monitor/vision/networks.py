"""The networks that look at pixels, held together: which they are, and what their vectors are called."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from indexes.space import Space
from monitor.vision.encoder import Encoder
from monitor.vision.face_encoder import FaceEncoder
from monitor.vision.faces import Detector, Face, face_crop

Vectors = NDArray[np.float32]

_FORMAT = 1  # of the sampling and of what is kept; a change makes old fingerprints unknown
_CROP_MARGIN = 0.3


@dataclass(frozen=True)
class Models:
    """The networks that look at pixels. Thread-safe, but two at once on the same cores only slow one another down."""

    detector: Detector
    encoder: Encoder
    face_encoder: FaceEncoder | None = None
    crop_space: Space = field(init=False)

    def __post_init__(self) -> None:
        crop = f"face crop, margin {_CROP_MARGIN}, by {self.detector.id}; {self.encoder.space.preprocessing}"
        object.__setattr__(self, "crop_space", replace(self.encoder.space, preprocessing=crop))

    @property
    def face_spaces(self) -> tuple[Space, ...]:
        """The spaces of face vectors, CLIP's crops first."""
        return (self.crop_space,) if self.face_encoder is None else (self.crop_space, self._aligned_space(self.face_encoder))

    def _aligned_space(self, encoder: FaceEncoder) -> Space:
        return replace(encoder.space, preprocessing=f"landmarks by {self.detector.id}; {encoder.space.preprocessing}")

    @property
    def id(self) -> str:
        """The makers of a fingerprint together, as 16 hex digits."""
        text = f"{_FORMAT}|{self.detector.id}|{self.encoder.space.id}|" + "|".join(space.id for space in self.face_spaces)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def version(self) -> str:
        """The makers of a fingerprint for people: the encoders by name and weights, and the beginning of `id`."""
        spaces = (self.encoder.space, *self.face_spaces[1:])
        return f"{' + '.join(f'{space.model}@{space.weights_sha256[:8]}' for space in spaces)} #{self.id[:8]}"

    def embed_faces(self, images: Sequence[NDArray[np.uint8]], faces: Sequence[Face]) -> tuple[Vectors, ...]:
        """One vector per face and space, `(n, dim)` each; `images[i]` is the picture of `faces[i]`."""
        crops = [face_crop(image, face, _CROP_MARGIN) for image, face in zip(images, faces, strict=True)]
        rows = (self.encoder.encode(crops),)
        return rows if self.face_encoder is None else (*rows, self.face_encoder.encode(images, faces))

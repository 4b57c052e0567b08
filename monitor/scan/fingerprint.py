"""video → fingerprint: what is kept of a video, made in bounded memory for any length.

Untrusted bytes are touched only inside the sandbox (provenance, decoding); the networks see decoded pixels here.
Frames stream through in chunks and are forgotten; vectors stay. Deterministic for given bytes and models.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from indexes.space import Space
from monitor.base.metrics import Metrics
from monitor.intake.sandbox import Sandbox
from monitor.provenance.confined import check_confined
from monitor.provenance.trust import TrustLists
from monitor.provenance.types import Provenance
from monitor.vision.faces import Face
from monitor.vision.frames import Chunk, Cursor, SampleOptions, sample
from monitor.vision.marks import NO_MARKS, NOTHING, TemplateSet
from monitor.vision.networks import Models
from monitor.vision.watermark import SEEN, Sighting, Template, Watch

Vectors = NDArray[np.float32]

_MAX_FACES = 16  # per frame, the largest: bounds the cost of crowds


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


def take(
    path: Path,
    *,
    sha256: str,
    size_bytes: int,
    source: str,
    sandbox: Sandbox,
    models: Models,
    looking: Lock,
    trust: TrustLists,
    options: SampleOptions,
    metrics: Metrics,
    watermarks: TemplateSet = NOTHING,
) -> Fingerprint:
    """Make the fingerprint of the video at `path`; `looking` is held while the networks work.

    Raises what the sandbox raises: `NotAVideo`, `UnreadableMedia`, `TooLarge`, `DecoderDied`, `DecoderTimeout`.
    """
    with metrics.stage("provenance"):
        provenance = check_confined(sandbox, path, trust, source=source)
    times: list[float] = []
    frame_vectors: list[Vectors] = [np.empty((0, models.encoder.space.dim), np.float32)]
    faces: list[SeenFace] = []
    face_vectors: list[tuple[Vectors, ...]] = [tuple(np.empty((0, space.dim), np.float32) for space in models.face_spaces)]
    duration_s, truncated_at_s = 0.0, None
    watch = Watch(watermarks.templates)
    for chunk in _chunks(path, source, sandbox, options, metrics):
        images = [frame.image for frame in chunk.frames]
        _watch(watch, chunk, metrics)
        with looking, metrics.stage("faces"):
            found = [sorted(row, key=_area, reverse=True)[:_MAX_FACES] for row in models.detector.detect(images)]
        seen = [(i, face) for i, row in enumerate(found) for face in row]
        with looking, metrics.stage("embed"):
            frame_vectors.append(models.encoder.encode(images))
            face_vectors.append(models.embed_faces([images[i] for i, _ in seen], [face for _, face in seen]))
        faces += [SeenFace(len(times) + i, _fractions(face, images[i]), face.confidence) for i, face in seen]
        times += [frame.time_s for frame in chunk.frames]
        duration_s, truncated_at_s = max(duration_s, chunk.info.duration_s or 0.0, *times), chunk.truncated_at_s
    return Fingerprint(
        sha256=sha256,
        size_bytes=size_bytes,
        duration_s=round(duration_s, 3),
        truncated_at_s=truncated_at_s,
        provenance=provenance,
        makers=models.id,
        times_s=tuple(round(time_s, 3) for time_s in times),
        frame_vectors=np.concatenate(frame_vectors),
        faces=tuple(faces),
        face_spaces=models.face_spaces,
        face_vectors=tuple(np.concatenate(rows) for rows in zip(*face_vectors, strict=True)),
        watermarks=watermarks.version,
        marks=_seen(watch.sightings(truncated_at_s or duration_s)),
    )


def with_marks(
    held: Fingerprint, path: Path, watermarks: TemplateSet, *, source: str, sandbox: Sandbox, options: SampleOptions, metrics: Metrics
) -> Fingerprint:
    """A fingerprint made under other templates, its marks looked for again; nothing else of it changes. Raises as `take` does."""
    found = look_for_marks(path, watermarks.templates, source=source, sandbox=sandbox, options=options, metrics=metrics)
    return replace(held, watermarks=watermarks.version, marks=_seen(found))


def look_for_marks(
    path: Path, templates: Sequence[Template], *, source: str, sandbox: Sandbox, options: SampleOptions, metrics: Metrics
) -> tuple[Sighting, ...]:
    """What speaks for each of these marks, the surest first, faint ones included. Without templates nothing is decoded."""
    if not templates:
        return ()
    watch, end_s = Watch(templates), 0.0
    for chunk in _chunks(path, source, sandbox, options, metrics):
        _watch(watch, chunk, metrics)
        end_s = chunk.truncated_at_s or max(end_s, chunk.info.duration_s or 0.0, *(frame.time_s for frame in chunk.frames))
    return watch.sightings(end_s)


def _watch(watch: Watch, chunk: Chunk, metrics: Metrics) -> None:
    with metrics.stage("marks"):
        watch.look(chunk.frames)


def _seen(sightings: Sequence[Sighting]) -> tuple[Sighting, ...]:
    return tuple(sighting for sighting in sightings if sighting.score >= SEEN)


def _chunks(path: Path, source: str, sandbox: Sandbox, options: SampleOptions, metrics: Metrics) -> Iterator[Chunk]:
    cursor: Cursor | None = None
    while True:
        with metrics.stage("decode"):
            chunk = sandbox.run(sample, path, cursor, options, source=source)
        yield chunk
        if (cursor := chunk.cursor) is None:
            return


def _area(face: Face) -> float:
    x0, y0, x1, y1 = face.box
    return (x1 - x0) * (y1 - y0)


def _fractions(face: Face, image: NDArray[np.uint8]) -> tuple[float, float, float, float]:
    height, width = image.shape[:2]
    x0, y0, x1, y1 = face.box
    return (round(x0 / width, 4), round(y0 / height, 4), round(x1 / width, 4), round(y1 / height, 4))

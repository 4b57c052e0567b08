"""video → fingerprint, in bounded memory for any length.

Untrusted bytes are touched only inside the sandbox (provenance, decoding); the networks see decoded pixels here.
Frames stream through in chunks and are forgotten; vectors stay. Deterministic for given bytes and models.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from monitor.base.metrics import Metrics
from monitor.intake.fetch import Fetched
from monitor.intake.sandbox import Sandbox
from monitor.provenance.confined import check_confined
from monitor.provenance.metadata import RULES
from monitor.provenance.trust import TrustLists
from monitor.scan.fingerprint import Fingerprint, SeenFace, Vectors
from monitor.vision.faces import Face
from monitor.vision.frames import Chunk, Cursor, SampleOptions, sample
from monitor.vision.marks import NOTHING, TemplateSet
from monitor.vision.networks import Models
from monitor.vision.watermark import SEEN, Sighting, Template, Watch

_MAX_FACES = 16  # per frame, the largest: bounds the cost of crowds


@dataclass(frozen=True)
class Decoding:
    """How a video becomes frames: the sandbox that decodes, which frames are sampled, and the clock on the stages. Thread-safe."""

    sandbox: Sandbox
    sampling: SampleOptions
    metrics: Metrics

    def chunks(self, path: Path, source: str) -> Iterator[Chunk]:
        """The sampled frames of the video at `path`, a bounded number at a time; `source` is what errors call the video.

        Raises what the sandbox raises: `NotAVideo`, `UnreadableMedia`, `TooLarge`, `DecoderDied`, `DecoderTimeout`.
        """
        cursor: Cursor | None = None
        while True:
            with self.metrics.stage("decode"):
                chunk = self.sandbox.run(sample, path, cursor, self.sampling, source=source)
            yield chunk
            if (cursor := chunk.cursor) is None:
                return

    def look_for_marks(self, path: Path, source: str, templates: Sequence[Template]) -> tuple[Sighting, ...]:
        """The sightings of these marks, the surest first, faint ones included. Without templates nothing is decoded."""
        if not templates:
            return ()
        watch, end_s = Watch(templates), 0.0
        for chunk in self.chunks(path, source):
            self.watch(watch, chunk)
            end_s = chunk.truncated_at_s or max(end_s, chunk.info.duration_s or 0.0, *(frame.time_s for frame in chunk.frames))
        return watch.sightings(end_s)

    def watch(self, watch: Watch, chunk: Chunk) -> None:
        """Look for marks in the frames of one chunk."""
        with self.metrics.stage("marks"):
            watch.look(chunk.frames)


@dataclass(frozen=True)
class Fingerprinter:
    """Makes fingerprints. Thread-safe: decoding of several videos overlaps, the networks serve one video at a time."""

    decoding: Decoding
    models: Models
    _looking: Lock = field(default_factory=Lock)

    def take(self, fetched: Fetched, trust: TrustLists, watermarks: TemplateSet = NOTHING) -> Fingerprint:
        """The fingerprint of a fetched video, its provenance judged by `trust`. Raises as `Decoding.chunks` does."""
        metrics, models = self.decoding.metrics, self.models
        with metrics.stage("provenance"):
            provenance = check_confined(self.decoding.sandbox, fetched.path, trust, source=fetched.source)
        times: list[float] = []
        frame_vectors: list[Vectors] = [np.empty((0, models.encoder.space.dim), np.float32)]
        faces: list[SeenFace] = []
        face_vectors: list[tuple[Vectors, ...]] = [tuple(np.empty((0, space.dim), np.float32) for space in models.face_spaces)]
        duration_s, truncated_at_s = 0.0, None
        watch = Watch(watermarks.templates)
        for chunk in self.decoding.chunks(fetched.path, fetched.source):
            images = [frame.image for frame in chunk.frames]
            self.decoding.watch(watch, chunk)
            with self._looking, metrics.stage("faces"):
                found = [sorted(row, key=_area, reverse=True)[:_MAX_FACES] for row in models.detector.detect(images)]
            seen = [(i, face) for i, row in enumerate(found) for face in row]
            with self._looking, metrics.stage("embed"):
                frame_vectors.append(models.encoder.encode(images))
                face_vectors.append(models.embed_faces([images[i] for i, _ in seen], [face for _, face in seen]))
            faces += [SeenFace(len(times) + i, _fractions(face, images[i]), face.confidence) for i, face in seen]
            times += [frame.time_s for frame in chunk.frames]
            duration_s, truncated_at_s = max(duration_s, chunk.info.duration_s or 0.0, *times), chunk.truncated_at_s
        return Fingerprint(
            sha256=fetched.sha256,
            size_bytes=fetched.size_bytes,
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

    def brought_up_to_date(self, held: Fingerprint, fetched: Fetched, trust: TrustLists, watermarks: TemplateSet) -> Fingerprint:
        """A kept fingerprint of the same bytes, judged by these lists, and searched for these marks; the rest stays as it is.

        What is up to date already is left alone. Raises as `take` does.
        """
        if (held.provenance.trust_version, held.provenance.rules) != (trust.version, RULES):
            held = replace(held, provenance=check_confined(self.decoding.sandbox, fetched.path, trust, source=fetched.source))
        if held.watermarks != watermarks.version:
            found = self.decoding.look_for_marks(fetched.path, fetched.source, watermarks.templates)
            held = replace(held, watermarks=watermarks.version, marks=_seen(found))
        return held


def _seen(sightings: Sequence[Sighting]) -> tuple[Sighting, ...]:
    return tuple(sighting for sighting in sightings if sighting.score >= SEEN)


def _area(face: Face) -> float:
    x0, y0, x1, y1 = face.box
    return (x1 - x0) * (y1 - y0)


def _fractions(face: Face, image: NDArray[np.uint8]) -> tuple[float, float, float, float]:
    height, width = image.shape[:2]
    x0, y0, x1, y1 = face.box
    return (round(x0 / width, 4), round(y0 / height, 4), round(x1 / width, 4), round(y1 / height, 4))

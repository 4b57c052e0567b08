"""Pictures → references: how a likeness gets its vectors.

A picture is decoded in the sandbox, must show exactly one usable face, and is embedded once per space. The kept copy is
a re-encoded JPEG (nothing of the file's metadata survives). Re-adding the same picture changes nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from monitor.base.blobs import Blobs, local_file
from monitor.base.database import Store
from monitor.base.errors import NotFound, ReferenceRefused
from monitor.intake.sandbox import Sandbox
from monitor.intake.sniff import Kind, sniff
from monitor.registry import references
from monitor.registry.references import Reference
from monitor.vision.faces import Face
from monitor.vision.frames import SampleOptions, sample
from monitor.vision.networks import Models
from monitor.vision.pictures import decode_picture, jpeg_bytes
from monitor.vision.reference import examine

_MAX_SIDE_PX = 1024
_VIDEO_REFERENCES = 5
_VIDEO_SAMPLING = SampleOptions(gap_s=1.0, short_side_px=720, max_frames=32)
_JPEG_QUALITY = 92


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A picture that can be a reference, with its vectors, one `(1, dim)` per space; nothing is stored yet."""

    source: str
    digest: str
    jpeg: bytes
    face_box: tuple[float, ...]
    vectors: tuple[NDArray[np.float32], ...]


@dataclass(frozen=True)
class Enrolment:
    """Prepares pictures and keeps them as references of likenesses that exist."""

    blobs: Blobs
    scratch: Path
    store: Store
    sandbox: Sandbox
    models: Models

    def prepare(self, path: Path) -> list[Prepared]:
        """Examine a picture, or the clearest frames of a video. Stores nothing.

        Raises `ReferenceRefused` saying what is wrong with the picture and what to do, or what decoding raises.
        """
        if not path.is_file():
            raise NotFound(path, "no such file", "Check the path")
        if sniff(path).kind is Kind.VIDEO:
            return self._prepare_video(path)
        picture = self.sandbox.run(decode_picture, path, _MAX_SIDE_PX, source=str(path))
        try:
            face = examine(picture, self.models.detector)
        except ReferenceRefused as error:
            raise ReferenceRefused(path, error.reason, error.next_step) from None
        return [self._prepared(picture, face, path.name, _digest(path.read_bytes()))]

    def keep(self, session: Session, likeness_id: str, prepared: Prepared, *, actor: str) -> tuple[Reference, bool]:
        """Store a reference with its vectors in the caller's transaction; False when that picture was there already.

        The picture is written first: a transaction that fails leaves at most a file that the next try overwrites.
        """
        file = f"references/{prepared.digest}.jpg"
        self.blobs.put(file, prepared.jpeg)
        reference, created = references.add_reference(
            session,
            likeness_id,
            picture_sha256=prepared.digest,
            file=file,
            source=prepared.source,
            face_box=prepared.face_box,
            actor=actor,
            now=datetime.now(UTC),
        )
        if created:
            for space, rows in zip(self.models.face_spaces, prepared.vectors, strict=True):
                references.put_vectors(session, reference.id, space, rows)
        return reference, created

    def rebuild(self) -> int:
        """Embed every stored picture that lacks vectors of the models in use; returns how many. Safe to repeat."""
        done = 0
        for space in self.models.face_spaces:
            with self.store.session(read_only=True) as session:
                missing = references.missing_vectors(session, space.id)
            for reference in missing:
                with local_file(self.blobs, reference.file, self.scratch) as path:
                    picture = self.sandbox.run(decode_picture, path, _MAX_SIDE_PX, source=reference.file)
                faces = self.models.detector.detect([picture])[0]
                if not faces:
                    raise ReferenceRefused(
                        reference.file,
                        f"the detector in use ({self.models.detector.id.split()[0]}) finds no face in it",
                        "Remove the reference, or go back to the former detector",
                    )
                self._put_vectors(reference.id, picture, faces[0])
                done += 1
        return done

    def _prepared(self, picture: NDArray[np.uint8], face: Face, source: str, digest: str) -> Prepared:
        box = tuple(round(edge, 1) for edge in face.box)
        return Prepared(source, digest, jpeg_bytes(picture, _JPEG_QUALITY), box, self.models.embed_faces([picture], [face]))

    def _put_vectors(self, reference_id: str, picture: NDArray[np.uint8], face: Face) -> None:
        with self.store.session() as session:
            for space, rows in zip(self.models.face_spaces, self.models.embed_faces([picture], [face]), strict=True):
                references.put_vectors(session, reference_id, space, rows)

    def _prepare_video(self, path: Path) -> list[Prepared]:
        """Up to `_VIDEO_REFERENCES` frames with one clear face, spread over the first chunk of the video."""
        chunk = self.sandbox.run(sample, path, None, _VIDEO_SAMPLING, source=str(path))
        found = self.models.detector.detect([frame.image for frame in chunk.frames])
        clear = []
        for frame in (frame for frame, faces in zip(chunk.frames, found, strict=True) if len(faces) == 1):
            with contextlib.suppress(ReferenceRefused):  # a frame of a video need not be a portrait
                clear.append((frame, examine(frame.image, self.models.detector)))
        if not clear:
            raise ReferenceRefused(
                path, "no frame of the video shows exactly one clear face", "Give a video in which the person is alone, or a picture"
            )
        step = max(1, len(clear) // _VIDEO_REFERENCES)
        return [
            self._prepared(frame.image, face, f"{path.name} at {frame.time_s:.1f} s", _digest(frame.image.tobytes()))
            for frame, face in clear[::step][:_VIDEO_REFERENCES]
        ]


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()

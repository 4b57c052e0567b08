"""Networks that remember: what the real ones said of the household's clips is noted once in a run, and a worker process that is told
where (SOSIE_TEST_MEMORIES) starts without torch and answers from the notes.

Everything else of such a worker is real: it fetches, decodes in its sandbox, matches, decides and records. A picture that is not in the
notes is looked at by the real networks, which are loaded then; so is everything where the settings name other networks.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexes.space import Space
from monitor.base import settings
from monitor.base.settings import Settings
from monitor.scan.result import Posted
from monitor.scan.workshop import Workshop
from monitor.vision.faces import Face
from monitor.vision.networks import Models

MEMORIES = "SOSIE_TEST_MEMORIES"
Picture = NDArray[np.uint8]


class _Notes:
    """By picture: the faces in it, and its vector."""

    def __init__(self) -> None:
        self.faces: dict[str, list[Face]] = {}
        self.vectors: dict[str, NDArray[np.float32]] = {}

    def write(self, file: Path, models: Models, which: Sequence[str]) -> None:
        faces = {key: [[face.box, face.landmarks.tolist(), face.confidence] for face in row] for key, row in self.faces.items()}
        facts = {"detector": models.detector.id, "space": asdict(models.encoder.space), "which": which, "faces": faces}
        np.savez(
            file, allow_pickle=False, facts=np.array(json.dumps(facts)), keys=list(self.vectors), vectors=np.stack([*self.vectors.values()])
        )


class _Detector:
    """Answers for each picture it knows; asks `real` for the others, and notes what it said."""

    def __init__(self, id: str, notes: _Notes, real: Callable[[], Models]) -> None:
        self.id = id
        self._notes, self._real = notes, real

    def detect(self, images: Sequence[Picture]) -> list[list[Face]]:
        return _answers(images, self._notes.faces, lambda unknown: self._real().detector.detect(unknown))


class _Encoder:
    """As `_Detector`, of vectors."""

    def __init__(self, space: Space, notes: _Notes, real: Callable[[], Models]) -> None:
        self.space = space
        self._notes, self._real = notes, real

    def encode(self, images: Sequence[Picture]) -> NDArray[np.float32]:
        rows = _answers(images, self._notes.vectors, lambda unknown: self._real().encoder.encode(unknown))
        return np.array(rows, np.float32).reshape(len(images), self.space.dim)


def _answers(images: Sequence[Picture], known: dict[str, Any], ask: Callable[[list[Picture]], Iterable[Any]]) -> list[Any]:
    keys = [hashlib.sha256(repr(image.shape).encode() + np.ascontiguousarray(image).tobytes()).hexdigest() for image in images]
    unknown = {key: image for key, image in zip(keys, images, strict=True) if key not in known}
    said = dict(zip(unknown, ask(list(unknown.values())), strict=True)) if unknown else {}
    if len(known) < 10_000:  # a film of hours is not kept
        known.update(said)
    return [known[key] if key in known else said[key] for key in keys]


def _over(real: Callable[[], Models], notes: _Notes, detector: str, space: Space) -> Models:
    return Models(_Detector(detector, notes, real), _Encoder(space, notes, real))  # type: ignore[arg-type]


def _which(configured: Settings) -> list[str]:
    return [str(configured.encoder), str(configured.face_detector), str(configured.face_encoder), str(configured.precision)]


def remember(home: Path, clips: Path, folder: Path) -> None:
    """Scan the clips into `home` with the real networks, and note in `folder` what they say."""
    notes = _Notes()
    with Workshop(settings.load({}, home=home, threads=1)) as workshop:
        real = workshop.models
        workshop.models = _over(lambda: real, notes, real.detector.id, real.encoder.space)
        for clip in sorted(clips.iterdir()):
            workshop.pipeline.scan(Posted(str(clip), clip.name, platform="memory", account="@memory"))
        notes.write(folder / "networks.npz", real, _which(workshop.settings))


def recall(folder: Path) -> None:
    """Have every `Workshop` of this process answer from the notes."""
    notes = _Notes()
    with np.load(folder / "networks.npz", allow_pickle=False) as arrays:
        facts = json.loads(str(arrays["facts"]))
        notes.vectors = dict(zip(arrays["keys"].tolist(), arrays["vectors"], strict=True))
    for key, row in facts["faces"].items():
        notes.faces[key] = [Face(tuple(box), np.array(landmarks, np.float32), confidence) for box, landmarks, confidence in row]
    load = Workshop.__dict__["models"].func
    loading = threading.Lock()

    def models(self: Workshop) -> Models:
        if _which(self.settings) != facts["which"]:
            return load(self)  # type: ignore[no-any-return]
        loaded: list[Models] = []

        def real() -> Models:
            with loading:
                if not loaded:
                    loaded.append(load(self))
            return loaded[0]

        return _over(real, notes, facts["detector"], Space(**facts["space"]))

    Workshop.models.func = models  # type: ignore[attr-defined]

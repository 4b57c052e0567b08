"""The backgrounds against which scores are normalised: who is nobody, for each space of face vectors.

In order of preference: the operator's own cohort (SOSIE_COHORT, a folder of pictures of people who are not protected);
for the bundled encoder, drawn strangers; else the prior alone, the usual figures of that kind of model.
"""

from __future__ import annotations

import hashlib
import io
import logging
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from indexes.background import Background, Prior
from monitor.base.blobs import Blobs
from monitor.base.errors import BlobDamaged, ConfigError, SosieError
from monitor.cast.drawing import portrait
from monitor.cast.people import person
from monitor.cast.shot import random_shot
from monitor.intake.sandbox import Sandbox
from monitor.vision.networks import Models
from monitor.vision.pictures import decode_picture
from monitor.vision.recipes import BUNDLED_NAME

Vectors = NDArray[np.float32]
Picture = NDArray[np.uint8]

# Fisher's z of strangers: cosines of about 0.62 ± 0.1 between face crops under CLIP models, 0.0 ± 0.1 between aligned
# faces under ArcFace-like encoders (0.009 ± 0.099 measured with MobileFaceNet on 430 pictures of 73 people).
CLIP_PRIOR = Prior(mean=0.72, spread=0.16)
FACE_ENCODER_PRIOR = Prior(mean=0.0, spread=0.10)

_STRANGERS = range(9_000_000, 9_000_096)  # seeds kept apart from the cast's and from those of training
_log = logging.getLogger(__name__)


def backgrounds(cohort: Path | None, models: Models, sandbox: Sandbox, blobs: Blobs) -> tuple[Background, ...]:
    """One background per space of `models.face_spaces`; made once, then kept as a blob. Raises `ConfigError` for an unusable cohort."""
    priors = (CLIP_PRIOR, FACE_ENCODER_PRIOR)[: len(models.face_spaces)]
    if cohort is not None:
        pictures = sorted(path for path in ([cohort] if cohort.is_file() else cohort.rglob("*")) if path.is_file())
        digest = hashlib.sha256()
        for path in pictures:
            digest.update(hashlib.sha256(path.read_bytes()).digest())
        rows = _kept(blobs, digest.hexdigest()[:16], models, lambda: _embed(_decoded(pictures, sandbox), models))
        if len(rows[0]) < 2:
            raise ConfigError(
                "SOSIE_COHORT",
                f"only {len(rows[0])} faces were found in {cohort}",
                "Give a folder of at least 50 pictures with one face each",
            )
        return tuple(Background(vectors, prior) for vectors, prior in zip(rows, priors, strict=True))
    empty = tuple(np.empty((0, space.dim), np.float32) for space in models.face_spaces)
    if models.encoder.space.model != BUNDLED_NAME:
        return tuple(Background(vectors, prior) for vectors, prior in zip(empty, priors, strict=True))
    # Drawn strangers say what chance is among drawings; to a face encoder they say nothing.
    drawn = _kept(blobs, "drawn", models, lambda: _embed(_drawn(), models))[0]
    return tuple(Background(vectors, prior) for vectors, prior in zip((drawn, *empty[1:]), priors, strict=True))


def _drawn() -> Iterator[Picture]:
    for seed in _STRANGERS:
        yield portrait(person(seed), random_shot(np.random.default_rng(seed)))


def _decoded(pictures: Sequence[Path], sandbox: Sandbox) -> Iterator[Picture]:
    for path in pictures:
        try:
            yield sandbox.run(decode_picture, path, 640, source=path.name)
        except SosieError as error:
            _log.warning("cohort: %s is left out (%s)", path.name, error.code)


def _embed(pictures: Iterator[Picture], models: Models) -> tuple[Vectors, ...]:
    faces = ((picture, models.detector.detect([picture])[0]) for picture in pictures)
    rows = [models.embed_faces([picture], found[:1]) for picture, found in faces if found]
    nothing = tuple(np.empty((0, space.dim), np.float32) for space in models.face_spaces)
    return tuple(np.concatenate(vectors) for vectors in zip(nothing, *rows, strict=True))


def _kept(blobs: Blobs, name: str, models: Models, make: Callable[[], tuple[Vectors, ...]]) -> tuple[Vectors, ...]:
    blob = f"cohort/{name}-{models.id}.npz"
    try:
        if (data := blobs.get(blob)) is not None:
            with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
                return tuple(arrays[f"space{i}"] for i in range(len(models.face_spaces)))
    except (BlobDamaged, OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error):
        _log.warning("%s is damaged, and is made again", blob)
    rows = make()
    stream = io.BytesIO()
    np.savez(stream, allow_pickle=False, **{f"space{i}": vectors for i, vectors in enumerate(rows)})
    blobs.put(blob, stream.getvalue())
    return rows

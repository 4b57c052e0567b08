"""Fingerprints of videos seen before, so that equal bytes are decoded once.

They hold faces of people who match nobody, so they are kept briefly and die for certain: each day's fingerprints are
encrypted (AES-256-GCM) with that day's key, and expiry deletes the key first.

    HOME/fingerprints/2026-11-22/key                            32 random bytes, mode 0600
    HOME/fingerprints/2026-11-22/<sha256>-<makers>-<sampling>   nonce + ciphertext

Nothing here is the truth: a fingerprint that is missing, damaged or expired is made again. Safe for several processes.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from indexes.space import Space
from monitor.base.files import make_once, write_atomically
from monitor.provenance.types import Provenance
from monitor.scan.fingerprint import Fingerprint, SeenFace
from monitor.vision.frames import SampleOptions
from monitor.vision.marks import NO_MARKS
from monitor.vision.watermark import Sighting

_NONCE_BYTES = 12


class FingerprintStore:
    """Fingerprints by (content hash, makers), each for `days` whole days; those sampled in another way are not found."""

    def __init__(self, home: Path, days: int, sampling: SampleOptions | None = None) -> None:
        self._root = home / "fingerprints"
        self._days = days
        self._sampling = hashlib.sha256(repr(sampling).encode()).hexdigest()[:8]

    def get(self, sha256: str, makers: str) -> Fingerprint | None:
        """The fingerprint of these bytes by these makers, or None: never kept, expired, or not intact."""
        for day in sorted(self._live_days(), reverse=True):
            file = self._root / day / self._name(sha256, makers)
            try:
                sealed, key = file.read_bytes(), (self._root / day / "key").read_bytes()
            except FileNotFoundError:
                continue
            try:
                return _unpack(AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], file.name.encode()))
            except (InvalidTag, ValueError):  # ValueError: cut short
                file.unlink(missing_ok=True)
        return None

    def put(self, fingerprint: Fingerprint) -> None:
        """Keep a fingerprint under today's key; with 0 days, nothing. Raises `StorageFull`.

        One that is kept already is replaced under its own day's key: it expires when it would have.
        """
        if not self._days:
            return
        name = self._name(fingerprint.sha256, fingerprint.makers)
        held = (self._root / day for day in sorted(self._live_days(), reverse=True) if (self._root / day / name).exists())
        folder = next(held, self._root / _today().isoformat())
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        key = make_once(folder / "key", AESGCM.generate_key(256))
        nonce = os.urandom(_NONCE_BYTES)
        write_atomically(folder / name, nonce + AESGCM(key).encrypt(nonce, _pack(fingerprint), name.encode()))

    def expire(self) -> int:
        """Destroy the keys, then the files, of days that are over; returns how many days went."""
        expired = [path for path in self._root.glob("????-??-??") if path.name not in self._live_days()]
        for folder in expired:
            (folder / "key").unlink(missing_ok=True)
            shutil.rmtree(folder, ignore_errors=True)
        return len(expired)

    def _name(self, sha256: str, makers: str) -> str:
        return f"{sha256}-{makers}-{self._sampling}"

    def _live_days(self) -> set[str]:
        return {(_today() - timedelta(days=n)).isoformat() for n in range(self._days)}


def _today() -> date:
    return datetime.now(UTC).date()


def _pack(fingerprint: Fingerprint) -> bytes:
    facts = {
        "sha256": fingerprint.sha256,
        "size_bytes": fingerprint.size_bytes,
        "duration_s": fingerprint.duration_s,
        "truncated_at_s": fingerprint.truncated_at_s,
        "provenance": fingerprint.provenance.to_json(),
        "makers": fingerprint.makers,
        "times_s": fingerprint.times_s,
        "faces": [[face.frame, list(face.box), face.confidence] for face in fingerprint.faces],
        "face_spaces": [asdict(space) for space in fingerprint.face_spaces],
        "watermarks": fingerprint.watermarks,
        "marks": [mark.to_json() for mark in fingerprint.marks],
    }
    arrays = {f"faces{i}": rows for i, rows in enumerate(fingerprint.face_vectors)}
    stream = io.BytesIO()
    text = np.frombuffer(json.dumps(facts).encode(), np.uint8)
    np.savez(stream, allow_pickle=False, facts=text, frames=fingerprint.frame_vectors, **arrays)
    return stream.getvalue()


def _unpack(data: bytes) -> Fingerprint:
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        facts = json.loads(arrays["facts"].tobytes())
        spaces = tuple(Space(**space) for space in facts["face_spaces"])
        return Fingerprint(
            sha256=facts["sha256"],
            size_bytes=facts["size_bytes"],
            duration_s=facts["duration_s"],
            truncated_at_s=facts["truncated_at_s"],
            provenance=Provenance.from_json(facts["provenance"]),
            makers=facts["makers"],
            times_s=tuple(facts["times_s"]),
            frame_vectors=arrays["frames"],
            faces=tuple(SeenFace(frame, (box[0], box[1], box[2], box[3]), confidence) for frame, box, confidence in facts["faces"]),
            face_spaces=spaces,
            face_vectors=tuple(arrays[f"faces{i}"] for i in range(len(spaces))),
            watermarks=facts.get("watermarks", NO_MARKS),  # of a release that did not look for marks
            marks=tuple(Sighting.from_json(mark) for mark in facts.get("marks", ())),
        )

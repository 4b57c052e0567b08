"""Fingerprints of videos seen before, so that equal bytes are decoded once, by whatever machine.

They hold faces of people who match nobody, so they are kept briefly and die for certain: each day's fingerprints are
encrypted (AES-256-GCM) with that day's key, which is itself wrapped (`monitor.base.storage_key`); expiry deletes the key first.

    fingerprints/2026-11-22/key                            the day's key, wrapped
    fingerprints/2026-11-22/<sha256>-<makers>-<sampling>   nonce + ciphertext

Nothing here is the truth: a fingerprint that is missing, damaged or expired is made again. Safe for several processes and machines.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from indexes.space import Space
from monitor.base.blobs import Blobs
from monitor.base.errors import BlobDamaged
from monitor.base.storage_key import StorageKey
from monitor.provenance.types import Provenance
from monitor.scan.fingerprint import Fingerprint, SeenFace
from monitor.vision.frames import SampleOptions
from monitor.vision.marks import NO_MARKS
from monitor.vision.watermark import Sighting

AREA = "fingerprints"
_KEY = "key"
_KEY_BYTES = 32
_NONCE_BYTES = 12
_log = logging.getLogger(__name__)


def utc_now() -> datetime:
    return datetime.now(UTC)


class FingerprintStore:
    """Fingerprints by (content hash, makers), each for `days` whole days (UTC); those sampled in another way are not found.

    Days that are over are destroyed with the first call of an hour, whatever it is, and by `expire`. Thread-safe.
    """

    def __init__(
        self,
        blobs: Blobs,
        key: StorageKey,
        days: int,
        sampling: SampleOptions | None = None,
        *,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._blobs = blobs
        self._key = key
        self._days = days
        self._sampling = hashlib.sha256(repr(sampling).encode()).hexdigest()[:8]
        self._clock = clock
        self._swept: str | None = None
        self._warned = False
        self._lock = threading.Lock()

    def get(self, sha256: str, makers: str) -> Fingerprint | None:
        """The fingerprint of these bytes by these makers, or None: never kept, expired, or not intact."""
        self._expire_hourly()
        name = self._name(sha256, makers)
        for day in sorted(self._live_days(), reverse=True):
            blob = f"{AREA}/{day}/{name}"
            try:
                sealed = self._blobs.get(blob)
                if sealed is None or (key := self._key_of(day)) is None:
                    continue
                return _unpack(AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], name.encode()))
            except (BlobDamaged, InvalidTag, ValueError):  # ValueError: cut short
                self._blobs.delete(blob)
        return None

    def put(self, fingerprint: Fingerprint) -> None:
        """Keep a fingerprint under today's key; with 0 days, nothing. Raises `StorageFull` and `StorageUnavailable`.

        One that is kept already is replaced under its own day's key: it expires when it would have.
        """
        self._expire_hourly()
        if not self._days:
            return
        name = self._name(fingerprint.sha256, fingerprint.makers)
        held = (day for day in sorted(self._live_days(), reverse=True) if self._blobs.exists(f"{AREA}/{day}/{name}"))
        day = next(held, self._today())
        if (key := self._key_of(day, make=True)) is not None:
            nonce = os.urandom(_NONCE_BYTES)
            self._blobs.put(f"{AREA}/{day}/{name}", nonce + AESGCM(key).encrypt(nonce, _pack(fingerprint), name.encode()))

    def expire(self) -> int:
        """Destroy the keys, then the fingerprints, of days that are over; returns how many days went."""
        live = self._live_days()
        expired = [day for day in self._blobs.folders(AREA) if day not in live]
        for day in expired:
            self._blobs.delete(f"{AREA}/{day}/{_KEY}")
            for each in list(self._blobs.listed(f"{AREA}/{day}")):
                self._blobs.delete(each.name)
        return len(expired)

    def check(self) -> Iterator[tuple[str, str | None]]:
        """Read everything that is kept: each blob, and what is wrong with it, in words, or None. What no key opens is wrong."""
        for day in self._blobs.folders(AREA):
            key = self._key_of(day)
            for each in self._blobs.listed(f"{AREA}/{day}"):
                name = each.name.rpartition("/")[2]
                if key is None:
                    yield each.name, "no key here opens it"
                elif name != _KEY:
                    yield each.name, None if self._opens(each.name, name, key) else "it is not intact"

    def _opens(self, blob: str, name: str, key: bytes) -> bool:
        try:
            sealed = self._blobs.get(blob)
            return sealed is None or bool(AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], name.encode()))
        except (BlobDamaged, InvalidTag, ValueError):
            return False

    def _expire_hourly(self) -> None:
        hour = self._clock().astimezone(UTC).strftime("%Y-%m-%dT%H")
        with self._lock:
            due, self._swept = self._swept != hour, hour
        if due:
            try:
                self.expire()
            except BaseException:
                self._swept = None  # with the next call, then
                raise

    def _key_of(self, day: str, *, make: bool = False) -> bytes | None:
        """The day's key; where there is none, None, or, with `make`, a new one that all machines agree on."""
        blob = f"{AREA}/{day}/{_KEY}"
        if (held := self._blobs.get(blob)) is None and make:
            self._blobs.put_new(blob, self._key.wrap(AESGCM.generate_key(256), blob))
            held = self._blobs.get(blob)
        if held is None:
            return None
        if len(held) == _KEY_BYTES:  # of a release that did not wrap
            return held
        if (key := self._key.unwrap(held, blob)) is None and not self._warned:
            self._warned = True
            _log.warning("%s cannot be unwrapped: give every machine the same SOSIE_STORAGE_KEY_FILE; until then nothing is kept", blob)
        return key

    def _name(self, sha256: str, makers: str) -> str:
        return f"{sha256}-{makers}-{self._sampling}"

    def _today(self) -> str:
        return self._clock().astimezone(UTC).date().isoformat()

    def _live_days(self) -> set[str]:
        today = self._clock().astimezone(UTC).date()
        return {(today - timedelta(days=n)).isoformat() for n in range(self._days)}


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

"""Blobs: pictures, stills, snapshots, kept fingerprints. Bytes under names, in a folder or in an S3-compatible bucket.

A name is what the database holds of a picture (`references/<sha256>.jpg`), and is the same with either engine: a blob that is moved from
the folder to the bucket is found without a change of the database.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Protocol

from indexes.storage import Listed, Storage
from monitor.base.errors import NotFound
from monitor.base.files import storage_errors

__all__ = ["AREAS", "Blobs", "Listed", "local_file", "picture_of", "require_name", "require_prefix"]

AREAS = ("references", "evidence", "index", "fingerprints", "cohort")
"""The first part of every name. What else lies in a home (settings, keys, the database) is no blob, and cannot be asked for."""


class Blobs(Storage, Protocol):
    """Named bytes that processes and machines share; the promises of `indexes.storage.Storage`, and these.

    - Every write is atomic and durable when it returns. One whose answer was lost is tried again, and that changes nothing more.
    - Whatever is read has the length and, where the engine holds it, the SHA-256 of what was written, or it is `BlobDamaged`.
    - A name that `replace` writes is written by nothing else.
    - Raises `ValueError` for a name that is none; `StorageUnavailable`, `StorageFull` and `BlobDamaged`, which are all Sosie's own
      fault and no input's; texts name blobs, places and settings, never a key.
    """

    def put_new(self, name: str, data: bytes) -> bool:
        """Store the bytes if nothing is there by that name; else False, and nothing changed.

        Of several that try at once, exactly one gets True; where the bytes are the same, all may.
        """


def require_name(name: str) -> str:
    """`name`, if it is one that a blob may have. Raises `ValueError` for a name that is empty, leads out of its area, or is hidden."""
    parts = name.split("/")
    if len(parts) < 2 or parts[0] not in AREAS or any(not part or part.startswith(".") or "\\" in part or "\0" in part for part in parts):
        raise ValueError(f"{name!r} is no blob's name")
    return name


def require_prefix(prefix: str) -> str:
    """`prefix`, if it is an area or a folder in one. Raises `ValueError`."""
    require_name(f"{prefix}/-")
    return prefix


def picture_of(blobs: Blobs, area: str, name: str | None) -> bytes | None:
    """The JPEG by a name that came from the database, if that name is of the area and the JPEG still there. Raises what reading raises."""
    if name is None or not name.startswith(f"{area}/") or not name.endswith(".jpg"):
        return None
    try:
        return blobs.get(name)
    except ValueError:  # no blob's name
        return None


@contextmanager
def local_file(blobs: Blobs, name: str, scratch: Path) -> Iterator[Path]:
    """The blob as a file of its own under `scratch`, for a decoder that takes a path; deleted afterwards.

    Raises `NotFound` where there is no such blob, and what reading it raises.
    """
    if (data := blobs.get(name)) is None:
        raise NotFound(name, f"is not in {blobs.place} any more", "`sosie storage check` lists what is missing")
    with storage_errors(scratch):
        scratch.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.NamedTemporaryFile(dir=scratch, suffix=PurePosixPath(name).suffix) as file:
            file.write(data)
            file.flush()
            yield Path(file.name)

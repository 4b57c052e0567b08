"""Blobs from one place to another: from the home's folder to a bucket, and back. Copies and verifies; deletes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from monitor.base.blobs import AREAS, Blobs
from monitor.base.errors import BlobDamaged
from monitor.base.storage_key import StorageKey

_POINTER = "/CURRENT"


@dataclass(frozen=True, slots=True)
class Moved:
    """How many blobs were copied, and how many were there already, byte for byte."""

    copied: int
    there: int
    size_bytes: int


def copy_blobs(source: Blobs, target: Blobs, key: StorageKey, *, told: Callable[[str], None] = lambda _: None) -> Moved:
    """Copy every blob that the target lacks or has otherwise, and read it back. `told` hears each name that is copied.

    Safe to break off and begin again: what is there is compared, not copied. Keys of encrypted blobs are wrapped by `key` on their way.
    Raises `BlobDamaged` where what is read back is not what was written, and what the two places raise.
    """
    copied = there = size = 0
    for name in _names(source):
        if (data := source.get(name)) is None:  # deleted meanwhile
            continue
        held = target.get(name)
        raw = _key_in(name, data, key)
        if held == data or (raw is not None and held is not None and key.unwrap(held, name) == raw):
            there += 1
            continue
        told(name)
        data = data if raw is None else key.wrap(raw, name)
        target.put(name, data)
        if target.get(name) != data:
            raise BlobDamaged(f"{target.place}/{name}", "what is read back is not what was written", "Run the same command again")
        copied, size = copied + 1, size + len(data)
    return Moved(copied, there, size)


def _names(blobs: Blobs) -> Iterator[str]:
    """The names of all blobs; pointers last, when the blobs that they name are there."""
    pointers = []
    for area in AREAS:
        for each in blobs.listed(area):
            if each.name.endswith(_POINTER):
                pointers.append(each.name)
            else:
                yield each.name
    yield from pointers


def _key_in(name: str, data: bytes, key: StorageKey) -> bytes | None:
    """The key that a blob is; None where the blob is no key, or nobody here can unwrap it."""
    if not name.startswith("fingerprints/") or not name.endswith("/key"):
        return None
    return data if len(data) == len(key.key) else key.unwrap(data, name)

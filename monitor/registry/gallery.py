"""The gallery: the registry's references as indexes that are always current.

The registry is the truth, an index its copy. Before each search the gallery looks whether the registry has moved on; if it has, new indexes
are made beside the old by adding and removing what changed, and published, by whatever process gets there first. So a removal takes effect
in the next search of every process, and whoever holds an index searches what its version names until done.
Failures: a damaged snapshot is `IndexCorrupt`, one made by another model or references not yet embedded by this one are `SpaceMismatch`;
both name `sosie index rebuild`, and nothing is searched meanwhile. A snapshot that was erased is made again from the registry.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from indexes.background import Background
from indexes.errors import IndexCorrupt, SpaceMismatch
from indexes.likeness import LikenessIndex
from indexes.snapshot import Snapshots
from indexes.space import Space
from monitor.base.blobs import Blobs
from monitor.base.database import Store
from monitor.base.metrics import Metrics
from monitor.registry import erasure, references

_ROUNDS = 3  # what is published while somebody is removed must not stay; but a registry that never rests must not hold up a search
_READS = 3  # a snapshot may be erased while it is read; then another is current


class Gone(Enum):
    """The reason why an earlier index cannot be had."""

    PRUNED = "is not kept any more"
    ERASED = "is gone by erasure"


@dataclass(frozen=True, slots=True)
class _Held:
    """The indexes in which one generation of the registry is searched."""

    indexes: tuple[LikenessIndex, ...]
    version: str
    generation: int


class Gallery:
    """One index per space. Thread-safe; several processes and machines may share a database and its blobs."""

    def __init__(self, blobs: Blobs, store: Store, spaces: Sequence[Space], backgrounds: Sequence[Background], metrics: Metrics) -> None:
        self._blobs = blobs
        self._store = store
        self._spaces = tuple(zip(spaces, backgrounds, strict=True))
        self._metrics = metrics
        self._held: _Held | None = None
        self._lost = False  # somebody is gone who was there before: whatever still holds them is to be erased
        self._lock = threading.Lock()

    def current(self) -> tuple[tuple[LikenessIndex, ...], str]:
        """The indexes, in the order of the spaces, and their common version; both reflect every change committed before the call."""
        with self._lock:
            held = self._held
            for _ in range(_ROUNDS):
                if held is not None and held.generation == self._generation():
                    break
                held = self._held = self._published(tuple(self._updated(i) for i in range(len(self._spaces))))
            if self._lost:
                erasure.erase_removed(self._blobs, self._store)
                self._lost = False
            assert held is not None
            return held.indexes, held.version

    def at(self, version: str) -> tuple[LikenessIndex, ...] | Gone:
        """The indexes as they were at a version that `current` named, or why they are not there.

        Raises `IndexCorrupt`, and `SpaceMismatch` where another model made them.
        """
        indexes, now = self.current()  # so that nobody who was removed is found in what this process still has in memory
        if version == now:
            return indexes
        if erasure.was_erased(self._blobs, version):
            return Gone.ERASED
        versions = erasure.joined(self._blobs, version) if len(self._spaces) > 1 else [version]
        every = [self._snapshots(space) for space, _ in self._spaces]
        if versions is None or len(versions) != len(every):
            return Gone.PRUNED
        if not all(snapshots.holds(each) for snapshots, each in zip(every, versions, strict=True)):
            return Gone.PRUNED
        return tuple(
            LikenessIndex.load(snapshots, each, space) for snapshots, each, (space, _) in zip(every, versions, self._spaces, strict=True)
        )

    def rebuild(self) -> str:
        """Make all indexes anew from the registry's vectors, whatever is stored; returns the version."""
        with self._lock:
            for space, _ in self._spaces:
                self._snapshots(space).discard_damaged()
            self._held = self._published(tuple(self._filled(LikenessIndex(space, background)) for space, background in self._spaces))
            return self._held.version

    def verify(self) -> dict[str, int]:
        """Read every snapshot in use, byte for byte: space id → references. Raises `IndexCorrupt` or `SpaceMismatch`."""
        counts = {}
        for space, _ in self._spaces:
            snapshots = self._snapshots(space)
            if (version := snapshots.current()) is not None and not erasure.was_erased(self._blobs, version):
                counts[space.id] = len(LikenessIndex.load(snapshots, version, space))
        return counts

    def _generation(self) -> int:
        with self._store.session(read_only=True) as session:
            return references.generation(session)

    def _snapshots(self, space: Space) -> Snapshots:
        return erasure.snapshots_of(self._blobs, space.id)

    def _updated(self, i: int) -> LikenessIndex:
        space, background = self._spaces[i]
        if self._held is not None:
            return self._filled(self._held.indexes[i])
        loaded = self._loaded(space)
        if loaded is None or not np.array_equal(loaded.background.cohort, background.cohort) or loaded.background.prior != background.prior:
            loaded = LikenessIndex(space, background)
        return self._filled(loaded)

    def _loaded(self, space: Space) -> LikenessIndex | None:
        snapshots = self._snapshots(space)
        for tries_left in reversed(range(_READS)):
            version = snapshots.current()
            if version is None or erasure.was_erased(self._blobs, version):
                return None
            try:
                return LikenessIndex.load(snapshots, version, space)
            except IndexCorrupt:
                if not tries_left or (snapshots.current() == version and not erasure.was_erased(self._blobs, version)):
                    raise
        return None

    def _filled(self, index: LikenessIndex) -> LikenessIndex:
        with self._store.session(read_only=True) as session:
            if missing := references.missing_vectors(session, index.space.id):
                raise SpaceMismatch(
                    f"{len(missing)} references", f"were not embedded by {index.space.model}, the model in use", "Run `sosie index rebuild`"
                )
            generation = references.generation(session)
            rows = list(references.vectors(session, index.space.id))
        held = index.references
        wanted = {reference for reference, _, _ in rows}
        gone = [reference for reference in held if reference not in wanted]
        self._lost = self._lost or bool(gone)
        index = index.without(gone)
        fresh = [row for row in rows if row[0] not in held]
        if fresh:
            index = index.with_references([row[0] for row in fresh], [row[1] for row in fresh], np.stack([row[2] for row in fresh]))
        return index.of_generation(generation)

    def _published(self, indexes: tuple[LikenessIndex, ...]) -> _Held:
        versions = []
        for index in indexes:
            versions.append(index.save(self._snapshots(index.space)))
            self._metrics.index_references.labels(index.space.id).set(len(index))
            self._metrics.index_loaded.labels(index.space.id).set(time.time())
        version = versions[0]
        if len(versions) > 1:
            version = hashlib.sha256("|".join(versions).encode()).hexdigest()[:16]
            erasure.join(self._blobs, version, versions)
        return _Held(indexes, version, min(index.generation for index in indexes))

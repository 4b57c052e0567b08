"""The gallery: the registry's references as indexes that are always current.

The registry is the truth, an index its copy. Before each search the index is brought to the registry's generation by
adding and removing what changed, without a rebuild, by whatever process gets there first; so a removal takes effect in the
next search of every process. Failures: a damaged snapshot is `IndexCorrupt`, one made by another model or references not yet
embedded by this one are `SpaceMismatch`; both name `sosie index rebuild`, and nothing is searched meanwhile.
"""

from __future__ import annotations

import hashlib
import shutil
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from indexes import snapshot
from indexes.background import Background
from indexes.errors import IndexCorrupt, SpaceMismatch
from indexes.likeness import LikenessIndex
from indexes.space import Space
from monitor.base.database import Store
from monitor.base.files import storage_errors, write_atomically
from monitor.base.metrics import Metrics
from monitor.registry import references

_JOINED = "joined"  # under the root of the indexes: which versions of each space a common version stands for


class Gallery:
    """One index per space. Thread-safe; several processes may share a home."""

    def __init__(self, home: Path, store: Store, spaces: Sequence[Space], backgrounds: Sequence[Background], metrics: Metrics) -> None:
        self._root = home / "index"
        self._store = store
        self._spaces = tuple(zip(spaces, backgrounds, strict=True))
        self._metrics = metrics
        self._indexes: tuple[LikenessIndex, ...] | None = None
        self._version = ""
        self._lock = threading.Lock()

    def current(self) -> tuple[tuple[LikenessIndex, ...], str]:
        """The indexes, in the order of the spaces, and their common version; both reflect every committed change."""
        with self._lock:
            with self._store.session(read_only=True) as session:
                generation = references.generation(session)
            if self._indexes is None or any(index.generation != generation for index in self._indexes):
                self._indexes = tuple(self._updated(i) for i in range(len(self._spaces)))
                self._version = self._published(self._indexes)
            return self._indexes, self._version

    def at(self, version: str) -> tuple[LikenessIndex, ...] | None:
        """The indexes as they were at a version that `current` named, or None: not kept any more.

        Raises `IndexCorrupt`, and `SpaceMismatch` where another model made them.
        """
        with self._lock:
            if self._indexes is not None and version == self._version:
                return self._indexes
        joined = self._root / _JOINED / version
        try:
            versions = joined.read_text().split() if len(self._spaces) > 1 else [version]
        except FileNotFoundError:
            return None
        roots = [self._root / space.id for space, _ in self._spaces]
        if len(versions) != len(roots) or not all((root / each).is_dir() for root, each in zip(roots, versions, strict=True)):
            return None
        return tuple(LikenessIndex.load(root, each, space) for root, each, (space, _) in zip(roots, versions, self._spaces, strict=True))

    def rebuild(self) -> str:
        """Make all indexes anew from the registry's vectors, whatever lies on disk; returns the version."""
        with self._lock:
            for space, _ in self._spaces:
                _discard_damaged(self._root / space.id)
            self._indexes = tuple(self._filled(LikenessIndex(space, background)) for space, background in self._spaces)
            self._version = self._published(self._indexes)
            return self._version

    def verify(self) -> dict[str, int]:
        """Read every snapshot in use, byte for byte: space id → references. Raises `IndexCorrupt` or `SpaceMismatch`."""
        counts = {}
        for space, _ in self._spaces:
            if (version := snapshot.current(self._root / space.id)) is not None:
                counts[space.id] = len(LikenessIndex.load(self._root / space.id, version, space))
        return counts

    def _updated(self, i: int) -> LikenessIndex:
        space, background = self._spaces[i]
        if self._indexes is not None:
            return self._filled(self._indexes[i])
        version = snapshot.current(self._root / space.id)
        if version is None:
            return self._filled(LikenessIndex(space, background))
        loaded = LikenessIndex.load(self._root / space.id, version, space)
        if not np.array_equal(loaded.background.cohort, background.cohort) or loaded.background.prior != background.prior:
            loaded = LikenessIndex(space, background)
        return self._filled(loaded)

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
        index.remove([reference for reference in held if reference not in wanted])
        fresh = [row for row in rows if row[0] not in held]
        if fresh:
            index.add([row[0] for row in fresh], [row[1] for row in fresh], np.stack([row[2] for row in fresh]))
        index.generation = generation
        return index

    def _published(self, indexes: Sequence[LikenessIndex]) -> str:
        versions = []
        for index in indexes:
            root = self._root / index.space.id
            with storage_errors(root):
                versions.append(index.save(root))
            self._metrics.index_references.labels(index.space.id).set(len(index))
            self._metrics.index_loaded.labels(index.space.id).set(time.time())
        if len(versions) == 1:
            return versions[0]
        joined = hashlib.sha256("|".join(versions).encode()).hexdigest()[:16]
        write_atomically(self._root / _JOINED / joined, "\n".join(versions).encode())
        return joined


def _discard_damaged(root: Path) -> None:
    """Equal content is published under an equal version, so a damaged snapshot would be taken for the one made anew."""
    for folder in root.glob("[!.]*/"):
        try:
            snapshot.read(root, folder.name)
        except IndexCorrupt:
            shutil.rmtree(folder)

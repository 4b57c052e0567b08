"""LikenessIndex: vectors → references → likenesses, scored against a background cohort.

Life of an index:
1. made empty for one `Space` and one `Background`, or loaded from a snapshot;
2. `add` and `remove` references, at once visible to the next search, without a rebuild;
3. `search` unit vectors of the same space;
4. `save` publishes a snapshot; `load` verifies it.

What happens to duplicates: adding a reference id again changes nothing, whatever vector comes with it.
Ids are opaque here: who a likeness is, and what a picture shows, is known elsewhere. All methods are thread-safe.
"""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from indexes import snapshot
from indexes.background import Background, Prior, fisher_z
from indexes.errors import SpaceMismatch
from indexes.exact import ExactIndex
from indexes.space import Space

Vectors = NDArray[np.float32]

_NEIGHBOURS = 64  # rows looked at per query; a likeness beyond them scores as chance
_UNIT_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True)
class Hit:
    """A query's best reference of one likeness. `z` counts standard deviations above what a stranger scores."""

    likeness: str
    reference: str
    similarity: float
    z: float


@dataclass(frozen=True, slots=True)
class _Row:
    reference: str
    likeness: str
    centre: float


class LikenessIndex:
    """See the module. `generation` is the caller's counter of what the index holds; it travels with snapshots."""

    def __init__(self, space: Space, background: Background) -> None:
        if background.cohort.shape[1:] != (space.dim,):
            raise SpaceMismatch(
                "background cohort", f"its rows are {background.cohort.shape}, not (m, {space.dim})", "Make the cohort again"
            )
        self.space = space
        self.background = background
        self.generation = 0
        self._spread = background.spread()
        self._exact = ExactIndex(space.dim)
        self._rows: dict[int, _Row] = {}
        self._ids: dict[str, int] = {}
        self._next_id = 0
        self._lock = threading.RLock()

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def references(self) -> Mapping[str, str]:
        """Reference id → likeness id, a copy."""
        with self._lock:
            return {row.reference: row.likeness for row in self._rows.values()}

    def add(self, references: Sequence[str], likenesses: Sequence[str], vectors: Vectors) -> int:
        """Add references with their unit vectors `(n, dim)`; returns how many were new."""
        rows = self._unit(vectors)
        with self._lock:
            fresh = [i for i, reference in enumerate(references) if reference not in self._ids]
            fresh = list({references[i]: i for i in reversed(fresh)}.values())[::-1]
            if not fresh:
                return 0
            chosen = rows[fresh]
            ids = np.arange(self._next_id, self._next_id + len(fresh), dtype=np.int64)
            self._exact.add(ids, chosen)
            self._next_id += len(fresh)
            for row_id, i, centre in zip(ids.tolist(), fresh, self.background.centre(chosen).tolist(), strict=True):
                self._rows[row_id] = _Row(references[i], likenesses[i], centre)
                self._ids[references[i]] = row_id
            return len(fresh)

    def remove(self, references: Sequence[str]) -> int:
        """Forget references; unknown ones are ignored. Returns how many went."""
        with self._lock:
            ids = [self._ids.pop(reference) for reference in set(references) if reference in self._ids]
            for row_id in ids:
                del self._rows[row_id]
            return self._exact.remove(np.array(ids, np.int64)) if ids else 0

    def search(self, vectors: Vectors, space: Space) -> list[list[Hit]]:
        """For each query row the likenesses near it, best first, each once with its best reference.

        Raises `SpaceMismatch` if the queries were not made by the index's own model.
        """
        self.space.require(space, holder="query vectors")
        queries = self._unit(vectors)
        with self._lock:
            similarities, ids = self._exact.search(queries, _NEIGHBOURS)
            centres = self.background.centre(queries)
            rows = zip(similarities.tolist(), fisher_z(similarities).tolist(), ids.tolist(), centres.tolist(), strict=True)
            return [self._hits(*row) for row in rows]

    def _hits(self, similarities: list[float], fishers: list[float], ids: list[int], centre: float) -> list[Hit]:
        best: dict[str, Hit] = {}
        for similarity, fisher, row_id in zip(similarities, fishers, ids, strict=True):
            row = self._rows[row_id]
            z = (fisher - (centre + row.centre) / 2) / self._spread
            if row.likeness not in best or z > best[row.likeness].z:
                best[row.likeness] = Hit(row.likeness, row.reference, similarity, z)
        return sorted(best.values(), key=lambda hit: (-hit.z, hit.likeness))

    def _unit(self, vectors: Vectors) -> Vectors:
        rows = np.ascontiguousarray(vectors, dtype=np.float32)
        if rows.ndim != 2 or rows.shape[1] != self.space.dim:
            raise ValueError(f"expected (n, {self.space.dim}) vectors, got {rows.shape}")
        if not np.all(np.abs(np.linalg.norm(rows, axis=1) - 1) < _UNIT_TOLERANCE):
            raise ValueError("vectors must have unit length and no NaN")
        return rows

    def save(self, root: Path) -> str:
        """Publish a snapshot under `root` and return its version, which changes with any content."""
        with self._lock:
            ids = sorted(self._rows, key=lambda row_id: self._rows[row_id].reference)  # equal content, equal version
            rows = [self._rows[i] for i in ids]
            files = {
                "vectors.npy": _npy(self._exact.vectors(np.array(ids, np.int64))),
                "cohort.npy": _npy(self.background.cohort),
                "rows.json": json.dumps([[row.reference, row.likeness] for row in rows]).encode(),
            }
            facts = {
                "space": asdict(self.space),
                "prior": asdict(self.background.prior),
                "count": len(rows),
                "generation": self.generation,
            }
        return snapshot.publish(root, files, facts)

    @classmethod
    def load(cls, root: Path, version: str, space: Space) -> LikenessIndex:
        """Read a snapshot back. Raises `IndexCorrupt` on any altered byte, `SpaceMismatch` if another model made it."""
        files, facts = snapshot.read(root, version)
        space.require(Space(**facts["space"]), holder=f"index {root / version}")
        index = cls(space, Background(_array(files["cohort.npy"]), Prior(**facts["prior"])))
        rows = json.loads(files["rows.json"])
        index.add([row[0] for row in rows], [row[1] for row in rows], _array(files["vectors.npy"]))
        index.generation = facts["generation"]
        return index


def _npy(array: Vectors) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array.astype(np.float32, copy=False), allow_pickle=False)
    return stream.getvalue()


def _array(data: bytes) -> Vectors:
    array: Vectors = np.load(io.BytesIO(data), allow_pickle=False)
    return array

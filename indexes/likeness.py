"""LikenessIndex: vectors → references → likenesses, scored against a background cohort.

An index never changes. `with_references` and `without` make another, which shares what it can; whoever holds one searches exactly
that, for as long as it likes, whatever others make of it. Life of an index:
1. made empty for one `Space` and one `Background`, or loaded from a snapshot;
2. followed by others with references more or fewer: of 100,000 vectors of 512 components each costs a copy of 0.2 GB;
3. searched with unit vectors of the same space;
4. saved as a snapshot, whose version names its content.

What happens to duplicates: adding a reference id again changes nothing, whatever vector comes with it.
Ids are opaque here: who a likeness is, and what a picture shows, is known elsewhere. All methods are thread-safe and wait for nobody.
"""

from __future__ import annotations

import copy
import io
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from indexes.background import Background, Prior, fisher_z
from indexes.errors import SpaceMismatch
from indexes.exact import ExactIndex
from indexes.snapshot import Snapshots
from indexes.space import Space

Vectors = NDArray[np.float32]

_NEIGHBOURS = 64  # rows looked at per query; a likeness beyond them scores as chance
_UNIT_TOLERANCE = 1e-3
_ROWS = "rows.json"


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
    """An immutable index of likenesses, by the vectors of their references (see the module).

    `generation` is the caller's counter of what the index holds; it travels with snapshots.
    """

    def __init__(self, space: Space, background: Background) -> None:
        if background.cohort.shape[1:] != (space.dim,):
            raise SpaceMismatch(
                "background cohort", f"its rows are {background.cohort.shape}, not (m, {space.dim})", "Make the cohort again"
            )
        self._space = space
        self._background = background
        self._generation = 0
        self._spread = background.spread()
        self._exact = ExactIndex(space.dim)
        self._rows: dict[int, _Row] = {}
        self._ids: dict[str, int] = {}
        self._next_id = 0

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def space(self) -> Space:
        """The maker of the index's vectors."""
        return self._space

    @property
    def background(self) -> Background:
        """The cohort of strangers that the index's scores are counted from."""
        return self._background

    @property
    def generation(self) -> int:
        return self._generation

    @property
    def references(self) -> Mapping[str, str]:
        """The likeness id of each reference id in the index."""
        return MappingProxyType({row.reference: row.likeness for row in self._rows.values()})

    def with_references(self, references: Sequence[str], likenesses: Sequence[str], vectors: Vectors) -> Self:
        """An index with these references added, by their unit vectors `(n, dim)`; this index where no reference is new."""
        rows = self._unit(vectors)
        fresh = list({reference: i for i, reference in reversed(list(enumerate(references))) if reference not in self._ids}.values())[::-1]
        if not fresh:
            return self
        chosen = rows[fresh]
        ids = range(self._next_id, self._next_id + len(fresh))
        centres = self._background.centre(chosen).tolist()
        made = {row_id: _Row(references[i], likenesses[i], centre) for row_id, i, centre in zip(ids, fresh, centres, strict=True)}
        exact = self._exact.copy()
        exact.add(np.array(ids, np.int64), chosen)
        return self._like(_exact=exact, _rows=self._rows | made, _next_id=ids.stop)

    def without(self, references: Collection[str]) -> Self:
        """An index without these references, of which unknown ones are ignored; this index where all are unknown."""
        ids = {self._ids[reference] for reference in references if reference in self._ids}
        if not ids:
            return self
        exact = self._exact.copy()
        exact.remove(np.array(sorted(ids), np.int64))
        return self._like(_exact=exact, _rows={row_id: row for row_id, row in self._rows.items() if row_id not in ids})

    def of_generation(self, generation: int) -> Self:
        """An index of the same content under another generation; it shares everything."""
        return self._like(_generation=generation)

    def _like(self, **changed: object) -> Self:
        made = copy.copy(self)
        vars(made).update(changed)
        if "_rows" in changed:
            made._ids = {row.reference: row_id for row_id, row in made._rows.items()}
        return made

    def search(self, vectors: Vectors, space: Space) -> list[list[Hit]]:
        """The likenesses near each query row, best first, each likeness once with its best reference.

        Raises `SpaceMismatch` if the queries were not made by the index's own model.
        """
        self._space.require(space, holder="query vectors")
        queries = self._unit(vectors)
        similarities, ids = self._exact.search(queries, _NEIGHBOURS)
        centres = self._background.centre(queries)
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

    def save(self, snapshots: Snapshots) -> str:
        """Publish the index as a snapshot and return the snapshot's version, which changes with any content."""
        ids = sorted(self._rows, key=lambda row_id: self._rows[row_id].reference)  # equal content, equal version
        rows = [self._rows[i] for i in ids]
        files = {
            _ROWS: json.dumps([[row.reference, row.likeness] for row in rows]).encode(),  # first: see `references_in`
            "vectors.npy": _npy(self._exact.vectors(np.array(ids, np.int64))),
            "cohort.npy": _npy(self._background.cohort),
        }
        facts = {"space": asdict(self._space), "prior": asdict(self._background.prior), "count": len(rows)}
        return snapshots.publish(files, facts, self._generation)

    @classmethod
    def load(cls, snapshots: Snapshots, version: str, space: Space) -> LikenessIndex:
        """Read a snapshot back. Raises `IndexCorrupt` on any altered byte, `SpaceMismatch` if another model made it."""
        files, facts = snapshots.read(version)
        space.require(Space(**facts["space"]), holder=f"index {snapshots.root}/{version}")
        index = cls(space, Background(_array(files["cohort.npy"]), Prior(**facts["prior"])))
        rows = json.loads(files[_ROWS])
        index = index.with_references([row[0] for row in rows], [row[1] for row in rows], _array(files["vectors.npy"]))
        return index.of_generation(facts["generation"])


def references_in(snapshots: Snapshots, version: str) -> set[str] | None:
    """The ids of the references whose vectors lie in a snapshot, whole or half written; None where nobody can tell."""
    try:
        rows = json.loads(snapshots.part(version, _ROWS) or b"")
        return {str(reference) for reference, _ in rows}
    except (ValueError, TypeError):
        return None


def _npy(array: Vectors) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array.astype(np.float32, copy=False), allow_pickle=False)
    return stream.getvalue()


def _array(data: bytes) -> Vectors:
    array: Vectors = np.load(io.BytesIO(data), allow_pickle=False)
    return array

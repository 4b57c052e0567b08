"""Exact inner-product search with stable row ids, removal in place, and no rebuild.

Life of a row: `add` → found by every later `search` → `remove` → found by none. Ids are the caller's,
unique among the rows that live. Searches may run at once; adding and removing may not run beside anything else.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from indexes.engine import faiss

Vectors = NDArray[np.float32]
Ids = NDArray[np.int64]


class ExactIndex:
    """Rows of `dim` float32 components; unit rows make the inner product a cosine."""

    def __init__(self, dim: int) -> None:
        self.dim = dim
        self._index = faiss.IndexIDMap2(faiss.IndexFlatIP(dim))

    def copy(self) -> ExactIndex:
        """An index with the same rows; a change of either leaves the other as it was."""
        made = ExactIndex(self.dim)
        made._index = faiss.clone_index(self._index)
        return made

    def __len__(self) -> int:
        return int(self._index.ntotal)

    def add(self, ids: Ids, vectors: Vectors) -> None:
        """Append rows `(n, dim)` under `ids` `(n,)`. Duplicate ids are the caller's mistake."""
        self._index.add_with_ids(_rows(vectors, self.dim), np.ascontiguousarray(ids, dtype=np.int64))

    def remove(self, ids: Ids) -> int:
        """Forget the rows; unknown ids are ignored. Returns how many went."""
        return int(self._index.remove_ids(np.ascontiguousarray(ids, dtype=np.int64)))

    def search(self, queries: Vectors, k: int) -> tuple[Vectors, Ids]:
        """The `k` greatest inner products per query, descending: similarities and ids `(n, k)`, missing ids -1."""
        if len(self) == 0 or len(queries) == 0:
            return np.full((len(queries), 0), -np.inf, np.float32), np.empty((len(queries), 0), np.int64)
        similarities, ids = self._index.search(_rows(queries, self.dim), min(k, len(self)))
        return similarities, ids

    def vectors(self, ids: Ids) -> Vectors:
        """The stored rows `(n, dim)` of `ids`, in the order of `ids`."""
        if len(ids) == 0:
            return np.empty((0, self.dim), np.float32)
        return np.stack([self._index.reconstruct(int(i)) for i in ids])


def _rows(vectors: Vectors, dim: int) -> Vectors:
    rows = np.ascontiguousarray(vectors, dtype=np.float32)
    if rows.ndim != 2 or rows.shape[1] != dim:
        raise ValueError(f"expected (n, {dim}) vectors, got {rows.shape}")
    return rows

from __future__ import annotations

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from indexes.engine import _core_type
from indexes.exact import ExactIndex


def test_the_bundled_openblas_does_not_take_this_machine_for_a_prescott() -> None:
    ExactIndex(4).add(np.array([0]), np.eye(4, dtype=np.float32)[:1])
    ours = [info for info in threadpool_info() if "faiss" in info["filepath"] and info["internal_api"] == "openblas"]
    if not ours:
        pytest.skip("this build of FAISS does not bundle OpenBLAS")
    assert {info["architecture"] for info in ours}.isdisjoint({"Prescott"})


@pytest.mark.parametrize(
    ("flags", "core"),
    [("fma avx2 avx512f avx512bw avx512vl", "SkylakeX"), ("fma avx2", "Haswell"), ("sse2", None), ("avx512f avx2", "Haswell")],
)
def test_core_type_from_the_flags_of_the_processor(flags: str, core: str | None) -> None:
    assert _core_type(flags) == core


def test_exact_search_against_numpy() -> None:
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((500, 16)).astype(np.float32)
    queries = rng.standard_normal((20, 16)).astype(np.float32)
    index = ExactIndex(16)
    index.add(np.arange(500, dtype=np.int64) + 1000, rows)
    index.remove(np.array([1003, 1499]))
    similarities, ids = index.search(queries, 5)
    truth = queries @ rows.T
    truth[:, [3, 499]] = -np.inf
    assert (ids == np.argsort(-truth, axis=1)[:, :5] + 1000).all()
    np.testing.assert_allclose(similarities, -np.sort(-truth, axis=1)[:, :5], rtol=1e-4)
    with pytest.raises(ValueError, match="expected"):
        index.search(np.zeros((1, 15), np.float32), 1)

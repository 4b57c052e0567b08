"""The one place that imports FAISS, because how it is imported decides its speed.

The wheel bundles an OpenBLAS that takes newer CPUs for a Prescott and then searches five times
slower; naming the core type before the import mends that. Small batches stay on BLAS too.
"""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType

_BLAS_FROM_BATCH = 4  # FAISS's default of 128,000 is five times slower for batches of 16


def _core_type(cpuinfo: str) -> str | None:
    flags = cpuinfo.split()
    if {"avx512f", "avx512bw", "avx512vl"} <= set(flags):
        return "SkylakeX"
    return "Haswell" if "avx2" in flags else None


def _load() -> ModuleType:
    cpuinfo = Path("/proc/cpuinfo")
    core = _core_type(cpuinfo.read_text()) if cpuinfo.exists() else None
    if core is not None:
        os.environ.setdefault("OPENBLAS_CORETYPE", core)
    import faiss

    faiss.cvar.distance_compute_blas_threshold = _BLAS_FROM_BATCH
    return faiss


faiss = _load()

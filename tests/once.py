"""What is costly is made once in a test run, by whichever of its processes needs it first; the others wait for it and take copies.

A run's code does not change, so a name and what it is made from are its whole content. It lies in the run's temporary folder, which
pytest removes; two runs share nothing.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def run_folder(factory: pytest.TempPathFactory) -> Path:
    """The folder that all processes of this test run share."""
    own = factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


def run_pid() -> int:
    """The process that lives as long as this test run: with xdist the one that hands out the tests."""
    return os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """One process at a time; the kernel lets go of what a killed one held."""
    with file.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def once(place: Path, make: Callable[[Path], object]) -> Path:
    """`place`, filled by `make(folder)` if nobody has filled it yet. It appears whole or not at all, so `make` must write no path of it."""
    with locked(place.with_name(f"{place.name}.lock")):
        if not place.exists():
            scratch = place.with_name(f"{place.name}.making")
            shutil.rmtree(scratch, ignore_errors=True)  # of one that was killed at it
            scratch.mkdir()
            make(scratch)
            scratch.rename(place)
    return place

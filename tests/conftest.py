"""What every test may ask for: the shared data, a home of its own, a settings object."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.keeper import stop_keepers
from tests.once import once, run_folder
from tests.spread import spread

if TYPE_CHECKING:
    from tests.monitor.household import Household

pytest_plugins = ["tests.browser", "tests.kafka", "tests.object_store", "tests.openssl", "tests.postgres"]

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as monitor.cli does, before torch is loaded

SHARED = Path(os.environ.get("SOSIE_TEST_SHARED", Path(__file__).parent.parent.parent / "shared" / "data")).resolve()


LOADED_BY_COLLECTION = pytest.StashKey[frozenset[str]]()
"""What all test modules and their fixtures had imported before the first test ran."""


def pytest_collection_finish(session: pytest.Session) -> None:
    session.config.stash[LOADED_BY_COLLECTION] = frozenset(sys.modules)


@pytest.hookimpl(trylast=True)  # after `-m` has chosen
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    heavy = {item for item in items if item.get_closest_marker("workers")}
    items[:] = spread(items, heavy.__contains__, lambda item: item.path)
    if SHARED.is_dir():
        return
    skip = pytest.mark.skip(reason=f"SHARED DATA MISSING: {SHARED} (set SOSIE_TEST_SHARED); real files are not covered by this run")
    for item in items:
        if item.get_closest_marker("shared_data"):
            item.add_marker(skip)


@pytest.fixture(autouse=True)
def _ordinary_scheduling() -> Iterator[None]:
    """Encoders that run as root may raise the calling thread to real time (SVT-AV1 does). Every process started afterwards would
    inherit that, and two busy ones starve the machine: brokers, browsers, workers."""
    yield
    if hasattr(os, "sched_getscheduler") and os.sched_getscheduler(0) != os.SCHED_OTHER:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The internal data folder; only for tests marked `shared_data`."""
    return SHARED


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A SOSIE_HOME of the test's own, with no other SOSIE_* variable set."""
    for name in list(os.environ):
        if name.startswith("SOSIE_") and not name.startswith("SOSIE_TEST_"):
            monkeypatch.delenv(name)
    directory = tmp_path / "home"
    monkeypatch.setenv("SOSIE_HOME", str(directory))
    return directory


@pytest.fixture(scope="session")
def household(tmp_path_factory: pytest.TempPathFactory) -> Household:
    """A prepared home and clips, made once for all tests of a run."""
    from tests.monitor.household import Household  # here: it imports torch, for which OMP_WAIT_POLICY must be set

    place = once(run_folder(tmp_path_factory) / "household", Household.made_in)
    return Household(place / "home", place / "clips")


def pytest_xdist_auto_num_workers() -> int:
    """For `--numprocesses=auto`: one more than there are cores, because many tests wait for brokers, browsers and processes."""
    return (os.cpu_count() or 1) + 1


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """The run's servers stop with the process that hands out the tests, after all others have ended."""
    factory = getattr(config, "_tmp_path_factory", None)
    if "PYTEST_XDIST_WORKER" not in os.environ and factory is not None and factory._basetemp is not None:
        stop_keepers(run_folder(factory))

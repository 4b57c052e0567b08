"""A home of each test's own, copied from the household."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from monitor.base import settings
from monitor.review import accounts
from monitor.scan.workshop import Workshop
from tests.monitor.household import Household, long_film
from tests.once import once, run_folder


@pytest.fixture(autouse=True)
def _quick_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Argon2 at its least: at its full cost a tenth of all tests' time went there. The hashes say their cost, so any reads any."""
    monkeypatch.setattr(accounts, "_hasher", PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))


@pytest.fixture
def furnished(household: Household, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """SOSIE_HOME with the singer and the athlete registered and indexed."""
    monkeypatch.setenv("SOSIE_THREADS", "1")
    return household.copy_home(home)


@pytest.fixture
def clips(household: Household) -> Path:
    return household.clips


@pytest.fixture
def workshop(furnished: Path) -> Iterator[Workshop]:
    """The parts over the furnished home, in this process."""
    with Workshop(settings.load()) as made:
        yield made


@pytest.fixture(scope="session")
def long_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two hours in which every frame differs: there is time to do something while it is scanned."""
    made = once(run_folder(tmp_path_factory) / "long", lambda folder: long_film(folder / "two-hours.mp4", 2 * 3600, change_every_s=1))
    return made / "two-hours.mp4"

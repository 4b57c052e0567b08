"""A stage per test, on SQLite or PostgreSQL."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from monitor.base import settings
from monitor.cast.roster import LICENSED
from monitor.cli import demonstration
from monitor.scan.workshop import Workshop
from tests.kafka import Broker, Existing
from tests.monitor.household import SINGER, Household
from tests.once import once, run_folder
from tests.postgres import Server, database, running_server, server_url, template_folder, template_once
from tests.streams.recall import MEMORIES, remember
from tests.streams.stage import Stage, staged

SEED = int(os.environ.get("SOSIE_TEST_SEED", "0")) or random.SystemRandom().randrange(1, 2**31)
"""Printed by every stage; set SOSIE_TEST_SEED to it to repeat a run's random choices."""

MakeStage = Callable[..., AbstractContextManager[Stage]]


@pytest.fixture(scope="session")
def postgres_household(postgres_server: Path, household: Household, tmp_path_factory: pytest.TempPathFactory) -> tuple[Household, str]:
    """The household with its registry in PostgreSQL, and the name of that database, to copy."""
    name = template_once(tmp_path_factory, postgres_server, "household", lambda url, folder: register(folder / "home", url))
    return replace(household, home=template_folder(tmp_path_factory, name) / "home"), name


@pytest.fixture
def own_postgres(postgres_server: Path, postgres_household: tuple[Household, str]) -> Iterator[tuple[Server, Household]]:
    """A server of the test's own, to be stopped and started, and the household whose registry is in its database `postgres`."""
    house, template = postgres_household
    with running_server() as server:
        server.take_over(postgres_server, template)
        yield server, house


def register(home: Path, url: str) -> None:
    """The singer and the athlete, as `Household.made_in` registers them."""
    with Workshop(settings.load({}, home=home, threads=1, database_url=url)) as workshop:
        home.mkdir()
        demonstration.register(workshop, (SINGER, LICENSED))
        workshop.gallery.current()


@pytest.fixture(scope="session")
def memories(household: Household, tmp_path_factory: pytest.TempPathFactory) -> str:
    """For SOSIE_TEST_MEMORIES (see `recall.py`), which stages set: their workers start without torch. "" has them use it."""
    place = run_folder(tmp_path_factory) / "memories"
    return str(once(place, lambda folder: remember(household.copy_home(folder / "home"), household.clips, folder)))


@pytest.fixture
def sqlite_stage(tmp_path: Path, household: Household, kafka_broker: Broker | Existing, kafka_prefix: str, memories: str) -> MakeStage:
    def make(*, brokers: str = kafka_broker.brokers, **overrides: str) -> AbstractContextManager[Stage]:
        url = f"sqlite:///{tmp_path / 'stage' / 'home' / 'sosie.sqlite3'}"
        return staged(tmp_path / "stage", household, brokers, kafka_prefix, url, seed=SEED, **{MEMORIES: memories} | overrides)

    return make


@pytest.fixture
def postgres_stage(
    tmp_path: Path,
    postgres_server: Path,
    postgres_household: tuple[Household, str],
    kafka_broker: Broker | Existing,
    kafka_prefix: str,
    memories: str,
) -> MakeStage:
    house, template = postgres_household

    @contextmanager
    def make(**overrides: str) -> Iterator[Stage]:
        with database(postgres_server, template) as name:
            url = server_url(postgres_server, name)
            given = {MEMORIES: memories} | overrides
            with staged(tmp_path / "stage", house, kafka_broker.brokers, kafka_prefix, url, seed=SEED, **given) as stage:
                yield stage

    return make

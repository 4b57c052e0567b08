"""The broker and the database go away and come back, on the same data: nothing lost, and workers recover by themselves.

`make chaos` kills the broker as well.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.kafka import Broker, Existing
from tests.monitor.household import Household
from tests.postgres import Server, server_url
from tests.streams.conftest import SEED, MakeStage
from tests.streams.recall import MEMORIES
from tests.streams.stage import Stage, staged

# Their slice: tests/streams/test_publisher.py outlives a broker, tests/streams/test_faults_of_our_own.py a failover.
pytestmark = [pytest.mark.kafka, pytest.mark.workers, pytest.mark.long, pytest.mark.timeout(1200)]

MIX = ("singer.mp4", "athlete.mp4", "stranger.mp4")


def _busy(stage: Stage) -> None:
    """Two workers in the middle of it."""
    stage.post(MIX * 3)
    stage.worker()
    stage.worker()
    stage.wait_until_quiet(done=lambda report: report.done > 0)
    stage.post(MIX * 3)
    time.sleep(stage.rng.uniform(0, 2))


@pytest.mark.parametrize("away_s", [0, 30])  # within the time that a client tries by itself, and longer
def test_a_broker_stopped_and_started_again(sqlite_stage: MakeStage, own_broker: Broker, away_s: float) -> None:
    with sqlite_stage(brokers=own_broker.brokers) as stage:
        _busy(stage)
        own_broker.stop()
        time.sleep(away_s)
        own_broker.start()
        stage.post(MIX)
        stage.wait_until_quiet()
        stage.check()
        assert stage.stop() == [0, 0]
        assert [worker.statuses for worker in stage.crew] == [[0], [0]], "they recovered by themselves"


@pytest.mark.postgres
def test_postgresql_stopped_and_started_again(
    tmp_path: Path, own_postgres: tuple[Server, Household], kafka_broker: Existing, kafka_prefix: str, memories: str
) -> None:
    server, house = own_postgres
    url = server_url(server.folder, "postgres")
    with staged(tmp_path / "stage", house, kafka_broker.brokers, kafka_prefix, url, seed=SEED, **{MEMORIES: memories}) as stage:
        _busy(stage)
        for _ in range(3):
            server.stop()
            time.sleep(stage.rng.uniform(3, 8))
            server.start()
            stage.post(MIX)
            time.sleep(stage.rng.uniform(0, 3))
        stage.wait_until_quiet()
        stage.check()
        assert stage.stop() == [0, 0]
        assert [worker.statuses for worker in stage.crew] == [[0], [0]], "they recovered by themselves"

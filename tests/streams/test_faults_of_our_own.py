"""Sosie's own faults, really made: a standby, revoked rights, full and read-only disks, another model, a flipped bit, a killing event.

Two workers on a real Kafka and PostgreSQL. 0 missing, 0 doubled, 0 dead letters that are not the post's fault. `test_whose_fault.py`
and `test_gate.py` ask the same of every kind of error without processes; `make chaos` mixes these with every other fault.
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from streams.attempts import Attempt
from streams.gate import DEATHS
from streams.publisher import Record
from tests.kafka import Broker, Existing
from tests.monitor.household import Household
from tests.monitor.intake.servers import file_server
from tests.postgres import Server
from tests.streams.conftest import SEED, MakeStage
from tests.streams.recall import MEMORIES
from tests.streams.saboteur import KILLER
from tests.streams.stage import NO_RESULT, Stage, staged
from tests.streams.troubles import troubles, worker_url

pytestmark = [pytest.mark.kafka, pytest.mark.workers, pytest.mark.timeout(1200)]

MIX = ("singer.mp4", "athlete.mp4", "stranger.mp4")


def _until(stage: Stage, true: Callable[[], bool], limit_s: float = 240) -> None:
    deadline = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < deadline, f"{[worker.asked('/health/ready') for worker in stage.crew]}\n{stage.logs()}"
        time.sleep(0.3)


@pytest.fixture
def server(own_postgres: tuple[Server, Household]) -> Server:
    return own_postgres[0]


@pytest.fixture
def stage(
    own_postgres: tuple[Server, Household], tmp_path: Path, kafka_broker: Broker | Existing, kafka_prefix: str, memories: str
) -> Iterator[Stage]:
    server, house = own_postgres
    given = {MEMORIES: memories}
    with staged(tmp_path / "stage", house, kafka_broker.brokers, kafka_prefix, worker_url(server), seed=SEED, **given) as made:
        yield made


@pytest.mark.postgres
@pytest.mark.parametrize("every", [4, pytest.param(1, id="all", marks=pytest.mark.long)])
def test_each_of_them_is_named_waited_out_and_costs_no_post(stage: Stage, server: Server, every: int) -> None:
    stage.post(MIX)
    stage.worker()
    stage.worker()
    stage.wait_until_quiet()
    for trouble in [*troubles(stage, server)][::every]:
        print(trouble.name)
        with trouble.block():
            if trouble.restarts:
                for worker in stage.crew:
                    worker.restart()
            stage.post(MIX * 2)
            _until(stage, lambda words=trouble.words: any(words in worker.asked("/health/ready")[1] for worker in stage.crew))  # type: ignore[misc]
            assert all(worker.asked("/health/live")[0] in (0, 200) for worker in stage.crew), "it waits, and is not hung"
            assert dict(stage.report().dead) == {}, trouble.name
        stage.wait_until_quiet()
        _until(stage, lambda: all(worker.asked("/health/ready")[0] == 200 for worker in stage.crew))
    stage.check()
    assert stage.stop() == [0, 0]
    assert [set(worker.statuses) for worker in stage.crew] == [{0}, {0}], "no worker died of any of it"


@pytest.mark.parametrize("deaths", [DEATHS - 1, pytest.param(0, marks=pytest.mark.long)])
def test_an_event_that_kills_its_worker_is_quarantined_and_its_neighbours_are_unharmed(sqlite_stage: MakeStage, deaths: int) -> None:
    """`deaths`: so many workers died of it before these began."""
    with sqlite_stage() as stage:
        (stage.clips / KILLER).write_bytes((stage.clips / "stranger.mp4").read_bytes())
        stage.post(MIX * 2)
        (killer,) = stage.post([KILLER], fresh=False)
        stage.posted[killer] = NO_RESULT
        if deaths:
            partition, offset = stage.placed[killer]
            row = {"topic": f"{stage.prefix}.videos", "partition": partition, "position": offset, "owner": "before"}
            with stage.store() as store, store.session() as session:
                session.add(Attempt(**row, tries=deaths, alone=deaths, begun_at=datetime.now(UTC)))
        stage.post(MIX * 2)
        stage.worker()
        stage.worker()
        deadline = time.monotonic() + 800
        while stage.report().dead.get("quarantined", 0) == 0:
            assert time.monotonic() < deadline, stage.logs()
            if stage.behind() < 6:
                stage.post(MIX)  # as posts go on in the world
            time.sleep(2)
        stage.wait_until_quiet()
        stage.check(dead={"quarantined": 1})
        assert stage.rows("SELECT count(*) FROM attempts") == [(0,)]
        assert sum(status == -signal.SIGKILL for worker in stage.crew for status in worker.statuses) >= DEATHS - deaths
        stage.stop()


@pytest.fixture
def gone_url() -> Iterator[str]:
    with file_server() as server:
        yield server.url("/status/404")


def test_sixty_posts_that_answer_404_among_good_ones_stop_no_worker(sqlite_stage: MakeStage, gone_url: str) -> None:
    with sqlite_stage(SOSIE_FETCH_ALLOW_PRIVATE="true", SOSIE_DEAD_LETTER_RUN="5") as stage:  # each partition has some twenty in a row
        gone = [{"type": "sosie.video_posted", "version": 1, "id": f"gone-{n}", "uri": f"{gone_url}?{n}"} for n in range(60)]
        stage.post(["stranger.mp4"] * 20, fresh=False)
        stage.send([Record(key=str(post["id"]).encode(), value=json.dumps(post).encode()) for post in gone])
        stage.post(["stranger.mp4"] * 20, fresh=False)
        stage.worker()
        stage.worker()
        stage.wait_until_quiet()
        stage.check(dead={"fetch_refused": 60})
        assert stage.stop() == [0, 0]
        assert [worker.statuses for worker in stage.crew] == [[0], [0]]

"""Every fault, on a real Kafka, with real videos and real processes: nothing lost, nothing doubled.

Three partitions, two workers, faults at random moments (the seed is printed). Their networks remember (`recall.py`), but for one run per
database that looks anew. What is marked `long` is the same test at full length. `make chaos` runs it for as long as one likes.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from monitor.base.metrics import STAGES
from streams.dead_letter_box import read_box
from streams.messages import MAX_BYTES
from streams.publisher import Record
from tests.monitor.household import long_film
from tests.monitor.intake.servers import file_server
from tests.streams.conftest import MakeStage
from tests.streams.crew import decoder
from tests.streams.stage import NO_RESULT, Stage

pytestmark = [pytest.mark.kafka, pytest.mark.workers, pytest.mark.timeout(1200)]

KILLED = -signal.SIGKILL
MIX = ("singer.mp4", "athlete.mp4", "stranger.mp4")
STEPS = ("fetch-ends", "decode-ends", "embed-ends", "review-begins", "review-ends", "event-sent", "before-commit", "after-commit")
WORST_STEPS = ("review-ends", "event-sent", "before-commit")


def short_and_long(short: object, long: object) -> pytest.MarkDecorator:
    """The same test twice: a `size` that takes seconds, and its full one."""
    return pytest.mark.parametrize("size", [pytest.param(short, id="short"), pytest.param(long, id="long", marks=pytest.mark.long)])


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=[pytest.mark.postgres, pytest.mark.long])])
def make_stage(request: pytest.FixtureRequest) -> MakeStage:
    made: MakeStage = request.getfixturevalue("sqlite_stage" if request.param == "sqlite" else "postgres_stage")
    return made


@pytest.mark.long  # its slice: the kills below, by networks that remember
def test_real_networks_look_at_real_videos_and_one_is_killed_at_it(make_stage: MakeStage) -> None:
    with make_stage(SOSIE_TEST_MEMORIES="") as stage:
        stage.post(MIX)
        stage.trap("embed-ends", "kill")
        stage.worker()
        _keep_busy_until_all_traps_are_met(stage)
        stage.wait_until_quiet()
        assert stage.crew[0].statuses == [KILLED]
        stage.check()
        assert stage.stop() == [0]


@pytest.mark.parametrize(
    ("make_stage", "steps"),
    [
        pytest.param("sqlite", WORST_STEPS, id="sqlite-short"),
        pytest.param("sqlite", STEPS, id="sqlite-long", marks=pytest.mark.long),
        pytest.param("postgresql", STEPS, id="postgresql-long", marks=[pytest.mark.postgres, pytest.mark.long]),
    ],
    indirect=["make_stage"],
)
def test_kill_9_at_any_step_loses_nothing_and_doubles_nothing(make_stage: MakeStage, steps: tuple[str, ...]) -> None:
    with make_stage() as stage:
        _killed_at(steps, stage)


def _killed_at(steps: tuple[str, ...], stage: Stage) -> None:
    stage.post(MIX * 4)
    for step in steps:
        stage.trap(step, "kill")
    stage.worker()
    stage.worker()
    _keep_busy_until_all_traps_are_met(stage)
    stage.wait_until_quiet()
    assert sum(status == KILLED for worker in stage.crew for status in worker.statuses) == len(steps)
    stage.check()
    _until(stage, lambda: all(worker.holds > 0 for worker in stage.crew))  # one that has only just begun to load ends by the signal itself
    assert stage.stop() == [0, 0]


def _keep_busy_until_all_traps_are_met(stage: Stage, limit_s: float = 500) -> None:
    deadline = time.monotonic() + limit_s
    while any(stage.traps.iterdir()):
        assert time.monotonic() < deadline, f"{sorted(stage.traps.iterdir())}\n{stage.logs()}"
        if stage.behind() < 2 * len(MIX):  # work for those that are started again
            stage.post(stage.rng.choices(MIX, k=2))
        time.sleep(stage.rng.uniform(0.1, 1))


@short_and_long(1, 2)
def test_sigterm_under_load_and_scaling_from_one_to_three_to_one(sqlite_stage: MakeStage, size: int) -> None:
    with sqlite_stage() as stage:
        stage.worker(restarted=False)
        stage.post(MIX * 4)
        stage.wait_until_quiet(done=lambda report: report.done > 3)
        later = [stage.worker(restarted=False) for _ in range(size)]
        stage.post(MIX * 8)
        _until(stage, lambda: all(worker.holds > 0 for worker in later))
        for worker in later:
            worker.terminate()
            stage.post(stage.rng.choices(MIX, k=3))
        assert [worker.wait() for worker in later] == [0] * size
        stage.post(MIX)
        stage.wait_until_quiet()
        assert stage.stop() == [0] * (1 + size)
        stage.check()


@short_and_long(("decode", "review"), STAGES)
def test_an_exception_in_every_step_is_retried_or_put_aside_and_the_partition_goes_on(
    sqlite_stage: MakeStage, size: tuple[str, ...]
) -> None:
    with sqlite_stage(SOSIE_WORKER_ATTEMPTS="20") as stage:  # while one event is let through, it alone may meet the traps of all steps
        _except_in(size, stage)


def _except_in(steps: tuple[str, ...], stage: Stage) -> None:
    begins = [f"{name}-begins" for name in steps]
    for point in begins:
        stage.trap(point, stage.rng.choice(("database_busy", "storage_full")))  # the world's fault: waited out
        stage.trap(point, "fetch_failed")  # the source's: tried again
        stage.trap(point, "bug")  # ours: tried again
    stage.post(MIX * 4)
    workers = [stage.worker(), stage.worker()]
    _keep_busy_until_all_traps_are_met(stage)
    stage.wait_until_quiet()
    stage.check()

    for point in begins:
        stage.trap(point, "not_a_video")  # for good: one dead letter each
    before = len(stage.posted)
    _keep_busy_until_all_traps_are_met(stage)
    report = stage.wait_until_quiet()
    assert dict(report.dead) == {"not_a_video": len(begins)}, report
    done = set(stage.outcomes())
    for post in list(stage.posted)[before:]:
        if post not in done:
            stage.posted[post] = NO_RESULT
    assert list(stage.posted.values()).count(NO_RESULT) == len(begins)
    stage.check(dead={"not_a_video": len(begins)})
    assert stage.stop() == [0, 0]
    assert [worker.statuses for worker in workers] == [[0], [0]]


def test_what_is_no_message_is_a_dead_letter_with_its_reason_and_never_a_dead_worker(sqlite_stage: MakeStage) -> None:
    with sqlite_stage() as stage:
        good = {"type": "sosie.video_posted", "version": 1, "id": "p", "uri": "https://videos.example/v.mp4"}
        stage.post(MIX)
        stage.send(
            [
                Record(key=None, value=os.urandom(200)),
                Record(key=b"\xff\x00", value=b"{" + b'"a":' * 5),
                Record(key=b"k", value=b"[" * 100_000),
                Record(key=b"k", value=None),
                Record(key=b"k", value=json.dumps(good | {"views": "many"}).encode()),
                Record(key=b"k", value=json.dumps({"type": "sosie.video_posted", "version": 1}).encode()),
                Record(key=b"k", value=json.dumps(good | {"version": 99}).encode()),
                Record(key=b"k", value=b'{"pad": "' + b"x" * 5 * 1024**2 + b'"}'),
                Record(key=b"k", value=json.dumps(good | {"uri": "file:///etc/passwd"}).encode()),
                Record(key=b"k", value=json.dumps(good | {"uri": "gopher://videos.example/v"}).encode()),
                Record(key=b"k", value=json.dumps(good | {"uri": "http://127.0.0.1:9/v.mp4"}).encode()),
            ]
        )
        stage.post(MIX)
        workers = [stage.worker(), stage.worker()]
        stage.wait_until_quiet()
        stage.check(dead={"bad_message": 7, "unknown_version": 1, "fetch_refused": 2, "blocked_address": 1})
        assert stage.stop() == [0, 0]
        assert [worker.statuses for worker in workers] == [[0], [0]]
        assert MAX_BYTES < 5 * 1024**2


@pytest.mark.long  # its slice: tests/monitor/scan/test_bad_input.py, the same without Kafka
def test_a_video_that_kills_or_hangs_its_decoder_is_a_dead_letter_and_its_neighbours_are_unharmed(sqlite_stage: MakeStage) -> None:
    with sqlite_stage(SOSIE_DECODE_TIMEOUT_S="12") as stage:
        film = long_film(stage.clips / "long.mp4", 2 * 3600, change_every_s=1)
        killed, hung = film.with_name("killed.mp4"), film.with_name("hung.mp4")
        killed.write_bytes(film.read_bytes() + b"\x00\x00\x00\x09free1")
        hung.write_bytes(film.read_bytes() + b"\x00\x00\x00\x09free2")
        workers = [stage.worker(slots=3), stage.worker(slots=3)]
        _until(stage, lambda: all(worker.holds > 0 for worker in workers))  # else a partition may move, and its event begin anew
        stage.post(["killed.mp4", "hung.mp4"], fresh=False)
        stage.post(MIX * 2)
        decoder([worker.pid for worker in workers], killed).kill()
        decoder([worker.pid for worker in workers], hung)  # stays stopped
        report = stage.wait_until_quiet()
        stage.posted |= {"post-00000": NO_RESULT, "post-00001": NO_RESULT}
        assert dict(report.dead) == {"decoder_died": 1, "decoder_timeout": 1}
        stage.check(dead={"decoder_died": 1, "decoder_timeout": 1})
        assert stage.stop() == [0, 0]
        assert [worker.statuses for worker in workers] == [[0], [0]]


@pytest.mark.postgres
@short_and_long(1, 3)
def test_a_topic_replayed_three_times_from_the_start_makes_no_case_and_changes_no_verdict(postgres_stage: MakeStage, size: int) -> None:
    with postgres_stage() as stage:
        _replay(stage, size)


def _replay(stage: Stage, times: int) -> None:
    stage.post(MIX * 3)
    stage.worker(restarted=False)
    stage.wait_until_quiet()
    assert stage.stop() == [0]
    stage.decide_first_case()
    before = stage.everything()
    assert before["verdicts"]
    for _ in range(times):
        stage.rewind()
        assert stage.behind() == 9
        stage.worker(restarted=False)
        stage.wait_until_quiet()
        assert stage.stop()[-1] == 0
        assert stage.everything() == before
    stage.check()


@pytest.mark.long  # its slice: tests/monitor/scan/test_bad_input.py, the same without Kafka
def test_a_locked_sqlite_database_costs_time_and_nothing_else(sqlite_stage: MakeStage) -> None:
    with sqlite_stage() as stage:
        workers = [stage.worker(), stage.worker()]
        for _ in range(3):
            stage.post(MIX)
            time.sleep(stage.rng.uniform(0.1, 4))
            with stage.locked_database():
                time.sleep(stage.rng.uniform(6, 9))  # longer than the 5 s a statement waits
        stage.wait_until_quiet()
        stage.check()
        assert stage.stop() == [0, 0]
        assert [worker.statuses for worker in workers] == [[0], [0]]


@pytest.fixture
def refusing_url() -> Iterator[str]:
    with file_server() as server:
        yield server.url("/status/503")


@short_and_long(50, 1000)
def test_a_poison_event_among_a_thousand_is_late_alone(sqlite_stage: MakeStage, refusing_url: str, size: int) -> None:
    with sqlite_stage(SOSIE_WORKER_ATTEMPTS="5", SOSIE_FETCH_ALLOW_PRIVATE="true") as stage:
        stage.post(["stranger.mp4"] * (size // 10), fresh=False)
        poison = {"type": "sosie.video_posted", "version": 1, "id": "poison", "uri": refusing_url}
        ((partition, offset),) = stage.send([Record(key=b"poison", value=json.dumps(poison).encode())])
        stage.post(["stranger.mp4"] * (size - size // 10), fresh=False)
        stage.worker()
        stage.worker()
        stage.wait_until_quiet()
        stage.check(dead={"fetch_failed": 1})
        gave_up = next(iter(read_box(stage.settings).values())).at
        behind = {post for post, (p, o) in stage.placed.items() if p == partition and o > offset}
        received = stage.rows("SELECT id, received_at FROM posts")
        overtook = [post for post, at in received if post in behind and _instant(at) < gave_up]
        assert len(overtook) > size // 50, "those behind it on its partition did not wait for its five tries"
        assert stage.stop() == [0, 0]


def _instant(at: datetime | str) -> datetime:
    """SQLite gives text, PostgreSQL a time."""
    found = datetime.fromisoformat(at) if isinstance(at, str) else at
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _until(stage: Stage, true: Callable[[], bool], limit_s: float = 400) -> None:
    deadline = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < deadline, stage.logs()
        time.sleep(0.3)

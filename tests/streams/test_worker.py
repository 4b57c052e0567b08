"""A worker as a process: what it tells of itself, and that a long video starves nothing."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from streams.publisher import Record
from tests.kafka import Broker
from tests.monitor.household import finished, long_film, script, sosie
from tests.streams.conftest import MakeStage
from tests.streams.crew import Worker, decoder
from tests.streams.stage import NO_RESULT, Stage

pytestmark = [pytest.mark.kafka, pytest.mark.workers, pytest.mark.timeout(900)]


def until(true: Callable[[], bool], stage: Stage, limit_s: float = 400) -> None:
    deadline = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < deadline, stage.logs()
        time.sleep(0.1)


@pytest.mark.long  # its slice: tests/streams/test_faults_of_our_own.py, where workers say why they are not ready
def test_it_is_alive_before_it_is_ready_and_unready_when_its_index_does_not_fit_any_more(sqlite_stage: MakeStage) -> None:
    with sqlite_stage(SOSIE_TEST_MEMORIES="") as stage:  # loading takes its time
        worker = stage.worker()
        until(lambda: worker.port is not None, stage)
        assert worker.asked("/health/ready") == (503, "the index is not loaded yet; the broker has not been reached yet")
        assert worker.asked("/health/live")[0] == 200
        until(lambda: worker.asked("/health/ready")[0] == 200, stage)
        assert worker.asked("/health/ready")[1] == "the index is loaded and current, the broker is there"
        with stage.store() as store, store.session() as session:  # a picture that another model embedded
            session.connection().exec_driver_sql("DELETE FROM reference_vectors")
            session.connection().exec_driver_sql("UPDATE registry_state SET generation = generation + 1")
        until(lambda: worker.asked("/health/ready")[0] == 503, stage)
        assert "Run `sosie index rebuild`" in worker.asked("/health/ready")[1]
        assert worker.asked("/health/live")[0] == 200
        assert stage.stop() == [0]


@pytest.mark.long  # its slice: tests/streams/test_health.py
def test_a_hung_worker_says_that_it_does_not_live(sqlite_stage: MakeStage) -> None:
    with sqlite_stage(SOSIE_WORKER_STALLED_S="4", SOSIE_WORKER_STOP_S="0") as stage:
        film = long_film(stage.clips / "long.mp4", 2 * 3600, change_every_s=1)
        stage.post(["long.mp4"], fresh=False)
        worker = stage.worker()
        decoder([worker.pid], film)  # stays stopped
        until(lambda: worker.asked("/health/live")[0] == 503, stage)
        assert "nothing was acknowledged for" in worker.asked("/health/live")[1]
        assert stage.stop() == [0], "what hangs is handed back, not waited for"
        assert stage.behind() == 1


@pytest.mark.long  # its slice: tests/streams/test_delivery.py, where one event takes long
def test_a_long_video_starves_neither_its_neighbours_nor_heartbeats_commits_and_metrics(sqlite_stage: MakeStage) -> None:
    with sqlite_stage() as stage:
        film = long_film(stage.clips / "long.mp4", 2 * 3600, change_every_s=1)
        (long,) = stage.post(["long.mp4"], fresh=False)
        worker = stage.worker(slots=2)
        decoder([worker.pid], film).resume()
        others = stage.post(["stranger.mp4", "singer.mp4", "athlete.mp4"] * 3)
        until(lambda: set(others) <= set(stage.outcomes()), stage)
        assert long not in stage.outcomes(), "the long one was to be still at work"
        partition, _ = stage.placed[long]
        behind = [post for post in others if stage.placed[post][0] == partition]
        until(lambda: stage.behind() == len(behind) + 1, stage)  # other partitions are committed, this one waits for the film
        assert worker.metric("sosie_stream_in_flight_events") == len(behind) + 1
        assert worker.metric("sosie_stream_rebalances_total") == 1
        assert worker.metric("sosie_stream_oldest_event_seconds") > 0
        assert worker.asked("/health/live")[0] == 200
        worker.terminate()
        stage.posted[long] = NO_RESULT
        worker.wait()


def test_its_metrics_are_in_seconds_with_bounded_labels(sqlite_stage: MakeStage) -> None:
    with sqlite_stage() as stage:
        worker = stage.worker()
        stage.post(["singer.mp4", "stranger.mp4"])
        stage.wait_until_quiet()
        until(lambda: worker.metric("sosie_stream_lag_events{partition=") == 0, stage)
        text = worker.metrics()
        for name in (
            "sosie_stream_lag_seconds{",
            "sosie_stream_oldest_event_seconds ",
            "sosie_stream_in_flight_events ",
            'sosie_stream_events_total{outcome="done"} 2.0',
            "sosie_stream_commit_age_seconds ",
            "sosie_stream_rebalances_total 1.0",
            "sosie_stream_handler_seconds_count 2.0",
            "sosie_outbox_waiting_events ",
            'sosie_videos_total{outcome="flagged"} 1.0',
        ):
            assert name in text, name
        assert not any(word in text for word in ("post-0000", "singer.mp4", "@post", stage.prefix))
        assert stage.stop() == [0]


@pytest.mark.long  # its slice: tests/streams/test_faults.py, where SIGTERM comes under load
def test_sigterm_while_it_waits_for_the_broker_or_loads_ends_it_at_once(sqlite_stage: MakeStage, own_broker: Broker) -> None:
    with sqlite_stage(brokers=own_broker.brokers) as stage:
        own_broker.stop()
        waiting = stage.worker(restarted=False)
        until(lambda: waiting.says("waiting for the broker"), stage)
        assert "broker" in waiting.asked("/health/ready")[1]
        loading = stage.worker(restarted=False)
        until(lambda: loading.port is not None, stage)
        assert stage.stop() == [0, 0]
        own_broker.start()


def test_without_a_broker_a_topic_or_a_free_port_it_says_what_to_do(
    sqlite_stage: MakeStage, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unset = sosie("worker")
    assert unset.status == 1
    assert "SOSIE_KAFKA_BROKERS: is not set" in unset.err
    with sqlite_stage() as stage:
        for name, value in (stage.environment | {"SOSIE_KAFKA_PREFIX": "nowhere"}).items():
            monkeypatch.setenv(name, value)
        missing = finished(script("worker", "--port", "0"))
        assert missing.status == 1
        assert "Topic nowhere.videos: does not exist on these brokers. Run `sosie topics create`." in missing.err
        monkeypatch.setenv("SOSIE_KAFKA_PREFIX", stage.prefix)
        with socket.create_server(("127.0.0.1", 0)) as first:
            taken = finished(script("worker", "--port", str(first.getsockname()[1])))
        assert taken.status == 1
        assert "cannot listen there: Address already in use" in taken.err
        assert "SOSIE_WORKER_PORT" in taken.err


def test_nearly_everything_being_wrong_pauses_its_partition_with_a_loud_reason_and_a_restart_goes_on(sqlite_stage: MakeStage) -> None:
    with sqlite_stage(SOSIE_DEAD_LETTER_RUN="5") as stage:
        at = stage.send([Record(key=b"one partition", value=b"not JSON")] * 12)
        bad = at[0][0]
        worker = stage.worker()
        until(lambda: "6 events in a row are wrong" in worker.asked("/health/ready")[1], stage)
        assert "sosie dead-letters list" in worker.asked("/health/ready")[1]
        posted = stage.post(["stranger.mp4"] * 9)
        elsewhere = {post for post in posted if stage.placed[post][0] != bad}
        until(lambda: elsewhere <= set(stage.outcomes()), stage)
        assert worker.metric("sosie_stream_paused_partitions") == 1
        assert worker.asked("/health/live")[0] == 200
        until(lambda: stage.behind() == 12 - 5 + len(posted) - len(elsewhere), stage)  # what was decided before it is committed
        assert worker.statuses == [], "the process lives"
        worker.restart()
        until(lambda: _goes_on_when_restarted(stage, worker), stage)
        stage.check(dead={"bad_message": 12})
        assert stage.stop() == [0]
        assert set(worker.statuses) == {0}


def _goes_on_when_restarted(stage: Stage, worker: Worker) -> bool:
    if "events in a row are wrong" in worker.asked("/health/ready")[1]:
        worker.restart()
    return stage.behind() == 0


class NoUtf8(str):
    """A header's name as no client of ours would write it, and as brokers take it."""

    def encode(self, *_: object) -> bytes:
        return b"\xff\xfe"


def test_a_record_that_stops_the_client_itself_stops_the_worker_with_what_to_do_and_can_be_deleted(
    sqlite_stage: MakeStage, caplog: pytest.LogCaptureFixture
) -> None:
    with sqlite_stage() as stage:
        ((partition, offset),) = stage.send([Record(key=b"k", value=b"{}", headers={NoUtf8("x"): b"1"})])
        worker = stage.worker(restarted=False)
        assert worker.wait() == 1
        assert worker.says("holds a record that Kafka's clients for Python cannot read")
        assert worker.says("kafka-delete-records.sh")
        assert stage.behind() == 1
        assert "how long they have waited is not known" in caplog.text
        stage.post(["stranger.mp4"] * 3)
        stage.delete_before(partition, offset + 1)
        again = stage.worker()
        stage.wait_until_quiet()
        assert set(stage.outcomes()) == set(stage.posted)
        assert stage.stop()[1] == 0
        assert again.statuses == [0]

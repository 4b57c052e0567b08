"""`sosie topics`: what an operator reads, on a real broker and without one."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, KafkaProducer, TopicPartition
from kafka.structs import OffsetAndMetadata

from tests.kafka import Broker, Existing
from tests.monitor.household import sosie


@pytest.fixture
def brokers(kafka_broker: Broker | Existing, kafka_prefix: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The shared broker, set as an operator sets it."""
    monkeypatch.setenv("SOSIE_KAFKA_BROKERS", kafka_broker.brokers)
    monkeypatch.setenv("SOSIE_KAFKA_PREFIX", kafka_prefix)
    return kafka_broker.brokers


@pytest.mark.kafka
def test_create_makes_them_list_shows_them_and_create_again_leaves_them(brokers: str, kafka_prefix: str) -> None:
    assert sosie("topics", "list").out.count("does not exist: `sosie topics create`") == 3
    made = sosie("topics", "create", "--partitions", "3", "--replication", "1")
    assert made.status == 0
    assert f"{kafka_prefix}.videos: created, 3 partitions, kept 14 days" in made.out
    again = sosie("topics", "create")
    assert again.status == 0
    assert f"{kafka_prefix}.cases: exists, as it should be" in again.out
    assert "has 3 partitions, 12 are wanted. Add partitions with --alter" in again.out
    altered = sosie("topics", "create", "--alter")
    assert f"{kafka_prefix}.videos: altered: 3 → 12 partitions; keys have moved" in altered.out
    rows = sosie("topics", "list", "--json").objects
    assert rows[0] == {
        "topic": f"{kafka_prefix}.videos",
        "carries": "sosie.video_posted",
        "exists": True,
        "partitions": 12,
        "replication": 1,
        "retention_ms": 14 * 24 * 3600 * 1000,
        "cleanup": "delete",
    }
    assert [row["cleanup"] for row in rows] == ["delete", "delete", "compact,delete"]


@pytest.mark.kafka
def test_lag_says_what_waits_and_what_was_lost(brokers: str, kafka_prefix: str) -> None:
    sosie("topics", "create", "--partitions", "2")
    producer = KafkaProducer(bootstrap_servers=brokers)
    for _ in range(5):
        producer.send(f"{kafka_prefix}.videos", b"{}", partition=0)
    producer.close()
    waiting = sosie("topics", "lag")
    assert waiting.status == 0
    assert "never committed" in waiting.out
    assert "Total: 5 events behind, up to" in waiting.out
    assert "lost" not in waiting.out

    partition = TopicPartition(f"{kafka_prefix}.videos", 0)
    admin = KafkaAdminClient(bootstrap_servers=brokers)
    admin.alter_group_offsets(f"{kafka_prefix}.worker", {partition: OffsetAndMetadata(1, "", -1)})
    admin.delete_records({partition: 3})
    admin.close()
    assert "2 events were lost:" in sosie("topics", "lag").out
    first, second = sosie("topics", "lag", "--json").objects
    assert first.pop("seconds") >= 0
    assert first == {"partition": 0, "earliest": 3, "committed": 1, "end": 5, "events": 2, "lost": 2}
    assert second == {"partition": 1, "earliest": 0, "committed": None, "end": 0, "events": 0, "seconds": 0.0, "lost": 0}
    assert [row["committed"] for row in sosie("topics", "lag", "--group", "nobody", "--json").objects] == [None, None]


@pytest.mark.kafka
def test_lag_of_a_topic_that_does_not_exist_names_the_command_that_makes_it(brokers: str, kafka_prefix: str) -> None:
    ran = sosie("topics", "lag")
    assert ran.status == 1
    assert f"Topic {kafka_prefix}.videos: does not exist" in ran.err
    assert "sosie topics create" in ran.err


@pytest.mark.kafka
def test_more_replicas_than_brokers_are_refused(brokers: str) -> None:
    ran = sosie("topics", "create", "--replication", "9")
    assert ran.status == 1
    assert "--replication" in ran.err


@pytest.mark.parametrize("command", ["create", "list", "lag"])
def test_without_brokers_the_setting_is_named(home: Path, command: str) -> None:
    ran = sosie("topics", command)
    assert (ran.status, ran.out) == (1, "")
    assert "SOSIE_KAFKA_BROKERS: is not set" in ran.err


def test_a_broker_that_is_away_is_told_in_one_sentence(
    home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("streams.connection.BOOTSTRAP_TIMEOUT_S", 1.0)  # as ever, only sooner
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        monkeypatch.setenv("SOSIE_KAFKA_BROKERS", f"127.0.0.1:{taken.getsockname()[1]}")
        ran = sosie("topics", "lag")
    assert (ran.status, ran.out) == (1, "")
    assert "cannot be reached: Connection refused" in ran.err
    assert ran.err.count("\n") == 1
    assert caplog.records == []


@pytest.mark.parametrize("options", [("--partitions", "0"), ("--replication", "-1"), ("--partitions", "many")])
def test_a_count_that_is_none_is_a_misuse(home: Path, options: tuple[str, str]) -> None:
    assert sosie("topics", "create", *options).status == 2

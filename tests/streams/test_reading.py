"""A topic of a real broker, read once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from kafka import KafkaProducer

from monitor.base.errors import BrokerRefused
from monitor.base.settings import Settings, load
from streams import reading
from streams.admin import create_topics
from streams.reading import read_topic
from tests.kafka import Broker, Existing
from tests.streams.offsets import delete_before

pytestmark = pytest.mark.kafka


@pytest.fixture
def settings(kafka_broker: Broker | Existing, kafka_prefix: str, tmp_path: Path) -> Settings:
    made = load({}, home=tmp_path, kafka_brokers=kafka_broker.brokers, kafka_prefix=kafka_prefix)
    create_topics(made, partitions=2)
    return made


@pytest.fixture
def producer(settings: Settings) -> Iterator[KafkaProducer]:
    with closing(KafkaProducer(bootstrap_servers=settings.kafka_brokers)) as made:
        yield made


def topic(settings: Settings) -> str:
    return f"{settings.kafka_prefix}.videos"


def send(settings: Settings, producer: KafkaProducer, count: int, *, partition: int = 0) -> None:
    sent = [
        producer.send(topic(settings), str(number).encode(), partition=partition, timestamp_ms=(number + 1) * 1000)
        for number in range(count)
    ]
    for each in sent:
        each.get(20)


def offsets(settings: Settings, *, since: datetime | None = None) -> list[tuple[int, int]]:
    return sorted((event.place.partition, event.offset) for event in read_topic(settings, topic(settings), since=since))


def test_an_empty_topic_ends_at_once(settings: Settings) -> None:
    assert offsets(settings) == []


def test_a_record_comes_with_all_that_it_has(settings: Settings, producer: KafkaProducer) -> None:
    headers = [("a", b"\xff"), ("b", b"")]
    producer.send(topic(settings), None, key=b"\x00", headers=headers, partition=1, timestamp_ms=1_500).get(20)
    (event,) = read_topic(settings, topic(settings))
    assert (event.place.topic, event.place.partition, event.offset) == (topic(settings), 1, 0)
    assert (event.key, event.value, event.timestamp_s, event.headers) == (b"\x00", None, 1.5, dict(headers))


def test_what_comes_while_it_is_read_is_left_out(settings: Settings, producer: KafkaProducer) -> None:
    send(settings, producer, 3)
    read = []
    for event in read_topic(settings, topic(settings)):
        send(settings, producer, 1)
        send(settings, producer, 1, partition=1)
        read.append(event.offset)
    assert read == [0, 1, 2]


def test_reading_begins_at_an_instant_and_there_may_be_nothing_since(settings: Settings, producer: KafkaProducer) -> None:
    send(settings, producer, 5)
    send(settings, producer, 2, partition=1)
    assert offsets(settings, since=datetime.fromtimestamp(4, UTC)) == [(0, 3), (0, 4)]
    assert offsets(settings, since=datetime.fromtimestamp(60, UTC)) == []
    assert len(offsets(settings, since=datetime.fromtimestamp(0, UTC))) == 7


def test_an_instant_before_1970_is_the_beginning(settings: Settings, producer: KafkaProducer) -> None:
    send(settings, producer, 2)
    assert len(offsets(settings, since=datetime(1969, 1, 1, tzinfo=UTC))) == 2


def test_what_retention_deleted_is_passed_over(settings: Settings, producer: KafkaProducer) -> None:
    send(settings, producer, 5)
    delete_before(settings, 0, 4)
    assert offsets(settings) == [(0, 4)]


def test_a_marker_of_a_transaction_at_the_end_is_passed_over(settings: Settings, producer: KafkaProducer) -> None:
    send(settings, producer, 1)
    with closing(KafkaProducer(bootstrap_servers=settings.kafka_brokers, transactional_id=settings.kafka_prefix)) as transactional:
        transactional.init_transactions()
        transactional.begin_transaction()
        transactional.send(topic(settings), b"{}", partition=0).get(20)
        transactional.commit_transaction()
    assert offsets(settings) == [(0, 0), (0, 1)]


def test_a_reader_that_takes_its_time_is_no_broker_that_stalls(
    settings: Settings, producer: KafkaProducer, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(settings, producer, 1200)
    slept_s = 0.0
    monkeypatch.setattr(reading, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + slept_s))
    read = 0
    for _ in read_topic(settings, topic(settings)):
        slept_s += 1.0
        read += 1
    assert read == 1200


def test_a_topic_that_is_not_there_is_refused_with_the_command_that_makes_it(settings: Settings) -> None:
    with pytest.raises(BrokerRefused, match=r"does not exist.*sosie topics create"):
        list(read_topic(settings, f"{settings.kafka_prefix}.nothing"))

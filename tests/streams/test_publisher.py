"""Sending to a real broker, and knowing that it arrived."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from kafka import KafkaAdminClient

from monitor.base.errors import BrokerRefused, BrokerUnavailable, TooLarge
from monitor.base.settings import Settings, load
from streams import connection, publisher
from streams.admin import create_topics
from streams.publisher import Publisher, Record
from streams.reading import read_topic
from tests.kafka import MAX_MESSAGE_BYTES, Broker, Existing

pytestmark = pytest.mark.kafka


@pytest.fixture
def settings(kafka_broker: Broker | Existing, kafka_prefix: str, tmp_path: Path) -> Settings:
    made = load({}, home=tmp_path, kafka_brokers=kafka_broker.brokers, kafka_prefix=kafka_prefix)
    create_topics(made, partitions=3)
    return made


@pytest.fixture
def sender(settings: Settings) -> Iterator[Publisher]:
    with closing(Publisher(settings)) as made:
        yield made


def topic(settings: Settings) -> str:
    return f"{settings.kafka_prefix}.videos"


def values(settings: Settings) -> list[bytes | None]:
    return [event.value for event in read_topic(settings, topic(settings))]


def test_each_record_stands_where_it_was_confirmed(settings: Settings, sender: Publisher) -> None:
    records = [Record(str(number % 7).encode(), str(number).encode()) for number in range(200)]
    places = sender.publish(topic(settings), records)
    stands = {(event.place.partition, event.offset): event.value for event in read_topic(settings, topic(settings))}
    assert [stands[place] for place in places] == [record.value for record in records]
    assert len(stands) == 200


def test_records_of_one_key_stay_in_their_order_over_calls(settings: Settings, sender: Publisher) -> None:
    for first in range(0, 300, 100):
        sender.publish(topic(settings), [Record(str(number % 5).encode(), str(number).encode()) for number in range(first, first + 100)])
    by_key: dict[bytes | None, list[int]] = {}
    for event in read_topic(settings, topic(settings)):
        by_key.setdefault(event.key, []).append(int(event.value or b""))
    assert by_key == {str(key).encode(): list(range(key, 300, 5)) for key in range(5)}


@pytest.mark.parametrize(
    "record",
    [
        Record(None, b"v"),
        Record(b"k", None),
        Record(b"", b""),
        Record(b"\xff\x00", bytes(range(256)), {"a": b"", "ключ": b"\xff"}),
    ],
)
def test_null_empty_and_binary_parts_arrive_as_they_are(settings: Settings, sender: Publisher, record: Record) -> None:
    sender.publish(topic(settings), [record])
    (event,) = read_topic(settings, topic(settings))
    assert (event.key, event.value, event.headers) == (record.key, record.value, record.headers)


def test_nothing_to_send_is_nothing_sent(settings: Settings, sender: Publisher) -> None:
    assert sender.publish(topic(settings), []) == []


@pytest.mark.parametrize("size", [2 * 1024**2, MAX_MESSAGE_BYTES + 1])
def test_what_is_longer_than_the_topic_or_the_client_takes_is_too_large_and_the_next_is_sent(
    settings: Settings, sender: Publisher, size: int
) -> None:
    with closing(KafkaAdminClient(bootstrap_servers=settings.kafka_brokers)) as admin:
        admin.delete_topics([topic(settings)])
        admin.create_topics(
            {topic(settings): {"num_partitions": 1, "replication_factor": 1, "configs": {"max.message.bytes": str(1024**2)}}}
        )
        admin.wait_for_topics([topic(settings)])
    with pytest.raises(TooLarge, match=rf"A record of {size} bytes: is longer than topic {topic(settings)} takes"):
        sender.publish(topic(settings), [Record(b"k", b"x" * size)])
    sender.publish(topic(settings), [Record(b"k", b"fits")])
    assert values(settings) == [b"fits"]


def test_a_topic_that_is_not_there_is_refused_with_the_command_that_makes_it(
    settings: Settings, sender: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher, "TIMEOUT_S", 2.0)  # as ever, only sooner
    missing = f"{settings.kafka_prefix}.nothing"
    with pytest.raises(BrokerRefused, match=rf"Topic {missing}: does not exist.*sosie topics create"):
        sender.publish(missing, [Record(b"k", b"v")])
    monkeypatch.setattr(publisher, "TIMEOUT_S", 120.0)
    sender.publish(topic(settings), [Record(b"k", b"v")])
    assert values(settings) == [b"v"]


def test_a_topic_deleted_under_a_publisher_is_refused_as_well(
    settings: Settings, sender: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher, "TIMEOUT_S", 4.0)
    sender.publish(topic(settings), [Record(b"k", b"v")])
    with closing(KafkaAdminClient(bootstrap_servers=settings.kafka_brokers)) as admin:
        admin.delete_topics([topic(settings)])
    with pytest.raises(BrokerRefused, match="sosie topics create"):
        all(sender.publish(topic(settings), [Record(b"k", b"v")]) for _ in range(1000))  # the broker may take some before it hears of it


def test_while_the_broker_is_down_it_is_told_and_afterwards_all_goes_on(
    own_broker: Broker, kafka_prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load({}, home=tmp_path, kafka_brokers=own_broker.brokers, kafka_prefix=kafka_prefix)
    create_topics(settings, partitions=1)
    with closing(Publisher(settings)) as sender:
        sender.publish(topic(settings), [Record(b"k", b"before")])
        own_broker.stop()
        monkeypatch.setattr(publisher, "TIMEOUT_S", 2.0)
        monkeypatch.setattr(connection, "BOOTSTRAP_TIMEOUT_S", 1.0)
        for _ in range(2):  # with a connection that was lost, and without one; both end, or the test's own limit ends them
            with pytest.raises(BrokerUnavailable, match=own_broker.brokers):
                sender.publish(topic(settings), [Record(b"k", b"during")])
        own_broker.start()
        monkeypatch.setattr(publisher, "TIMEOUT_S", 120.0)
        monkeypatch.setattr(connection, "BOOTSTRAP_TIMEOUT_S", 60.0)
        sender.publish(topic(settings), [Record(b"k", b"after")])
    found = values(settings)
    assert (found[0], found[-1]) == (b"before", b"after")


def test_a_broker_that_was_never_there_is_told_and_a_later_one_is_found(
    own_broker: Broker, kafka_prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load({}, home=tmp_path, kafka_brokers=own_broker.brokers, kafka_prefix=kafka_prefix)
    create_topics(settings, partitions=1)
    own_broker.kill()
    monkeypatch.setattr(connection, "BOOTSTRAP_TIMEOUT_S", 1.0)
    with closing(Publisher(settings)) as sender:
        with pytest.raises(BrokerUnavailable, match="cannot be reached"):
            sender.publish(topic(settings), [Record(b"k", b"v")])
        monkeypatch.setattr(connection, "BOOTSTRAP_TIMEOUT_S", 60.0)
        monkeypatch.setattr(publisher, "TIMEOUT_S", 120.0)
        own_broker.start()
        sender.publish(topic(settings), [Record(b"k", b"v")])
    assert values(settings) == [b"v"]


def test_eight_threads_may_send_at_once(settings: Settings, sender: Publisher) -> None:
    begin = threading.Barrier(8)

    def send(thread: int) -> list[tuple[int, int]]:
        begin.wait()
        return [
            place
            for number in range(25)
            for place in sender.publish(topic(settings), [Record(str(thread).encode(), f"{thread}-{number}".encode())])
        ]

    with ThreadPoolExecutor(8) as threads:
        places = [place for found in threads.map(send, range(8)) for place in found]
    assert len(set(places)) == 200
    by_key: dict[bytes | None, list[bytes | None]] = {}
    for event in read_topic(settings, topic(settings)):
        by_key.setdefault(event.key, []).append(event.value)
    assert by_key == {str(thread).encode(): [f"{thread}-{number}".encode() for number in range(25)] for thread in range(8)}


def test_a_closed_publisher_may_be_used_again(settings: Settings, sender: Publisher) -> None:
    for _ in range(2):
        sender.publish(topic(settings), [Record(b"k", b"v")])
        sender.close()
        sender.close()
    assert values(settings) == [b"v", b"v"]

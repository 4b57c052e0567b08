"""Questions to the log of a real broker."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from kafka import KafkaProducer

from monitor.base.errors import BrokerRefused
from monitor.base.settings import Settings, load
from streams.admin import create_topics
from streams.event import Place
from streams.log import Log
from streams.topics import worker_group
from tests.kafka import Broker, Existing
from tests.streams.offsets import commit, delete_before

pytestmark = pytest.mark.kafka


@pytest.fixture
def settings(kafka_broker: Broker | Existing, kafka_prefix: str, tmp_path: Path) -> Settings:
    return load({}, home=tmp_path, kafka_brokers=kafka_broker.brokers, kafka_prefix=kafka_prefix)


@pytest.fixture
def place(settings: Settings) -> Place:
    """A partition of the videos topic, with five records."""
    create_topics(settings, partitions=1)
    made = Place(f"{settings.kafka_prefix}.videos", 0)
    with closing(KafkaProducer(bootstrap_servers=settings.kafka_brokers)) as producer:
        for _ in range(5):
            producer.send(made.topic, b"{}", partition=0).get(20)
    return made


@pytest.fixture
def log(settings: Settings) -> Iterator[Log]:
    with Log(settings, worker_group(settings.kafka_prefix)) as made:
        yield made


def add_transaction(settings: Settings, place: Place, *, keep: bool) -> None:
    """One record and a marker, which takes an offset and is never delivered."""
    producer = KafkaProducer(bootstrap_servers=settings.kafka_brokers, transactional_id=settings.kafka_prefix)
    with closing(producer):
        producer.init_transactions()
        producer.begin_transaction()
        producer.send(place.topic, b"{}", partition=place.partition).get(20)
        if keep:
            producer.commit_transaction()
        else:
            producer.abort_transaction()


def test_a_group_that_never_committed_begins_at_the_earliest(settings: Settings, place: Place, log: Log) -> None:
    assert log.start_of(place) == 0
    delete_before(settings, 0, 2)
    assert log.start_of(place) == 2


@pytest.mark.parametrize("offset", [0, 3, 5])
def test_a_group_goes_on_where_it_committed(settings: Settings, place: Place, log: Log, offset: int) -> None:
    commit(settings, 0, offset)
    assert log.start_of(place) == offset


def test_what_was_committed_meanwhile_is_seen(settings: Settings, place: Place, log: Log) -> None:
    for offset in (1, 4):
        commit(settings, 0, offset)
        assert log.start_of(place) == offset


def test_where_retention_went_past_the_committed_offset_reading_begins_at_the_earliest(settings: Settings, place: Place, log: Log) -> None:
    commit(settings, 0, 1)
    delete_before(settings, 0, 3)
    assert log.start_of(place) == 3


def test_more_committed_than_there_is_means_a_topic_made_anew(settings: Settings, place: Place, log: Log) -> None:
    commit(settings, 0, 900)
    assert log.start_of(place) == 0


def test_the_first_record_from_an_offset_on_is_the_one_that_stands_there(place: Place, log: Log) -> None:
    assert [log.first_at(place, offset) for offset in (4, 0, 2)] == [4, 0, 2]


def test_over_what_was_deleted_it_is_the_earliest(settings: Settings, place: Place, log: Log) -> None:
    delete_before(settings, 0, 3)
    assert [log.first_at(place, offset) for offset in (0, 1, 3)] == [3, 3, 3]
    delete_before(settings, 0, 5)
    assert log.first_at(place, 0) is None


def test_over_a_transaction_marker_it_is_the_record_after_it(settings: Settings, place: Place, log: Log) -> None:
    add_transaction(settings, place, keep=True)  # 5, and a marker at 6
    assert log.first_at(place, 5) == 5
    assert log.first_at(place, 6) is None
    with closing(KafkaProducer(bootstrap_servers=settings.kafka_brokers)) as producer:
        producer.send(place.topic, b"{}", partition=0).get(20)
    assert log.first_at(place, 6) == 7


def test_from_the_end_on_there_is_none(place: Place, log: Log) -> None:
    assert log.first_at(place, 5) is None
    assert log.first_at(place, 900) is None


def test_a_topic_that_is_not_there_is_refused_with_the_command_that_makes_it(settings: Settings, place: Place, log: Log) -> None:
    log.require_topic(place.topic)
    with pytest.raises(BrokerRefused, match=r"Topic .*\.nothing: does not exist.*sosie topics create"):
        log.require_topic(f"{settings.kafka_prefix}.nothing")


def test_a_closed_log_connects_again_when_it_is_asked(place: Place, log: Log) -> None:
    assert log.start_of(place) == 0
    log.close()
    log.close()
    assert log.start_of(place) == 0

"""How far behind: against a real broker, and the arithmetic by itself."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, KafkaProducer, TopicPartition
from kafka.structs import OffsetAndMetadata

from monitor.base.errors import BrokerRefused, BrokerUnavailable
from monitor.base.settings import Settings, load
from streams.admin import create_topics
from streams.lag import LagReader, PartitionLag, lag
from streams.topics import VIDEOS, worker_group
from tests.kafka import Broker, Existing

HOUR_S = 3600.0


@pytest.mark.parametrize(
    ("earliest", "committed", "end", "events", "lost", "made_anew"),
    [
        (0, None, 0, 0, 0, False),
        (0, None, 7, 7, 0, False),
        (5, None, 7, 2, 0, False),
        (0, 0, 7, 7, 0, False),
        (0, 4, 7, 3, 0, False),
        (0, 7, 7, 0, 0, False),
        (7, 7, 7, 0, 0, False),
        (5, 2, 7, 2, 3, False),
        (7, 2, 7, 0, 5, False),
        (0, 9, 7, 7, 0, True),
    ],
)
def test_events_are_counted_from_where_a_worker_would_begin(
    earliest: int, committed: int | None, end: int, events: int, lost: int, made_anew: bool
) -> None:
    found = PartitionLag(0, earliest, committed, end, 0.0)
    assert (found.events, found.lost, found.made_anew) == (events, lost, made_anew)


class Topic:
    """The videos topic with two partitions: put records there, move the workers' offsets, delete."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.name = VIDEOS.name(settings.kafka_prefix)
        create_topics(settings, partitions=2)
        self._producer = KafkaProducer(bootstrap_servers=settings.kafka_brokers)
        self.admin = KafkaAdminClient(bootstrap_servers=settings.kafka_brokers)

    def put(self, partition: int, count: int, *, age_s: float) -> None:
        stamp = int((time.time() - age_s) * 1000)
        for _ in range(count):
            self._producer.send(self.name, b"x" * 1000, partition=partition, timestamp_ms=stamp)
        self._producer.flush(timeout=30)

    def commit(self, partition: int, offset: int) -> None:
        wanted = {TopicPartition(self.name, partition): OffsetAndMetadata(offset, "", -1)}
        self.admin.alter_group_offsets(worker_group(self.settings.kafka_prefix), wanted)

    def forget(self, partition: int, before: int) -> None:
        """As retention does."""
        self.admin.delete_records({TopicPartition(self.name, partition): before})

    def close(self) -> None:
        self._producer.close()
        self.admin.close()


@pytest.fixture
def settings(kafka_broker: Broker | Existing, kafka_prefix: str, tmp_path: Path) -> Settings:
    return load({}, home=tmp_path, kafka_brokers=kafka_broker.brokers, kafka_prefix=kafka_prefix)


@pytest.fixture
def topic(settings: Settings) -> Iterator[Topic]:
    with closing(Topic(settings)) as made:
        yield made


@pytest.mark.kafka
def test_behind_in_events_and_by_the_age_of_the_first_of_them(topic: Topic) -> None:
    topic.put(0, 3, age_s=3 * HOUR_S)
    topic.put(0, 2, age_s=HOUR_S)
    topic.put(1, 4, age_s=2 * HOUR_S)
    never = lag(topic.settings)
    assert [(each.committed, each.end, each.events) for each in never] == [(None, 5, 5), (None, 4, 4)]
    assert [each.seconds for each in never] == [pytest.approx(3 * HOUR_S, abs=300), pytest.approx(2 * HOUR_S, abs=300)]
    topic.commit(0, 3)
    topic.commit(1, 4)
    first, second = lag(topic.settings)
    assert (first.committed, first.events) == (3, 2)
    assert first.seconds == pytest.approx(HOUR_S, abs=300)
    assert (second.committed, second.events, second.seconds) == (4, 0, 0.0)


@pytest.mark.kafka
def test_what_retention_deleted_before_it_was_committed_is_lost(topic: Topic) -> None:
    topic.put(0, 3, age_s=3 * HOUR_S)
    topic.put(0, 3, age_s=HOUR_S)
    topic.commit(0, 1)
    topic.forget(0, 4)
    found = lag(topic.settings)[0]
    assert (found.earliest, found.committed, found.events, found.lost) == (4, 1, 2, 3)
    assert found.seconds == pytest.approx(HOUR_S, abs=300)
    topic.forget(0, 6)
    emptied = lag(topic.settings)[0]
    assert (emptied.events, emptied.lost, emptied.seconds) == (0, 5, 0.0)


@pytest.mark.kafka
def test_a_reader_sees_what_changes_and_can_leave_the_seconds_out(topic: Topic) -> None:
    with closing(LagReader(topic.settings)) as reader:
        assert [each.seconds for each in reader.read()] == [0.0, 0.0]
        topic.put(0, 1, age_s=2 * HOUR_S)
        topic.put(0, 1, age_s=HOUR_S)
        without = reader.read(seconds=False)
        assert [each.events for each in without] == [2, 0]
        assert math.isnan(without[0].seconds)
        assert without[1].seconds == 0.0
        ages = []
        for offset in (0, 0, 1, 2):
            topic.commit(0, offset)
            ages.append(reader.read()[0].seconds)
        wanted = (2 * HOUR_S, 2 * HOUR_S, HOUR_S, 0.0)
        assert ages == [pytest.approx(age, abs=300) for age in wanted]


@pytest.mark.kafka
def test_looking_joins_no_group_and_commits_nothing(topic: Topic) -> None:
    topic.put(0, 1, age_s=HOUR_S)
    group = worker_group(topic.settings.kafka_prefix)
    with closing(LagReader(topic.settings)) as reader:
        reader.read()
        assert group not in {each["group_id"] for each in topic.admin.list_groups()}
    assert [each.committed for each in lag(topic.settings)] == [None, None]


@pytest.mark.kafka
def test_another_group_may_be_asked_about(topic: Topic) -> None:
    topic.put(0, 2, age_s=HOUR_S)
    topic.commit(0, 2)
    assert [each.events for each in lag(topic.settings)] == [0, 0]
    assert [each.events for each in lag(topic.settings, "somebody-else")] == [2, 0]


@pytest.mark.kafka
def test_without_the_topic_the_command_to_make_it_is_named_and_the_reader_goes_on_once_it_is_there(settings: Settings) -> None:
    with closing(LagReader(settings)) as reader:
        with pytest.raises(BrokerRefused, match="sosie topics create") as caught:
            reader.read()
        assert VIDEOS.name(settings.kafka_prefix) in caught.value.thing
        create_topics(settings, partitions=2)
        assert len(reader.read()) == 2


@pytest.mark.kafka
@pytest.mark.long  # its slice: tests/streams/test_publisher.py and tests/streams/test_relay.py outlive theirs
def test_a_reader_outlives_its_broker_and_starts_on_one_that_never_had_a_group(own_broker: Broker, tmp_path: Path) -> None:
    settings = load({}, home=tmp_path, kafka_brokers=own_broker.brokers)
    create_topics(settings, partitions=1)
    with closing(LagReader(settings)) as reader:
        assert len(reader.read()) == 1
        own_broker.stop()
        _raises_unavailable(reader.read)
        own_broker.start()
        assert len(reader.read()) == 1


def _raises_unavailable(read: Callable[[], object]) -> None:
    with pytest.raises(BrokerUnavailable, match="cannot be reached"):
        read()

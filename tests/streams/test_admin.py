"""The topics on a real broker, and what is told of those that differ."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from kafka import KafkaAdminClient

from monitor.base.errors import BrokerRefused
from monitor.base.settings import Settings, load
from streams.admin import TopicState, create_topics, differences, list_topics
from streams.topics import CASES, DEAD_LETTERS, TOPICS, VIDEOS, Topic
from tests.kafka import Broker, Existing


@pytest.fixture
def settings(kafka_broker: Broker | Existing, kafka_prefix: str, tmp_path: Path) -> Settings:
    return load({}, home=tmp_path, kafka_brokers=kafka_broker.brokers, kafka_prefix=kafka_prefix)


def _make(settings: Settings, topic: Topic, partitions: int, config: Mapping[str, str]) -> None:
    """As somebody makes it by hand."""
    admin = KafkaAdminClient(bootstrap_servers=settings.kafka_brokers)
    wanted = {"num_partitions": partitions, "replication_factor": 1, "configs": dict(config)}
    admin.create_topics({topic.name(settings.kafka_prefix): wanted}, wait_for_metadata=True)
    admin.close()


@pytest.mark.kafka
def test_what_is_made_is_as_the_table_says(settings: Settings) -> None:
    assert [state.exists for state in list_topics(settings)] == [False, False, False]
    outcomes = create_topics(settings)
    assert [(outcome.action, outcome.differences) for outcome in outcomes] == [("created", ())] * 3
    for topic, state in zip(TOPICS, list_topics(settings), strict=True):
        assert state.name == f"{settings.kafka_prefix}.{topic.suffix}"
        assert state.partitions == topic.partitions
        assert state.config is not None
        assert {key: state.config[key] for key in topic.config} == topic.config


@pytest.mark.kafka
def test_a_second_run_leaves_what_exists_and_says_what_differs(settings: Settings) -> None:
    create_topics(settings, partitions=2)
    videos, cases, dead = create_topics(settings)
    assert {videos.action, cases.action, dead.action} == {"exists"}
    assert [difference.what for difference in videos.differences] == ["has 2 partitions, 12 are wanted"]
    assert cases.differences == dead.differences == ()
    assert list_topics(settings)[0].partitions == 2


@pytest.mark.kafka
def test_several_who_make_them_at_once_all_succeed(settings: Settings) -> None:
    together = threading.Barrier(4)

    def make(_: int) -> list[str]:
        together.wait()
        return [outcome.action for outcome in create_topics(settings, partitions=2)]

    with ThreadPoolExecutor(4) as pool:
        actions = list(pool.map(make, range(4)))
    for of_one_topic in zip(*actions, strict=True):
        assert sorted(of_one_topic) == ["created", "exists", "exists", "exists"]


@pytest.mark.kafka
def test_altering_sets_retention_and_adds_partitions_where_no_order_breaks(settings: Settings) -> None:
    short = {"retention.ms": "60000", "cleanup.policy": "compact"}
    _make(settings, VIDEOS, 1, short)
    _make(settings, CASES, 1, short)
    told = create_topics(settings, partitions=3)
    assert [len(outcome.differences) for outcome in told] == [3, 3, 0]
    assert "--alter" in told[0].differences[0].next_step
    assert "--alter" not in told[1].differences[0].next_step

    videos, cases, dead = create_topics(settings, partitions=3, alter=True)
    assert (videos.action, cases.action, dead.action) == ("altered", "altered", "exists")
    assert "1 → 3 partitions; keys have moved" in videos.changes
    assert videos.differences == ()
    assert [difference.what for difference in cases.differences] == ["has 1 partitions, 6 are wanted"]
    assert [state.partitions for state in list_topics(settings)] == [3, 1, 3]


@pytest.mark.kafka
def test_several_who_alter_at_once_all_succeed(settings: Settings) -> None:
    create_topics(settings, partitions=1)
    together = threading.Barrier(3)

    def alter(_: int) -> None:
        together.wait()
        create_topics(settings, partitions=4, alter=True)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(alter, range(3)))
    assert list_topics(settings)[0].partitions == 4


@pytest.mark.kafka
def test_more_replicas_than_brokers_make_nothing(settings: Settings) -> None:
    with pytest.raises(BrokerRefused, match="--replication") as caught:
        create_topics(settings, replication=99)
    assert settings.kafka_prefix in caught.value.thing
    assert not any(state.exists for state in list_topics(settings))


AS_WANTED = TopicState(DEAD_LETTERS, "sosie.dead-letters", 3, 1, dict(DEAD_LETTERS.config))


@pytest.mark.parametrize(
    ("state", "told"),
    [
        (AS_WANTED, []),
        (replace(AS_WANTED, partitions=30), []),
        (replace(AS_WANTED, config={**DEAD_LETTERS.config, "cleanup.policy": "delete, compact"}), []),
        (replace(AS_WANTED, config={**DEAD_LETTERS.config, "cleanup.policy": "delete"}), ["has cleanup.policy delete"]),
        (replace(AS_WANTED, config={"cleanup.policy": "compact,delete"}), ["does not tell its retention.ms"]),
        (replace(AS_WANTED, topic=replace(DEAD_LETTERS, replication=3)), ["has replication 1, 3 is wanted"]),
        (replace(AS_WANTED, partitions=1, config=None), ["has 1 partitions", "does not tell", "does not tell"]),
    ],
)
def test_differences_are_told_one_by_one(state: TopicState, told: list[str]) -> None:
    found = differences(state)
    assert len(found) == len(told)
    for difference, begins in zip(found, told, strict=True):
        assert difference.what.startswith(begins)
        assert difference.next_step

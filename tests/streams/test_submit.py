"""Checked posts on their way to a real broker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.base.errors import BrokerRefused
from monitor.base.settings import Settings, load
from streams.admin import create_topics
from streams.messages import VideoPosted, parse
from streams.reading import read_topic
from streams.submission import CheckedPost
from streams.submit import submit
from streams.topics import VIDEOS
from tests.kafka import Broker, Existing

pytestmark = pytest.mark.kafka


@pytest.fixture
def settings(kafka_broker: Broker | Existing, kafka_prefix: str, tmp_path: Path) -> Settings:
    return load({}, home=tmp_path, kafka_brokers=kafka_broker.brokers, kafka_prefix=kafka_prefix)


def post(number: int, *, caption: str | None = None) -> CheckedPost:
    message = VideoPosted(id=f"post-{number}", uri=f"https://videos.example/{number}", caption=caption)
    return CheckedPost(message.id, message.uri, message.to_bytes())


def test_every_post_arrives_under_its_id_as_key_and_is_told_once_it_is_confirmed(settings: Settings) -> None:
    create_topics(settings, partitions=3)
    posts = [post(number) for number in range(1200)]
    told: list[CheckedPost] = []
    submit(settings, posts, told.extend)
    assert told == posts
    arrived = list(read_topic(settings, VIDEOS.name(settings.kafka_prefix)))
    assert sorted(event.value or b"" for event in arrived) == sorted(each.message for each in posts)
    assert all(event.key == parse(VideoPosted, event.value).id.encode() for event in arrived)
    assert {event.place.partition for event in arrived} == {0, 1, 2}


def test_the_same_post_goes_to_the_same_partition_again(settings: Settings) -> None:
    create_topics(settings, partitions=3)
    for _ in range(2):
        submit(settings, [post(number) for number in range(9)], lambda _: None)
    places: dict[bytes | None, set[int]] = {}
    for event in read_topic(settings, VIDEOS.name(settings.kafka_prefix)):
        places.setdefault(event.key, set()).add(event.place.partition)
    assert [len(partitions) for partitions in places.values()] == [1] * 9


def test_posts_are_sent_in_batches_that_are_bounded_in_bytes(settings: Settings) -> None:
    create_topics(settings, partitions=1)
    batches: list[int] = []
    submit(settings, [post(number, caption="é" * 20_000) for number in range(120)], lambda batch: batches.append(len(batch)))
    assert sum(batches) == 120
    assert len(batches) > 1


def test_what_was_confirmed_before_an_interruption_was_told(settings: Settings) -> None:
    create_topics(settings, partitions=1)

    def interrupted() -> Iterator[CheckedPost]:
        yield from (post(number) for number in range(700))
        raise KeyboardInterrupt

    told: list[CheckedPost] = []
    with pytest.raises(KeyboardInterrupt):
        submit(settings, interrupted(), told.extend)
    arrived = {event.value for event in read_topic(settings, VIDEOS.name(settings.kafka_prefix))}
    assert {each.message for each in told} == arrived
    assert len(told) == 500


def test_without_the_topic_nothing_is_sent_and_the_command_to_make_it_is_named(settings: Settings) -> None:
    with pytest.raises(BrokerRefused, match="sosie topics create"):
        submit(settings, [post(1)], lambda _: None)

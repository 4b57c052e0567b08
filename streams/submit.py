"""Sending checked posts to the videos topic.

Each is confirmed by the brokers before it counts as sent, and keyed by its id. When sending ends early, what was confirmed stays, and
of the batch that was under way some may have arrived; sending all of them again is safe, because the id is a post's identity.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing

from monitor.base.settings import Settings
from streams.log import Log
from streams.publisher import Publisher, Record
from streams.submission import CheckedPost
from streams.topics import VIDEOS, worker_group

_BATCH = 500
_BATCH_BYTES = 2 * 1024**2


def submit(settings: Settings, posts: Iterable[CheckedPost], confirmed: Callable[[list[CheckedPost]], None]) -> None:
    """Send checked posts; `confirmed` hears of each batch when it has arrived.

    Raises `ConfigError`, `BrokerUnavailable`, `BrokerRefused` (no such topic), `TooLarge`.
    """
    topic = VIDEOS.name(settings.kafka_prefix)
    with Log(settings, worker_group(settings.kafka_prefix)) as log:
        log.require_topic(topic)  # else the producer would wait in vain for somebody to make it
    with closing(Publisher(settings)) as publisher:
        for batch in _batches(posts):
            publisher.publish(topic, [Record(post.id.encode(), post.message) for post in batch])
            confirmed(batch)


def _batches(posts: Iterable[CheckedPost]) -> Iterator[list[CheckedPost]]:
    """Batches of posts, bounded in number and, but for the last one added, in bytes."""
    batch: list[CheckedPost] = []
    size = 0
    for post in posts:
        batch.append(post)
        size += len(post.message)
        if len(batch) >= _BATCH or size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch

"""A topic read once, from its start (or an instant) to where it ended when reading began. Joins no group, commits nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from typing import Any

from kafka import KafkaConsumer
from kafka.structs import TopicPartition

from monitor.base.errors import BrokerRefused, BrokerUnavailable
from monitor.base.settings import Settings
from streams.connection import connected, kafka_errors, require_brokers
from streams.event import Event, Place

STALL_S = 20.0
"""No record and no progress for so long: the broker is taken for gone."""

_POLL_MS = 500


def read_topic(settings: Settings, topic: str, *, since: datetime | None = None) -> Iterator[Event]:
    """Every record of a topic, those of one partition in order. Records that come meanwhile are left out.

    Raises `BrokerUnavailable`, and `BrokerRefused` for a topic that does not exist.
    """
    options = {"group_id": None, "enable_auto_commit": False, "auto_offset_reset": "earliest"}
    with kafka_errors(settings), closing(connected(KafkaConsumer, settings, **options)) as consumer:
        numbers = consumer.partitions_for_topic(topic)
        if not numbers:
            raise BrokerRefused(f"Topic {topic}", "does not exist on these brokers", "Run `sosie topics create`")
        parts = [TopicPartition(topic, number) for number in sorted(numbers)]
        starts, ends = consumer.beginning_offsets(parts), consumer.end_offsets(parts)
        if since is not None:
            found = consumer.offsets_for_times(dict.fromkeys(parts, max(0, int(since.timestamp() * 1000))))
            starts = {part: ends[part] if found.get(part) is None else found[part].offset for part in parts}
        consumer.assign(parts)
        for part in parts:
            consumer.seek(part, starts[part])
        moved_at = time.monotonic()
        while any(consumer.position(part) < ends[part] for part in parts):
            before = {part: consumer.position(part) for part in parts}
            for part, records in consumer.poll(timeout_ms=_POLL_MS).items():
                yield from (_event(record) for record in records if record.offset < ends[part])
            if any(consumer.position(part) > before[part] for part in parts):
                moved_at = time.monotonic()  # after the reader was done with them, however long that took
            if time.monotonic() - moved_at > STALL_S:
                raise BrokerUnavailable(require_brokers(settings), f"nothing came of {topic} for {STALL_S:g} s", "Try again")


def _event(record: Any) -> Event:
    return Event(
        place=Place(record.topic, record.partition),
        offset=record.offset,
        key=record.key,
        value=record.value,
        timestamp_s=record.timestamp / 1000,
        headers={name: bytes(value) for name, value in record.headers if value is not None},
    )

"""How far the workers are behind: per partition of the videos topic, in events and in seconds.

Reads offsets and, for the seconds, the one record that stands at each committed offset. Joins no group and commits nothing, so that
looking changes nothing. A reader belongs to one thread, and its calls block (30 s at most when the brokers go away meanwhile).
"""

from __future__ import annotations

import contextlib
import logging
import math
import time
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from kafka import KafkaAdminClient, KafkaConsumer
from kafka.admin import OffsetSpec
from kafka.errors import (
    CoordinatorLoadInProgressError,
    CoordinatorNotAvailableError,
    CorruptRecordError,
    KafkaError,
    NotCoordinatorError,
    for_code,
)
from kafka.structs import TopicPartition

from monitor.base.errors import BrokerRefused
from monitor.base.settings import Settings
from streams.broker_errors import unreadable
from streams.connection import connected, kafka_errors
from streams.topics import VIDEOS, worker_group

READ_S = 5.0
"""Records that were not read within this time have an unknown age."""

_COORDINATOR_S = 10.0
_log = logging.getLogger(__name__)
_BATCH_BYTES = 64 * 1024  # Kafka sends one batch anyway, however long


@dataclass(frozen=True, slots=True)
class PartitionLag:
    """One partition as a group of readers stands to it. Offsets count records; `end` is that of the next record to come.

    `committed`: None for a group that never committed here. `seconds`: the age of the first record it has not committed, by the
    record's time stamp; 0 when there is none, NaN when it was not asked for or could not be read in time.
    """

    partition: int
    earliest: int
    committed: int | None
    end: int
    seconds: float

    @property
    def start(self) -> int:
        """The offset at which a reader begins: the earliest record when nothing was committed, or nothing stands where it was."""
        return self.earliest if self.committed is None or not self.earliest <= self.committed <= self.end else self.committed

    @property
    def events(self) -> int:
        """How many of the records still there are not committed yet."""
        return self.end - self.start

    @property
    def lost(self) -> int:
        """How many records retention deleted before they were committed."""
        return 0 if self.committed is None else max(0, self.earliest - self.committed)

    @property
    def made_anew(self) -> bool:
        """Whether more was committed than there is: the topic was deleted and made again, and is read from its start."""
        return self.committed is not None and self.committed > self.end


def lag(settings: Settings, group: str | None = None) -> list[PartitionLag]:
    """The lag of every partition, in order, read once. Raises `ConfigError`, `BrokerUnavailable`, `BrokerRefused` (no such topic)."""
    with closing(LagReader(settings, group)) as reader:
        return reader.read()


class LagReader:
    """Reads the lag of each partition again and again. Connects with the first reading, and anew after one that failed."""

    def __init__(self, settings: Settings, group: str | None = None) -> None:
        self._settings = settings
        self._group = group or worker_group(settings.kafka_prefix)
        self._topic = VIDEOS.name(settings.kafka_prefix)
        self._admin: KafkaAdminClient | None = None
        self._consumer: KafkaConsumer | None = None
        self._stamps: dict[TopicPartition, tuple[int, float]] = {}

    def read(self, *, seconds: bool = True) -> list[PartitionLag]:
        """The lag of every partition, in order. Without `seconds` no record is read. Raises as `lag`."""
        try:
            with kafka_errors(self._settings):
                offsets = self._offsets()
                return self._aged(offsets) if seconds else offsets
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        for client in (self._admin, self._consumer):
            if client is not None:
                with contextlib.suppress(KafkaError):
                    client.close()
        self._admin = self._consumer = None

    def _offsets(self) -> list[PartitionLag]:
        """The offsets of each partition, in such an order that no commit or deletion meanwhile makes events look lost or behind."""
        if self._admin is None:
            self._admin = connected(KafkaAdminClient, self._settings)
        admin = self._admin
        (described,) = admin.describe_topics([self._topic])
        if (error := for_code(described["error_code"])).errno == _NO_SUCH_TOPIC:
            raise BrokerRefused(f"Topic {self._topic}", "does not exist on these brokers", "Run `sosie topics create`")
        if error.errno:
            raise error(self._topic)
        parts = sorted(TopicPartition(self._topic, part["partition_index"]) for part in described["partitions"])
        earliest = admin.list_partition_offsets(dict.fromkeys(parts, OffsetSpec.EARLIEST))
        committed = self._committed(admin, parts)
        end = admin.list_partition_offsets(dict.fromkeys(parts, OffsetSpec.LATEST))
        found = [PartitionLag(part.partition, earliest[part].offset, committed.get(part), end[part].offset, 0.0) for part in parts]
        return [_with_seconds(each, math.nan if each.events else 0.0) for each in found]

    def _committed(self, admin: Any, parts: list[TopicPartition]) -> Mapping[TopicPartition, int]:
        deadline = time.monotonic() + _COORDINATOR_S
        while True:
            try:
                found = admin.list_group_offsets({self._group: parts})[self._group]
            except _NO_COORDINATOR:  # the first question about any group makes the brokers find one
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
            else:
                return {part: each.offset for part, each in found.items() if each.offset >= 0}

    def _aged(self, offsets: Iterable[PartitionLag]) -> list[PartitionLag]:
        offsets = list(offsets)
        wanted = {TopicPartition(self._topic, each.partition): each.start for each in offsets if each.events}
        self._stamps = {part: stamp for part, stamp in self._stamps.items() if wanted.get(part) == stamp[0]}
        self._read_stamps({part: start for part, start in wanted.items() if part not in self._stamps})
        now = time.time()
        aged = []
        for each in offsets:
            _, stamp = self._stamps.get(TopicPartition(self._topic, each.partition), (0, math.nan))
            aged.append(_with_seconds(each, max(now - stamp, 0.0) if each.events else 0.0))  # NaN stays NaN in this order
        return aged

    def _read_stamps(self, wanted: Mapping[TopicPartition, int]) -> None:
        if not wanted:
            return
        if self._consumer is None:
            self._consumer = connected(
                KafkaConsumer,
                self._settings,
                group_id=None,
                enable_auto_commit=False,
                auto_offset_reset="earliest",  # retention may delete the record at this moment
                max_partition_fetch_bytes=_BATCH_BYTES,
            )
        consumer, deadline = self._consumer, time.monotonic() + READ_S
        consumer.assign(list(wanted))
        consumer.resume(*wanted)  # those of the last reading are paused still
        for part, offset in wanted.items():
            consumer.seek(part, offset)
        unread = set(wanted)
        while unread and (left := deadline - time.monotonic()) > 0:
            try:
                polled = consumer.poll(timeout_ms=int(left * 1000), max_records=1)
            except CorruptRecordError as error:  # how many events are behind is known without reading one
                _log.warning("how long they have waited is not known: %s", unreadable(f"Topic {self._topic}", str(error)))
                return
            for part, records in polled.items():
                unread.discard(part)
                consumer.pause(part)
                if records[0].timestamp >= 0:
                    self._stamps[part] = (wanted[part], records[0].timestamp / 1000)


_NO_SUCH_TOPIC = 3
_NO_COORDINATOR = (CoordinatorNotAvailableError, CoordinatorLoadInProgressError, NotCoordinatorError)


def _with_seconds(each: PartitionLag, seconds: float) -> PartitionLag:
    return PartitionLag(each.partition, each.earliest, each.committed, each.end, seconds)

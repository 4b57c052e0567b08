"""Questions to the log itself, past the client that reads it: where a group's reading begins, what stands at an offset.

Not thread-safe, and its calls block: one thread owns it.
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

from kafka import KafkaConsumer
from kafka.structs import TopicPartition

from monitor.base.errors import BrokerRefused, BrokerUnavailable
from monitor.base.settings import Settings
from streams.connection import connected, kafka_errors
from streams.event import Place

_POLL_MS = 2_000


class Log:
    """Reads single records without being a member of the group, and commits nothing. Connects with the first question.

    All methods raise `BrokerUnavailable` or `BrokerRefused`.
    """

    def __init__(self, settings: Settings, group: str) -> None:
        self._settings = settings
        self._group = group
        self._consumer: KafkaConsumer | None = None

    def require_topic(self, topic: str) -> None:
        """Check that a topic exists. Raises `BrokerRefused` where it does not."""
        with kafka_errors(self._settings):
            if not self._connected().partitions_for_topic(topic):
                raise BrokerRefused(f"Topic {topic}", "does not exist on these brokers", "Run `sosie topics create`")

    def start_of(self, place: Place) -> int:
        """Where the group's reading of a partition begins: its committed offset, or the earliest that is still there.

        The earliest also where more was committed than there is: the topic was deleted and made anew.
        """
        with kafka_errors(self._settings):
            partition, consumer = _partition(place), self._connected()
            committed = consumer.committed(partition)
            earliest: int = consumer.beginning_offsets([partition])[partition]
            end: int = consumer.end_offsets([partition])[partition]
            return int(committed) if committed is not None and earliest <= committed <= end else earliest

    def first_at(self, place: Place, offset: int) -> int | None:
        """The offset of the first record at or after `offset`; None when the partition ends before one."""
        with kafka_errors(self._settings):
            partition, consumer = _partition(place), self._connected()
            end = consumer.end_offsets([partition])[partition]
            consumer.assign([partition])
            begin = max(offset, consumer.beginning_offsets([partition])[partition])  # retention may have deleted what stood there
            consumer.seek(partition, begin)
            while consumer.position(partition) < end:
                for record in consumer.poll(timeout_ms=_POLL_MS, max_records=1).get(partition, ()):
                    return int(record.offset)
                if consumer.position(partition) == begin:
                    raise BrokerUnavailable(
                        self._settings.kafka_brokers, f"{place}@{offset} could not be read in {_POLL_MS / 1000:g} s", "It is tried again"
                    )
            return None

    def close(self) -> None:
        if self._consumer is not None:
            self._consumer.close(autocommit=False)
            self._consumer = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _connected(self) -> KafkaConsumer:
        if self._consumer is None:
            self._consumer = connected(
                KafkaConsumer, self._settings, group_id=self._group, enable_auto_commit=False, auto_offset_reset="none"
            )
        return self._consumer


def _partition(place: Place) -> TopicPartition:
    return TopicPartition(place.topic, place.partition)

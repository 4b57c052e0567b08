"""Sends records, and knows that they arrived: one idempotent producer for case events, dead letters and submitted posts.

- `publish` returns only when the brokers have confirmed every record (`acks=all`). When it raises, some may have arrived all the
  same: send all of them again, under the same identities.
- Records of one call with equal keys arrive in their order.
- After a failure the connection is made anew, because an idempotent producer that lost a batch refuses what follows.

Thread-safe. Raises `BrokerUnavailable`, `BrokerRefused` (no such topic), and `TooLarge` for a record longer than the brokers take.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from kafka import KafkaProducer
from kafka.errors import KafkaError, KafkaTimeoutError, MessageSizeTooLargeError, RecordListTooLargeError

from monitor.base.errors import TooLarge
from monitor.base.settings import Settings
from streams.connection import connected, kafka_errors
from streams.log import Log
from streams.topics import worker_group

TIMEOUT_S = 10.0
"""What one record may take until it is confirmed, all tries together."""

_MAX_REQUEST_BYTES = 8 * 1024**2


@dataclass(frozen=True, slots=True)
class Record:
    """A record to send. Its key or its value may be null, not both."""

    key: bytes | None
    value: bytes | None
    headers: Mapping[str, bytes] = field(default_factory=dict)


class Publisher:
    """Publishes records over one producer, which connects with the first. Close it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._producer: KafkaProducer | None = None
        self._lock = threading.Lock()

    def publish(self, topic: str, records: Sequence[Record]) -> list[tuple[int, int]]:
        """Send all and wait; returns the partition and offset of each."""
        with self._lock, kafka_errors(self._settings):
            try:
                producer = self._connected()
                sent = [
                    producer.send(topic, key=record.key, value=record.value, headers=list(record.headers.items())) for record in records
                ]
                return [(arrived.partition, arrived.offset) for arrived in (future.get(TIMEOUT_S + 5) for future in sent)]
            except (MessageSizeTooLargeError, RecordListTooLargeError) as error:
                self._drop()
                longest = max(len(record.value or b"") for record in records)
                raise TooLarge(
                    f"A record of {longest} bytes",
                    f"is longer than topic {topic} takes",
                    "Raise max.message.bytes of the topic, or send less",
                ) from error
            except KafkaTimeoutError:
                self._drop()
                self._require_topic(topic)
                raise
            except KafkaError:
                self._drop()
                raise

    def close(self) -> None:
        """Close the producer. Idempotent; the publisher may be used again."""
        with self._lock:
            self._drop()

    def _require_topic(self, topic: str) -> None:
        """Check that a topic exists: kafka-python would wait for it until its time is up, and not say so."""
        with Log(self._settings, worker_group(self._settings.kafka_prefix)) as log:
            log.require_topic(topic)

    def _connected(self) -> KafkaProducer:
        if self._producer is None:
            self._producer = connected(
                KafkaProducer,
                self._settings,
                acks="all",
                enable_idempotence=True,
                linger_ms=2,
                delivery_timeout_ms=int(TIMEOUT_S * 1000),
                request_timeout_ms=int(TIMEOUT_S * 1000 / 2),
                max_block_ms=int(TIMEOUT_S * 1000 / 2),
                max_request_size=_MAX_REQUEST_BYTES,
            )
        return self._producer

    def _drop(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.close(timeout=2)

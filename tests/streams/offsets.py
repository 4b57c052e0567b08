"""Offsets of a real broker, moved as workers and retention move them."""

from __future__ import annotations

import time
from contextlib import closing

from kafka import KafkaAdminClient, TopicPartition
from kafka.errors import CoordinatorLoadInProgressError, CoordinatorNotAvailableError, NotCoordinatorError
from kafka.structs import OffsetAndMetadata

from monitor.base.settings import Settings
from streams.topics import VIDEOS, worker_group

_GIVE_UP_S = 30.0


def commit(settings: Settings, partition: int, offset: int) -> None:
    """For the workers' group, on the videos topic."""
    wanted = {_videos(settings, partition): OffsetAndMetadata(offset, "", -1)}
    deadline = time.monotonic() + _GIVE_UP_S
    with closing(KafkaAdminClient(bootstrap_servers=settings.kafka_brokers)) as admin:
        while True:
            try:
                admin.alter_group_offsets(worker_group(settings.kafka_prefix), wanted)
            except (CoordinatorNotAvailableError, CoordinatorLoadInProgressError, NotCoordinatorError):
                if time.monotonic() > deadline:  # a new broker makes itself a coordinator with the first question about any group
                    raise
                time.sleep(0.1)
            else:
                return


def delete_before(settings: Settings, partition: int, offset: int) -> None:
    """From the videos topic."""
    with closing(KafkaAdminClient(bootstrap_servers=settings.kafka_brokers)) as admin:
        admin.delete_records({_videos(settings, partition): offset})


def _videos(settings: Settings, partition: int) -> TopicPartition:
    return TopicPartition(VIDEOS.name(settings.kafka_prefix), partition)

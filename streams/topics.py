"""Sosie's topics, in one table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

_DAY_MS = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class Topic:
    """What `sosie topics create` makes of it. `replication` -1: what the cluster's own default says."""

    suffix: str
    carries: str
    partitions: int
    replication: int = -1
    config: Mapping[str, str] = field(default_factory=dict)

    def name(self, prefix: str) -> str:
        return f"{prefix}.{self.suffix}"


# One partition is the most one worker slot can be kept busy by; partitions can be added later, but keys then move.
VIDEOS = Topic("videos", "sosie.video_posted: posts to be looked at", 12, config={"retention.ms": str(14 * _DAY_MS)})
CASES = Topic("cases", "sosie.case_changed: what happened to cases", 6, config={"retention.ms": str(30 * _DAY_MS)})
# Compacted, because the latest message of a dead letter is how it stands; a year is long enough to look at one.
DEAD_LETTERS = Topic(
    "dead-letters",
    "sosie.dead_letter: events that can never succeed",
    3,
    config={"cleanup.policy": "compact,delete", "retention.ms": str(365 * _DAY_MS)},
)
TOPICS = (VIDEOS, CASES, DEAD_LETTERS)


def worker_group(prefix: str) -> str:
    """The consumer group of all workers: whose committed offsets count."""
    return f"{prefix}.worker"

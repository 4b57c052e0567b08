"""Sosie's topics, in one table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

_DAY_MS = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as `sosie topics create` makes it. `replication` -1: what the cluster's own default says.

    `grows`: partitions may be added to it. Keys then move to other partitions, which breaks whatever counts on the order of a key.
    """

    suffix: str
    carries: str
    partitions: int
    replication: int = -1
    config: Mapping[str, str] = field(default_factory=dict)
    grows: bool = False

    def name(self, prefix: str) -> str:
        return f"{prefix}.{self.suffix}"


def _kept(days: int, policy: str = "delete") -> Mapping[str, str]:
    """The settings that keep records for `days`; the policy is among them, because a cluster may compact by default and lose posts."""
    return {"cleanup.policy": policy, "retention.ms": str(days * _DAY_MS)}


# One partition is the most one worker slot can be kept busy by; partitions can be added later, because the identity of a
# post, not its partition, keeps it from being done twice.
VIDEOS = Topic("videos", "sosie.video_posted: posts to be looked at", 12, config=_kept(14), grows=True)
CASES = Topic("cases", "sosie.case_changed: what happened to cases", 6, config=_kept(30))
# Compacted, because the latest message of a dead letter is how it stands; a year is long enough to look at one.
DEAD_LETTERS = Topic("dead-letters", "sosie.dead_letter: events that can never succeed", 3, config=_kept(365, "compact,delete"))
TOPICS = (VIDEOS, CASES, DEAD_LETTERS)


def worker_group(prefix: str) -> str:
    """The consumer group of all workers: whose committed offsets count."""
    return f"{prefix}.worker"

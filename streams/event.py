"""One record of a topic, as the rest of `streams` sees it: without the client library it came through."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

ORIGIN_HEADER = "sosie-origin"
"""On a replayed event: where it first stood, TOPIC:PARTITION:OFFSET. It keeps its identity however often it is replayed."""

ATTEMPTS_HEADER = "sosie-attempts"
"""On a replayed event: how often it was tried before."""


@dataclass(frozen=True, slots=True)
class Place:
    """A partition of a topic."""

    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}]"


@dataclass(frozen=True, slots=True)
class Event:
    """A record. `timestamp_s` is the broker's, in seconds since 1970."""

    place: Place
    offset: int
    key: bytes | None
    value: bytes | None
    timestamp_s: float
    headers: Mapping[str, bytes] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.place}@{self.offset}"

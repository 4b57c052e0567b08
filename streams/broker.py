"""What delivery needs of Kafka: `streams.faust_broker` has this from Faust, the tests from a log in memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from streams.event import Place
from streams.failures import Failure


class Broker(Protocol):
    """What delivery needs of Kafka. All but `commit`, `pause` and `resume` may raise `BrokerUnavailable` or `BrokerRefused`."""

    async def commit(self, offsets: Mapping[Place, int]) -> bool:
        """Store the next offset to read of each partition; False: not now (a rebalance is under way)."""

    async def seek(self, place: Place, offset: int) -> None:
        """Deliver the partition anew from this offset."""

    def pause(self, place: Place) -> None:
        """Fetch no more of this partition. What is delivered of it all the same is dropped."""

    def resume(self, place: Place) -> None:
        """Fetch the partition again."""

    async def start_of(self, place: Place) -> int:
        """Where reading begins: the committed offset, or the earliest there is."""

    async def first_at(self, place: Place, offset: int) -> int | None:
        """The offset of the first record at or after `offset`; None when there is none."""

    async def put_aside(self, failure: Failure) -> None:
        """Keep a dead letter; returns when the broker has confirmed it."""

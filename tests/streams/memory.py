"""A log of one topic in memory, with everything a broker does to a worker: deliver, take away, repeat, lose, fail."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from prometheus_client import CollectorRegistry

from monitor.base.errors import BrokerUnavailable, DatabaseBusy
from streams.attempts import Attempts, Left
from streams.dead_letter_limit import DeadLetterLimit
from streams.delivery import Delivery
from streams.event import Event, Place
from streams.failures import Failure
from streams.metrics import StreamMetrics
from streams.retry import RetryRule

TOPIC = "videos"
QUICK = RetryRule(attempts=3, first_s=0.001, longest_s=0.004)


def place(partition: int = 0) -> Place:
    return Place(TOPIC, partition)


@dataclass
class MemoryBroker:
    """`streams.delivery.Broker` over lists. `down` makes every question fail; `commits` is every commit in order."""

    records: dict[Place, list[Event]] = field(default_factory=dict)
    offsets: dict[Place, int] = field(default_factory=dict)
    commits: list[dict[Place, int]] = field(default_factory=list)
    dead: list[Failure] = field(default_factory=list)
    sought: list[tuple[Place, int]] = field(default_factory=list)
    stopped: set[Place] = field(default_factory=set)
    down: bool = False
    rebalancing: bool = False

    def add(self, value: bytes, *, partition: int = 0, key: bytes | None = None, skip: int = 0) -> Event:
        """Append a record, `skip` offsets after the last (as transaction markers leave holes)."""
        log = self.records.setdefault(place(partition), [])
        offset = (log[-1].offset + 1 if log else 0) + skip
        log.append(Event(place(partition), offset, key, value, timestamp_s=float(offset)))
        return log[-1]

    def from_committed(self, *partitions: int) -> list[Event]:
        """What a worker that takes these partitions over is delivered."""
        return [event for p in partitions for event in self.records.get(place(p), []) if event.offset >= self.offsets.get(place(p), 0)]

    async def commit(self, offsets: Mapping[Place, int]) -> bool:
        self._reach()
        if self.rebalancing:
            return False
        self.commits.append(dict(offsets))
        self.offsets |= offsets
        return True

    async def seek(self, place: Place, offset: int) -> None:
        self._reach()
        self.sought.append((place, offset))

    def pause(self, place: Place) -> None:
        self.stopped.add(place)

    def resume(self, place: Place) -> None:
        self.stopped.discard(place)

    async def start_of(self, place: Place) -> int:
        self._reach()
        return self.offsets.get(place, 0)

    async def first_at(self, place: Place, offset: int) -> int | None:
        self._reach()
        return next((event.offset for event in self.records[place] if event.offset >= offset), None)

    async def put_aside(self, failure: Failure) -> None:
        self._reach()
        self.dead.append(failure)

    def _reach(self) -> None:
        if self.down:
            raise BrokerUnavailable("memory", "is down", "Wait")


@dataclass
class MemoryAttempts:
    """`streams.attempts.Attempts` over `rows` that several owners share, as workers share the table. `down` makes every question fail."""

    rows: dict[tuple[Place, int], tuple[str, Left]]
    owner: str
    down: bool = False
    _before: dict[tuple[Place, int], tuple[str, bool]] = field(default_factory=dict)

    async def left(self, place: Place) -> Mapping[int, Left]:
        self._reach()
        return {offset: left for (where, offset), (owner, left) in self.rows.items() if where == place and owner != self.owner}

    async def begin(self, event: Event, *, alone: bool) -> None:
        self._reach()
        await asyncio.sleep(0)
        before, left = self.rows.get((event.place, event.offset), (self.owner, Left(0, 0)))
        self._before[(event.place, event.offset)] = (before, alone)
        self.rows[(event.place, event.offset)] = (self.owner, Left(left.tries + 1, left.alone + alone))

    def end(self, place: Place, offset: int) -> None:
        self.rows.pop((place, offset), None)

    def hand_back(self, place: Place, offset: int) -> None:
        owner, left = self.rows.get((place, offset), ("", Left(0, 0)))
        if owner != self.owner:
            return
        before, alone = self._before.get((place, offset), (owner, False))
        if left.tries <= 1:
            del self.rows[(place, offset)]
        else:
            self.rows[(place, offset)] = (before, Left(left.tries - 1, left.alone - alone))

    async def flush(self) -> None:
        self._reach()

    def _reach(self) -> None:
        if self.down:
            raise DatabaseBusy("memory", "is down", "Wait")


Handle = Callable[[Event], Awaitable[None]]


@asynccontextmanager
async def delivering(
    broker: MemoryBroker,
    handler: Handle,
    *,
    slots: int = 4,
    window: int = 100,
    rule: RetryRule = QUICK,
    limit: DeadLetterLimit | None = None,
    attempts: Attempts | None = None,
    partitions: tuple[int, ...] = (0,),
) -> AsyncIterator[Delivery]:
    """A delivery that holds the partitions; whatever is left of its work is cancelled in the end."""
    delivery = Delivery(
        broker,
        handler,
        slots=slots,
        window=window,
        rule=rule,
        limit=limit or DeadLetterLimit(1000, 1.0),
        metrics=StreamMetrics(CollectorRegistry()),
        attempts=attempts or MemoryAttempts({}, "me"),
        rng=random.Random(0),
    )
    delivery.assigned(place(p) for p in partitions)
    try:
        yield delivery
    finally:
        await delivery.drain(0)


async def settled(delivery: Delivery) -> None:
    """Until nothing is in flight, or delivery has failed."""
    async with asyncio.timeout(30):
        while len(delivery.ledger) and not delivery.failed.done():
            await asyncio.sleep(0.001)


def retold(event: Event) -> Event:
    """The same record delivered once more, as another object."""
    return replace(event)


def run(test: Coroutine[Any, Any, None]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(60):
            await test

    asyncio.run(limited())


class Work:
    """A handler that counts, and fails as it is told: value → what each try ends in (None: well); the last one repeats."""

    def __init__(self, **faults: list[Exception | None]) -> None:
        self.tries: Counter[bytes] = Counter()
        self.done: list[bytes] = []
        self.running = self.most = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self._faults = {name.encode(): errors for name, errors in faults.items()}

    async def __call__(self, event: Event) -> None:
        assert event.value is not None
        self.tries[event.value] += 1
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await self.gate.wait()
            await asyncio.sleep(0)
            faults = self._faults.get(event.value, [None])
            if (fault := faults[0] if len(faults) == 1 else faults.pop(0)) is not None:
                raise fault
            self.done.append(event.value)
        finally:
            self.running -= 1


def filled(*values: str, partition: int = 0) -> MemoryBroker:
    broker = MemoryBroker()
    for value in values:
        broker.add(value.encode(), partition=partition)
    return broker


async def take_all(delivery: Delivery, broker: MemoryBroker) -> None:
    """Deliver partition 0 from its committed offset."""
    for event in broker.from_committed(0):
        await delivery.take(event)

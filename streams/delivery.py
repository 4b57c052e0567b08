"""At least once, in order, one dead letter or one result for every event: the promise of a stream worker.

    take → [in order?] → slot → handler → done | retry | dead letter → ledger → commit

- An event is acknowledged only after its handler returned (its result is durable) or its dead letter was confirmed by the
  broker, and after every event before it on its partition. `commit` is the only place that tells the broker.
- Up to `slots` events are at work at once, in any order; those of one key, one after the other. An event that waits for its
  next try occupies no slot. `window` events are held unacknowledged at most; `take` waits while there are more.
- A failure of the world (database, disk, broker) stops all but one event, which tries again after a growing pause until one
  gets through. Nothing is given up for it.
- An event that does not follow directly on the one before is compared with the log: if something is missing, reading goes
  back to it. A client library that loses, repeats or reorders events around a rebalance costs time, not events.
- A crash at any moment repeats the events that were not committed. Handlers are idempotent.

What ends delivery: `DeadLettersExceeded`, a dead letter that can never be kept, or a fault in this file. `failed` holds it then,
nothing more is taken or acknowledged, and the process should end.

Belongs to one event loop; nothing here is thread-safe.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from monitor.base.errors import SosieError, SosieFault, TransientError
from streams.dead_letter_limit import DeadLetterLimit
from streams.event import Event, Place
from streams.failures import Failure
from streams.ledger import Entry, Ledger
from streams.metrics import StreamMetrics
from streams.outage import Outage
from streams.retry import RetryRule, Verdict, code_of

_log = logging.getLogger(__name__)

Handler = Callable[[Event], Awaitable[None]]
"""Takes an event to its end. Idempotent; durable when it returns; raises a `SosieError`, or anything for a bug."""


_SEEK_AGAIN_S = 5.0


class Broker(Protocol):
    """What delivery needs of Kafka. All but `commit` may raise `BrokerUnavailable`."""

    async def commit(self, offsets: Mapping[Place, int]) -> bool:
        """Store the next offset to read of each partition; False: not now (a rebalance is under way)."""

    async def seek(self, place: Place, offset: int) -> None:
        """Deliver the partition anew from this offset."""

    async def start_of(self, place: Place) -> int:
        """Where reading begins: the committed offset, or the earliest there is."""

    async def first_at(self, place: Place, offset: int) -> int | None:
        """The offset of the first record at or after `offset`; None when there is none."""

    async def put_aside(self, failure: Failure) -> None:
        """Keep a dead letter; returns when the broker has confirmed it."""


@dataclass(eq=False, slots=True)
class _Job:
    """The work on one event. After a rebalance the same event may be delivered again while its work goes on: `entry` moves."""

    entry: Entry
    task: asyncio.Task[None] | None = None
    at_work: bool = False
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class Delivery:
    """See the promise above. `rng` decides the pauses' random part."""

    def __init__(
        self,
        broker: Broker,
        handler: Handler,
        *,
        slots: int,
        window: int,
        rule: RetryRule,
        limit: DeadLetterLimit,
        metrics: StreamMetrics,
        rng: random.Random | None = None,
    ) -> None:
        self.ledger = Ledger()
        self.failed: asyncio.Future[SosieError | Exception] = asyncio.get_running_loop().create_future()
        self.acknowledged_at = time.monotonic()
        self.committed_at = time.monotonic()
        self._broker = broker
        self._handler = handler
        self._slots = asyncio.Semaphore(slots)
        self._window = window
        self._rule = rule
        self._limit = limit
        self._metrics = metrics
        self._rng = rng or random.Random()  # noqa: S311 - spreads retries, keeps no secret
        self._outage = Outage(rule, self._rng)
        self._jobs: dict[tuple[Place, int], _Job] = {}
        self._last_of_key: dict[tuple[Place, bytes], _Job] = {}
        self._room = asyncio.Event()
        self._draining = False
        self._stopping = False
        self._sought: dict[Place, tuple[int, int, float]] = {}
        self._committing = asyncio.Lock()

    # Taking

    async def take(self, event: Event) -> None:
        """Begin with an event as soon as there is room. It may be dropped: when it is not ours any more, or out of order."""
        if (epoch := self.ledger.epoch(event.place)) is None:
            return
        if not await self._in_order(event, epoch):
            return
        while len(self.ledger) >= self._window or self._draining or self.failed.done():
            self._room.clear()
            await self._room.wait()
        if self.ledger.epoch(event.place) != epoch:
            return  # it went away while we waited, and whoever holds it now gets the event
        self._enter(event)

    async def _in_order(self, event: Event, epoch: int) -> bool:
        while True:
            try:
                expected = self.ledger.expected(event.place)
                if expected is None:
                    expected = await self._broker.start_of(event.place)
                    if self.ledger.epoch(event.place) != epoch:
                        return False
                if event.offset < expected:
                    # Read again from further back: from what was begun in this epoch, or from before it.
                    return self.ledger.expected(event.place) is not None and not self.ledger.is_acknowledged(event)
                if event.offset == expected:
                    return True
                first = await self._broker.first_at(event.place, expected)
                if self.ledger.epoch(event.place) != epoch:
                    return False
                if first is not None and first >= event.offset:
                    return True  # nothing lies between: offsets skip transaction markers and what was compacted away
                await self._go_back(event, expected, epoch)
            except TransientError as error:
                _log.warning("the order of %s cannot be checked now: %s", event, error)
                await asyncio.sleep(self._rule.pause_s(3, self._rng))
                if self.ledger.epoch(event.place) != epoch:
                    return False
            else:
                return False

    async def _go_back(self, event: Event, expected: int, epoch: int) -> None:
        """Read again from `expected`; the events fetched already come first, so asking once in a while is enough."""
        now = time.monotonic()
        before = self._sought.get(event.place)
        if before is not None and before[:2] == (epoch, expected) and now - before[2] < _SEEK_AGAIN_S:
            return
        self._sought[event.place] = (epoch, expected, now)
        _log.warning("%s came before offset %s, which was not delivered; reading goes back to it", event, expected)
        await self._broker.seek(event.place, expected)

    def _enter(self, event: Event) -> None:
        entry = self.ledger.delivered(event)
        self._metrics.in_flight.set(len(self.ledger))
        if (job := self._jobs.get((event.place, event.offset))) is not None:
            job.entry = entry  # its work from before a rebalance is still going on
            return
        job = self._jobs[(event.place, event.offset)] = _Job(entry)
        before = None
        if event.key is not None:
            key = (event.place, event.key)
            before, self._last_of_key[key] = self._last_of_key.get(key), job
        job.task = asyncio.create_task(self._carry(job, before), name=f"sosie {event}")

    # Carrying one event to its end

    async def _carry(self, job: _Job, before: _Job | None) -> None:
        event = job.entry.event
        try:
            if before is not None:
                await before.ended.wait()
            if (failure := await self._try_until_decided(job)) is None:
                self._limit.done(event.place)
                self._end(job, "done")
            elif self.ledger.holds(job.entry):
                self._limit.check(event.place, failure.code)
                await self._put_aside(failure)
                self._metrics.dead_letters.labels(failure.code).inc()
                self._end(job, "dead_letter")
        except _HandedBackError:
            pass  # whoever holds the partition next gets the event
        except Exception as error:  # noqa: BLE001 - whatever it is, nothing may be acknowledged after it
            self._fail(error)
        finally:
            self._forget(job)

    async def _try_until_decided(self, job: _Job) -> Failure | None:
        """None: it worked. A failure: it never will."""
        tries = shut_doors = 0
        while True:
            error = await self._try_once(job)
            if error is None:
                return None
            verdict = self._rule.judge(error, tries + 1)
            tries, shut_doors = (tries, shut_doors + 1) if verdict is Verdict.WAIT_OUT else (tries + 1, 0)
            if verdict is Verdict.DEAD_LETTER:
                return Failure(job.entry.event, error, tries, datetime.now(UTC))
            if self._draining or not self.ledger.holds(job.entry):
                raise _HandedBackError
            self._metrics.retries.labels(code_of(error)).inc()
            if not self._outage.lasts():  # else the pause is the outage's, and is shared
                await asyncio.sleep(self._rule.pause_s(shut_doors or tries, self._rng))

    async def _try_once(self, job: _Job) -> Exception | None:
        async with self._slots, self._outage.passage():
            job.at_work = True
            started = time.perf_counter()
            try:
                with self._metrics.at_work.track_inprogress():
                    await self._handler(job.entry.event)
            except Exception as error:  # noqa: BLE001 - judged by the rule, and never lost
                self._note(job, error)
                return error
            else:
                self._outage.over()
                return None
            finally:
                job.at_work = False
                self._metrics.handler_seconds.observe(time.perf_counter() - started)
                self._metrics.outage.set(self._outage.lasts())

    def _note(self, job: _Job, error: Exception) -> None:
        event = job.entry.event
        if isinstance(error, SosieFault):
            if self._outage.goes_on():
                _log.warning("work waits, nothing is lost; met at %s: %s", event, error)
            return
        self._outage.over()
        if isinstance(error, SosieError):
            _log.info("%s: %s", event, error)
        else:
            _log.error("%s met a fault in Sosie itself", event, exc_info=error)

    async def _put_aside(self, failure: Failure) -> None:
        pauses = 0
        while True:
            try:
                await self._broker.put_aside(failure)
            except TransientError as error:
                pauses += 1
                _log.warning("the dead letter of %s waits: %s", failure.event, error)
                await asyncio.sleep(self._rule.pause_s(pauses, self._rng))
            else:
                _log.warning("%s is a dead letter after %d tries: %s", failure.event, failure.attempts, failure.text)
                return

    def _end(self, job: _Job, outcome: str) -> None:
        self._metrics.events.labels(outcome).inc()
        if self._stopping or self.failed.done():
            return
        now_s = time.time()
        for event in self.ledger.done(job.entry):
            self.acknowledged_at = time.monotonic()
            self._metrics.delay_seconds.observe(max(0.0, now_s - event.timestamp_s))
        self._metrics.in_flight.set(len(self.ledger))
        self._room.set()

    def _forget(self, job: _Job) -> None:
        event = job.entry.event
        job.ended.set()
        self._jobs.pop((event.place, event.offset), None)
        if event.key is not None and self._last_of_key.get((event.place, event.key)) is job:
            del self._last_of_key[(event.place, event.key)]

    # Acknowledging

    async def commit(self) -> bool:
        """Tell the broker how far everything is done; False when there was something to tell and it was not taken."""
        async with self._committing:
            if not (due := self.ledger.due()):
                self.committed_at = time.monotonic()
                return True
            if not await self._broker.commit(due):
                return False
            self.ledger.committed(due)
            self.committed_at = time.monotonic()
            return True

    # Partitions come and go

    def assigned(self, places: Iterable[Place]) -> None:
        """These partitions are ours from their committed offsets on; any other is not."""
        places = frozenset(places)
        self.ledger.revoked(self.ledger.places - places)
        self.ledger.assigned(places)
        self.acknowledged_at = time.monotonic()
        for job in list(self._jobs.values()):
            if not job.at_work and job.entry.event.place not in places and job.task is not None:
                job.task.cancel()  # it waits for its turn, and will have it elsewhere
        self._after_change()

    def revoked(self, places: Iterable[Place]) -> None:
        """These are not ours for now. Work on them goes on: they may come back, and then it counts."""
        self.ledger.revoked(places)
        self._after_change()

    def _after_change(self) -> None:
        self._metrics.partitions.set(len(self.ledger.places))
        self._metrics.in_flight.set(len(self.ledger))
        self._room.set()

    # Ending

    @property
    def at_work(self) -> int:
        """Events whose handler is running."""
        return sum(job.at_work for job in self._jobs.values())

    def _fail(self, error: Exception) -> None:
        if not self.failed.done():
            self.failed.set_result(error)

    async def drain(self, timeout_s: float) -> int:
        """Begin nothing more, wait for what is at work, hand the rest back; returns how many at work were not waited for.

        Call `commit` after it. What was handed back is not acknowledged, and is delivered again.
        """
        jobs = list(self._jobs.values())
        waiting = [job.task for job in jobs if not job.at_work and job.task is not None]
        working = [job.task for job in jobs if job.at_work and job.task is not None]
        self._draining = True
        for task in waiting:
            task.cancel()
        if working:
            await asyncio.wait(working, timeout=timeout_s)
        self._stopping = True
        left = [task for task in working if not task.done()]
        for task in left:
            task.cancel()
        await asyncio.gather(*waiting, *working, return_exceptions=True)
        return len(left)


class _HandedBackError(Exception):
    """The event is left to whoever holds its partition next."""

"""At least once, in order, one dead letter or one result for every event: the promise of a stream worker.

    take → [in order?] → slot → handler → done | retry | dead letter → ledger → commit

- An event is acknowledged only after its handler returned (its result is durable) or its dead letter was confirmed by the
  broker, and after every event before it on its partition. `commit` is the only place that tells the broker.
- Up to `slots` events are at work at once, in any order; those of one key, one after the other. An event that waits for its
  next try occupies no slot. `window` events are held unacknowledged at most; `take` waits while there are more.
- A fault of Sosie's own (database, disk, broker, index, model) stops all but one event, which tries again after a growing pause
  until one gets through. Nothing is given up for it, and `trouble` says what is waited for.
- A fault nobody foresaw costs the one event that meets it, as `Quarantined`, and only once others got through; if every event
  meets it, all wait. `streams.gate` holds the same for an event that ends its worker.
- More wrong messages than `limit` allows pause their partition: what is done before is committed, the event is tried again now
  and then, nothing more is taken of it, other partitions go on. It goes on when one of its events succeeds, or at a restart.
- An event that does not follow directly on the one before is compared with the log: if something is missing, reading goes
  back to it. A client library that loses, repeats or reorders events around a rebalance costs time, not events.
- A crash at any moment repeats the events that were not committed. Handlers are idempotent.

What ends delivery is a bug in this file alone. `failed` holds it then, nothing more is taken or acknowledged, and the process should end.

Belongs to one event loop; nothing here is thread-safe.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

from monitor.base.errors import DeadLettersExceeded, SosieError
from streams.attempts import Attempts
from streams.broker import Broker
from streams.dead_letter_limit import DeadLetterLimit
from streams.event import Event, Place
from streams.failures import Failure, failure_of
from streams.gate import Gate
from streams.ledger import Entry, Ledger
from streams.metrics import StreamMetrics
from streams.order import Order
from streams.retry import RetryRule, Verdict, code_of, text_of, unforeseen

_log = logging.getLogger(__name__)

Handler = Callable[[Event], Awaitable[bool | None]]
"""Takes an event to its end. Idempotent; durable when it returns; raises a `SosieError`, or anything for a bug.

False: there was nothing to do, so that its success says nothing of whether Sosie works."""


@dataclass(eq=False, slots=True)
class _Job:
    """The work on one event. After a rebalance the same event may be delivered again while its work goes on: `entry` moves."""

    entry: Entry
    task: asyncio.Task[None] | None = None
    at_work: bool = False
    failed_at: int | None = None  # how many tries of all events had begun when this one first failed so that it may be quarantined
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class Delivery:
    """The delivery of events, as the module promises it. `rng` decides the pauses' random part."""

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
        attempts: Attempts,
        rng: random.Random | None = None,
    ) -> None:
        self.ledger = Ledger()
        self.failed: asyncio.Future[SosieError | Exception] = asyncio.get_running_loop().create_future()
        self.acknowledged_at = time.monotonic()
        self.committed_at = time.monotonic()
        self.waited_at = time.monotonic()
        self._broker = broker
        self._handler = handler
        self._window = window
        self._rule = rule
        self._limit = limit
        self._metrics = metrics
        self._rng = rng or random.Random()  # noqa: S311 - spreads retries, keeps no secret
        self._order = Order(broker, self.ledger, rule, self._rng)
        self._attempts = attempts
        self._gate = Gate(slots, rule, self._rng, attempts)
        self._waiting: dict[_Job, Exception] = {}  # for a fault of Sosie's own to be mended
        self._paused: dict[Place, DeadLettersExceeded] = {}
        self._jobs: dict[tuple[Place, int], _Job] = {}
        self._last_of_key: dict[tuple[Place, bytes], _Job] = {}
        self._room = asyncio.Event()
        self._draining = False
        self._stopping = False
        self._committing = asyncio.Lock()

    # Taking

    async def take(self, event: Event) -> None:
        """Begin with an event as soon as there is room. It may be dropped: when it is not ours any more, or out of order."""
        if (epoch := self.ledger.epoch(event.place)) is None or event.place in self._paused:
            return  # of a paused partition it is read again when that goes on
        if not await self._order.holds(event, epoch):
            return
        while self._crowd() >= self._window or self._draining or self.failed.done():
            self._room.clear()
            await self._room.wait()
        if self.ledger.epoch(event.place) != epoch or event.place in self._paused:
            return  # it went away while we waited, and whoever holds it now gets the event
        self._enter(event)

    def _crowd(self) -> int:
        """How many events fill the window. Those of paused partitions do not: others go on."""
        return len(self.ledger) - sum(self.ledger.count(place) for place in self._paused)

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
            while (failure := await self._try_until_decided(job)) is not None and self.ledger.holds(job.entry):
                if (reason := self._limit.refuses(event.place, failure.error)) is None:
                    await self._put_aside(job, failure)
                    self._end(job, "dead_letter")
                    break
                await self._pause(job, reason)
            else:
                if failure is None:
                    self._limit.passed(event.place)
                    self._end(job, "done")
                    await self._go_on(event.place)
        except _HandedBackError:
            pass  # whoever holds the partition next gets the event
        except Exception as error:  # noqa: BLE001 - whatever it is, nothing may be acknowledged after it
            self._fail(error)
        finally:
            self._forget(job)

    async def _try_until_decided(self, job: _Job) -> Failure | None:
        """Try an event until it worked (None), or never will (the failure)."""
        tries = shut_doors = 0
        while True:
            error = await self._try_once(job)
            if error is None:
                return None
            shown = job.failed_at is not None and self._gate.got_through_since(job.failed_at)
            verdict = self._rule.judge(error, tries + 1, others_get_through=shown)
            self._note(job, error, waits=verdict is Verdict.WAIT_OUT)
            tries, shut_doors = (tries, shut_doors + 1) if verdict is Verdict.WAIT_OUT else (tries + 1, 0)
            if verdict in (Verdict.DEAD_LETTER, Verdict.QUARANTINE):
                left = self._gate.left(job.entry.event)  # of a suspect that is refused: it was not tried now
                return failure_of(job.entry.event, error, left.tries if left is not None else tries)
            if self._draining or not self.ledger.holds(job.entry):
                raise _HandedBackError
            self._metrics.retries.labels(code_of(error)).inc()
            if not self._gate.outage.lasts():  # else the pause is the outage's, and is shared
                await asyncio.sleep(self._rule.pause_s(shut_doors or tries, self._rng))

    async def _try_once(self, job: _Job) -> Exception | None:
        try:
            async with self._gate.passage(job.entry.event) as number:
                job.at_work = True
                started = time.perf_counter()
                try:
                    with self._metrics.at_work.track_inprogress():
                        worked = await self._handler(job.entry.event)
                finally:
                    job.at_work = False
                    self._metrics.handler_seconds.observe(time.perf_counter() - started)
                self._waiting.pop(job, None)
                if worked is not False:
                    self._gate.got_through(number)
                return None
        except Exception as error:  # noqa: BLE001 - judged by the rule, and never lost
            if unforeseen(error) and job.failed_at is None:
                job.failed_at = self._gate.begun
            return error
        finally:
            self._tell()

    def _note(self, job: _Job, error: Exception, *, waits: bool) -> None:
        event = job.entry.event
        if waits:
            self.waited_at = time.monotonic()
            self._waiting[job] = error
            if self._gate.outage.goes_on():
                _log.warning("work waits, nothing is lost; met at %s: %s", event, text_of(error), exc_info=_traceback(error))
            return
        self._waiting.pop(job, None)
        if isinstance(error, SosieError):
            _log.info("%s: %s", event, error)
        else:
            _log.error("%s met a fault in Sosie itself", event, exc_info=error)

    async def _put_aside(self, job: _Job, failure: Failure) -> None:
        pauses = 0
        while True:
            try:
                await self._broker.put_aside(failure)
            except SosieError as error:
                pauses += 1
                self.waited_at = time.monotonic()
                self._waiting[job] = error
                _log.warning("the dead letter of %s waits: %s", failure.event, error)
                await asyncio.sleep(self._rule.pause_s(pauses, self._rng))
            else:
                self._waiting.pop(job, None)
                self._metrics.dead_letters.labels(failure.code).inc()
                _log.warning("%s is a dead letter after %d tries: %s", failure.event, failure.attempts, failure.text)
                return

    # Pausing a partition

    async def _pause(self, job: _Job, reason: DeadLettersExceeded) -> None:
        """Take nothing more of the partition, and wait before the event is tried again."""
        place = job.entry.event.place
        if place not in self._paused:
            _log.error("%s", reason)
            self._paused[place] = reason
            self._broker.pause(place)
            self._after_change()
        await asyncio.sleep(self._rule.longest_s * self._rng.uniform(0.5, 1.0))

    async def _go_on(self, place: Place) -> None:
        """Read a paused partition again, after a success, from where it was left."""
        if self._paused.pop(place, None) is None:
            return
        _log.warning("%s goes on", place)
        self._broker.resume(place)
        self._after_change()
        await self._order.read_again(place)

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
        self._waiting.pop(job, None)
        self._tell()
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
            self._gate.committed(due)
            self.committed_at = time.monotonic()
            return True

    async def remember(self) -> None:
        """Record which events have ended; an end that cannot be recorded now is recorded next time."""
        try:
            await self._attempts.flush()
        except SosieError as error:
            _log.info("what has ended cannot be recorded now: %s", error)

    # Partitions come and go

    def assigned(self, places: Iterable[Place]) -> None:
        """Take these partitions as ours, from their committed offsets on, and no others."""
        places = frozenset(places)
        self.ledger.revoked(self.ledger.places - places)
        self._paused.clear()  # whether it is still as it was, the next event says
        self._gate.assigned(places)
        self.ledger.assigned(places)
        self.acknowledged_at = time.monotonic()
        for job in list(self._jobs.values()):
            if not job.at_work and job.entry.event.place not in places and job.task is not None:
                job.task.cancel()  # it waits for its turn, and will have it elsewhere
        self._after_change()

    def revoked(self, places: Iterable[Place]) -> None:
        """Take these partitions as not ours for now. Work on them goes on: they may come back, and then it counts."""
        places = frozenset(places)
        self.ledger.revoked(places)
        self._paused = {place: reason for place, reason in self._paused.items() if place not in places}
        self._gate.revoked(job.entry.event for job in self._jobs.values() if job.at_work and job.entry.event.place in places)
        self._after_change()

    def _after_change(self) -> None:
        self._metrics.partitions.set(len(self.ledger.places))
        self._metrics.in_flight.set(len(self.ledger))
        self._tell()
        self._room.set()

    # Telling

    @property
    def trouble(self) -> str | None:
        """Why the worker does not do what it should, in sentences; None when nothing is wrong."""
        said = [text_of(error) for error in list(self._waiting.values())[-1:]] + [str(reason) for reason in self._paused.values()]
        return "; ".join(said) or None

    @property
    def waiting(self) -> int:
        """How many events are not acknowledged, but for those of paused partitions."""
        return self._crowd()

    @property
    def paused(self) -> frozenset[Place]:
        """Partitions of which nothing is taken now."""
        return frozenset(self._paused)

    def _tell(self) -> None:
        if not self._waiting:
            self._gate.outage.over()
        self._metrics.outage.set(self._gate.outage.lasts())
        self._metrics.waiting.set(len(self._waiting))
        self._metrics.paused.set(len(self._paused))
        self._metrics.suspects.set(self._gate.suspects)

    # Ending

    @property
    def at_work(self) -> int:
        """How many events have a handler that is running."""
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


def _traceback(error: Exception) -> Exception | None:
    return None if isinstance(error, SosieError) else error

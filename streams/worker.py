"""A video worker from its start to its end: what `sosie worker` runs.

Start: the port opens (alive, not ready), the models and the index are loaded, the broker is waited for, the group is joined.
Work: `streams.delivery` keeps the promise; every second what is done is committed, and the gauges are set.
Stop (SIGTERM, SIGINT): nothing more is begun; what is at work has `worker_stop_s` to end; what is done is committed; the rest is
handed back unacknowledged. All of it ends within `worker_stop_s` + STOPPING_S.
While Sosie itself fails, or a partition is paused, it lives, is not ready and says why.
End by itself: an error at the start that waiting cannot mend (a setting, a model, no such topic) is raised; later only a bug in the
stream layer itself, after the same stop.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import faust

from monitor.base.errors import BrokerUnavailable, ConfigError, ModelError, PolicyError, SosieError, SosieFault
from monitor.base.exposition import Exposition
from monitor.base.settings import Settings
from monitor.intake import scratch
from monitor.scan.standing_metrics import watch_outbox
from monitor.scan.workshop import Workshop
from streams.app import make_app
from streams.attempts import DatabaseAttempts, prune
from streams.broker_errors import unreadable
from streams.connection import require_brokers
from streams.dead_letter_limit import DeadLetterLimit
from streams.delivery import Delivery
from streams.event import Event, Place
from streams.faust_broker import FaustBroker
from streams.health import Answer, Idleness, Parts, Progress, live, ready
from streams.lag_watch import LagWatch
from streams.log import Log
from streams.metrics import StreamMetrics
from streams.port import open_port
from streams.publisher import Publisher
from streams.relay import Relay
from streams.retry import RetryRule, text_of
from streams.topics import DEAD_LETTERS, TOPICS, VIDEOS, worker_group
from streams.videos import VideoHandler

STOPPING_S = 20.0
"""What stopping takes at most beyond `worker_stop_s`: the last commit, leaving the group, ending the decoders."""

_COMMIT_EVERY_S = 1.0
_LOOK_EVERY_S = 10.0
_REVOKE_COMMIT_S = 5.0
_log = logging.getLogger(__name__)


class Worker:
    """One worker in one process. `run` is called once, in the main thread's event loop."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._settings: Settings = workshop.settings
        self._metrics = StreamMetrics(workshop.metrics.registry)
        self._parts = Parts()
        self._stop = asyncio.Event()
        self._delivery: Delivery | None = None
        self._idleness = Idleness(time.monotonic())
        self._lag = LagWatch(workshop.settings, workshop.metrics.registry)

    async def run(self, *, told: Callable[[int], None] = lambda _: None, stopping: Callable[[], None] = lambda: None) -> None:
        """Work until a signal, or until an error that is raised.

        `told` hears the port once it is open, `stopping` that the end has begun.
        """
        require_brokers(self._settings)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        settings = self._settings
        async with open_port(
            settings.worker_host,
            settings.worker_port,
            live=self._live,
            ready=self._ready,
            refresh=self._set_gauges,
            exposition=Exposition.of(self._workshop.metrics.registry, settings),
        ) as port:
            told(port)
            with Log(settings, worker_group(settings.kafka_prefix)) as log:
                if await self._unless_stopped(self._load()) and await self._unless_stopped(self._reach_broker(log)):
                    await self._work(log, stopping)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)

    # Starting

    async def _load(self) -> None:
        def load() -> None:
            workshop = self._workshop
            scratch.clear(self._settings.home / "scratch")
            workshop.pipeline.gallery.current()
            watch_outbox(workshop.metrics, workshop.store)
            prune(workshop.store, now=datetime.now(UTC))

        pauses, rule = 0, RetryRule()
        while True:
            try:
                await asyncio.to_thread(load)
            except SosieFault as error:
                if isinstance(error, ConfigError | ModelError | PolicyError):
                    raise  # whoever started it with such settings is there to read it
                pauses += 1
                self._parts = Parts(index=str(error))
                _log.warning("waiting at the start: %s", error)
                await asyncio.sleep(min(rule.longest_s, rule.first_s * 2.0**pauses))
            else:
                self._parts = Parts(index=None)
                return

    async def _reach_broker(self, log: Log) -> None:
        pauses, rule = 0, RetryRule()
        while True:
            try:
                for topic in TOPICS:
                    await asyncio.to_thread(log.require_topic, topic.name(self._settings.kafka_prefix))
            except BrokerUnavailable as error:
                pauses += 1
                self._parts = Parts(index=None, broker=str(error))
                _log.warning("waiting for the broker: %s", error)
                await asyncio.sleep(min(rule.longest_s, rule.first_s * 2.0**pauses))
            else:
                return

    async def _unless_stopped(self, work: Awaitable[None]) -> bool:
        """Wait for the work or the stop; say whether the work was done. What the work raises is raised."""
        task, stop = asyncio.ensure_future(work), asyncio.ensure_future(self._stop.wait())
        await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if not task.done():
            task.cancel()
            return False
        await task
        return True

    # Working

    async def _work(self, log: Log, stopping: Callable[[], None]) -> None:
        settings, workshop = self._settings, self._workshop
        handler = VideoHandler(workshop.pipeline, slots=settings.worker_slots, files=settings.worker_files)
        publisher = Publisher(settings)
        app = make_app(settings, settings.home / "scratch", take=self._take, assigned=self._assigned, revoked=self._revoked)
        broker = FaustBroker(app, log, publisher, DEAD_LETTERS.name(settings.kafka_prefix))
        attempts = DatabaseAttempts(workshop.store)
        delivery = self._delivery = Delivery(
            broker,
            handler,
            slots=settings.worker_slots,
            window=settings.worker_window,
            rule=RetryRule(attempts=settings.worker_attempts),
            limit=DeadLetterLimit(settings.dead_letter_run, settings.dead_letter_share),
            metrics=self._metrics,
            attempts=attempts,
        )
        over = threading.Event()
        relay = Relay.to_topic(workshop.store, publisher, settings)
        relaying = threading.Thread(target=relay.run, args=(over,), name="sosie-relay")
        tasks = [asyncio.create_task(self._commit_often(delivery)), asyncio.create_task(self._keep_index_current())]
        try:
            relaying.start()
            self._lag.start(over)
            if await self._unless_stopped(app.start()):
                self._parts = Parts(index=self._parts.index, broker=None)
                await self._until_over(app, delivery, tasks)
        finally:
            self._parts = Parts(stopping=True)
            stopping()
            await self._end(app, delivery, handler)
            over.set()
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.to_thread(relaying.join)
            await asyncio.to_thread(broker.close)
            await asyncio.to_thread(attempts.close)
            await asyncio.to_thread(publisher.close)
        if delivery.failed.done():
            raise delivery.failed.result()
        if (fault := next((each for each in ended if isinstance(each, Exception)), None)) is not None:
            raise fault
        if isinstance(app.crash_reason, UnicodeDecodeError):
            raise unreadable(f"Topic {VIDEOS.name(settings.kafka_prefix)}", str(app.crash_reason)) from app.crash_reason
        if app.crash_reason is not None:
            raise BrokerUnavailable(
                settings.kafka_brokers,
                f"the Kafka client gave up ({type(app.crash_reason).__name__})",
                "Start the worker again; nothing is lost",
            ) from app.crash_reason

    async def _take(self, event: Event) -> None:
        assert self._delivery is not None
        await self._delivery.take(event)

    def _assigned(self, places: frozenset[Place]) -> None:
        assert self._delivery is not None
        self._metrics.rebalances.inc()
        _log.info("holds %s", ", ".join(sorted(map(str, places))) or "no partition: there are more workers than partitions")
        self._delivery.assigned(places)

    async def _revoked(self, places: frozenset[Place]) -> None:
        assert self._delivery is not None
        with contextlib.suppress(TimeoutError):  # then those events come twice
            await asyncio.wait_for(self._delivery.commit(), _REVOKE_COMMIT_S)
        self._delivery.revoked(places)
        with contextlib.suppress(TimeoutError):  # then those at work are tried alone by whoever holds them next
            await asyncio.wait_for(self._delivery.remember(), _REVOKE_COMMIT_S)

    async def _until_over(self, app: faust.App, delivery: Delivery, tasks: Sequence[asyncio.Task[None]]) -> None:
        """Wait for a signal, or until something ended that should not: the app, delivery, a task."""
        waits: list[asyncio.Future[Any]] = [asyncio.ensure_future(self._stop.wait()), asyncio.ensure_future(app.wait_until_stopped())]
        try:
            await asyncio.wait([*waits, *tasks, delivery.failed], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def _commit_often(self, delivery: Delivery) -> None:
        while True:
            await asyncio.sleep(_COMMIT_EVERY_S)
            await delivery.commit()
            await delivery.remember()
            self._set_gauges()
            self._progress()

    async def _keep_index_current(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            try:
                await asyncio.to_thread(self._workshop.pipeline.gallery.current)
            except (SosieError, OSError) as error:
                self._parts = Parts(index=text_of(error), broker=self._parts.broker)
            else:
                self._parts = Parts(index=None, broker=self._parts.broker)

    # Telling

    def _live(self) -> Answer:
        return live(self._progress(), self._settings.worker_stalled_s)

    def _ready(self) -> Answer:
        return ready(replace(self._parts, work=None if self._delivery is None else self._delivery.trouble))

    def _progress(self) -> Progress:
        """The progress of our own partitions that are not paused; of the whole group while we hold none, because then somebody else should
        move.

        A try that met a fault of Sosie's own is a movement as well: it is being waited for, and a restart would not help.
        """
        if (delivery := self._delivery) is None:
            return Progress(0.0, 0)
        held = {place.partition for place in delivery.ledger.places}
        ours = held - {place.partition for place in delivery.paused}
        behind = sum(each.events for each in self._lag.lag if not held or each.partition in ours)
        moved_at = max(delivery.acknowledged_at, delivery.waited_at) if held else self._lag.moved_at
        return self._idleness.seen(now=time.monotonic(), moved_at=moved_at, waiting=max(delivery.waiting, behind))

    def _set_gauges(self) -> None:
        if (delivery := self._delivery) is None:
            return
        oldest = delivery.ledger.oldest()
        self._metrics.oldest_event.set(0.0 if oldest is None else max(0.0, time.time() - oldest.timestamp_s))
        self._metrics.commit_age.set(time.monotonic() - delivery.committed_at if delivery.ledger.due() else 0.0)

    # Ending

    async def _end(self, app: faust.App, delivery: Delivery, handler: VideoHandler) -> None:
        left = await delivery.drain(self._settings.worker_stop_s)
        handler.close()
        if left:
            _log.warning("%d events are handed back unfinished; whoever takes their partitions begins them anew", left)
            await asyncio.to_thread(self._workshop.sandbox.close)  # ends the threads that wait for a decoder
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(delivery.commit(), STOPPING_S / 4)
        with contextlib.suppress(TimeoutError):  # then those events are tried one by one
            await asyncio.wait_for(delivery.remember(), STOPPING_S / 4)
        try:
            await asyncio.wait_for(app.stop(), STOPPING_S / 2)
        except TimeoutError:
            _log.warning("the Kafka client did not stop in time; its group notices after %g s", self._settings.kafka_session_s)

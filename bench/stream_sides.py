"""One side of a stream comparison, in a process of its own: `python -m bench.stream_sides SIDE` with a JSON object on stdin.

    scan       `pipeline.scan` over the videos in this process, as `sosie scan` does
    worker     `sosie worker`, unchanged but for a clock around `scan`, over the same videos as events
    delivery   the worker's Faust app and `streams.delivery`, with a handler that does nothing
    aiokafka   the same events through plain aiokafka, one by one, committed every second

Each prints one JSON object. CPU is that of the process and its decoders, from the moment everything is loaded and joined.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from prometheus_client import CollectorRegistry

from bench.clock import StageClock
from monitor.base import settings
from monitor.base.database import Store
from monitor.base.settings import Settings
from monitor.scan.pipeline import Pipeline
from monitor.scan.result import Posted, ScanResult
from monitor.scan.workshop import Workshop
from streams.metrics import StreamMetrics

_SCAN = "scan"


@dataclass
class TimedPipeline:
    """What a worker asks of a pipeline, with the times of every scan: post → seconds of the scan, instant of its end."""

    pipeline: Pipeline
    seconds: dict[str, float] = field(default_factory=dict)
    ended_at: dict[str, float] = field(default_factory=dict)

    @property
    def gallery(self) -> Any:
        return self.pipeline.gallery

    def has_scanned(self, posted: Posted) -> bool:
        return self.pipeline.has_scanned(posted)

    def scan(self, posted: Posted) -> ScanResult:
        started = time.perf_counter()
        result = self.pipeline.scan(posted)
        self.seconds[posted.id] = time.perf_counter() - started
        self.ended_at[posted.id] = time.time()
        return result


def scan(configured: Settings, videos: list[str], slots: int) -> dict[str, Any]:
    """CPU-seconds of scanning all, `slots` at once."""
    clock = StageClock()
    with Workshop(configured) as workshop:
        workshop.pipeline.gallery.current()
        workshop.pipeline.scan(Posted.of(videos[0]))  # starts a decoder
        started = time.perf_counter()
        with clock.stage(_SCAN), ThreadPoolExecutor(slots) as pool:
            list(pool.map(lambda video: workshop.pipeline.scan(Posted.of(video)), videos[1:]))
        return {"cpu_s": clock.seconds[_SCAN], "wall_s": time.perf_counter() - started}


def worker(configured: Settings, events: int, warm_up: int) -> dict[str, Any]:
    """A worker until `events` posts are scanned. CPU and memory count from the `warm_up`-th on."""
    from streams.worker import Worker

    with Workshop(configured) as workshop:
        timed = TimedPipeline(workshop.pipeline)
        workshop.__dict__["pipeline"] = timed
        watch = _Watch(timed, events, warm_up)
        thread = threading.Thread(target=watch.run)

        async def work() -> None:
            thread.start()
            await Worker(workshop).run()

        asyncio.run(work())
        thread.join()
        return {
            "cpu_s": watch.cpu_s,
            "wall_s": watch.wall_s,
            "rss_mib": watch.rss_mib,
            "scans": {post: [timed.seconds[post], timed.ended_at[post]] for post in timed.ended_at},
        }


class _Watch:
    """Looks at this process from a thread of its own, and stops the worker in the end."""

    def __init__(self, timed: TimedPipeline, events: int, warm_up: int) -> None:
        self._timed, self._events, self._warm_up = timed, events, warm_up
        self.cpu_s = self.wall_s = 0.0
        self.rss_mib: dict[int, float] = {}

    def run(self) -> None:
        clock = StageClock()
        self._wait_for(self._warm_up)
        started = time.perf_counter()
        with clock.stage(_SCAN):
            self._wait_for(self._events)
        self.cpu_s, self.wall_s = clock.seconds[_SCAN], time.perf_counter() - started
        os.kill(os.getpid(), signal.SIGTERM)

    def _wait_for(self, count: int) -> None:
        while (done := len(self._timed.ended_at)) < count:
            mark = done - done % 100
            if mark and mark not in self.rss_mib:
                self.rss_mib[mark] = _rss_mib()
            time.sleep(0.25)  # seldom, because looking is counted as the worker's
        self.rss_mib[count] = _rss_mib()


def _rss_mib() -> float:
    """Of this process alone: decoders are replaced every hundred tasks anyway."""
    return round(float(psutil.Process().memory_info().rss) / 2**20, 1)


async def delivery(configured: Settings, events: int) -> dict[str, Any]:
    """Seconds from the first event to the last acknowledgement."""
    from streams.app import make_app
    from streams.attempts import DatabaseAttempts
    from streams.dead_letter_limit import DeadLetterLimit
    from streams.delivery import Delivery
    from streams.event import Event
    from streams.faust_broker import FaustBroker
    from streams.log import Log
    from streams.publisher import Publisher
    from streams.retry import RetryRule
    from streams.topics import worker_group

    started, done = 0.0, 0

    async def nothing(event: Event) -> None:
        nonlocal started, done
        started = started or time.perf_counter()
        done += 1

    async def revoked(_: object) -> None:
        pass

    held: list[Delivery] = []
    app = make_app(
        configured,
        configured.home / "scratch",
        take=lambda event: held[0].take(event),
        assigned=lambda places: held[0].assigned(places),
        revoked=revoked,
    )
    log, publisher = Log(configured, worker_group(configured.kafka_prefix)), Publisher(configured)
    broker = FaustBroker(app, log, publisher, "none")
    metrics = StreamMetrics(CollectorRegistry())
    limit = DeadLetterLimit(configured.dead_letter_run, configured.dead_letter_share)
    store = Store(configured.effective_database_url)
    store.migrate()
    attempts = DatabaseAttempts(store)
    made = Delivery(
        broker,
        nothing,
        slots=configured.worker_slots,
        window=configured.worker_window,
        rule=RetryRule(),
        limit=limit,
        metrics=metrics,
        attempts=attempts,
    )
    held.append(made)
    clock = StageClock()
    with clock.stage(_SCAN):
        await app.start()
        while done < events or len(made.ledger):
            await asyncio.sleep(0.05)
            await made.commit()
        await made.commit()
        seconds = time.perf_counter() - started
    await made.drain(1)
    await app.stop()
    attempts.close()
    store.close()
    broker.close()
    publisher.close()
    return {"seconds": seconds, "cpu_s": clock.seconds[_SCAN]}


async def aiokafka(configured: Settings, events: int) -> dict[str, Any]:
    """The least that at-least-once costs: fetch, hand over, commit."""
    from aiokafka import AIOKafkaConsumer

    from streams.topics import VIDEOS

    consumer = AIOKafkaConsumer(
        VIDEOS.name(configured.kafka_prefix),
        bootstrap_servers=configured.kafka_brokers,
        group_id=f"{configured.kafka_prefix}.plain",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    clock = StageClock()
    with clock.stage(_SCAN):
        await consumer.start()
        done, started, committed_at = 0, 0.0, time.perf_counter()
        while done < events:
            await consumer.getone()
            started = started or time.perf_counter()
            done += 1
            if time.perf_counter() - committed_at > 1:
                await consumer.commit()
                committed_at = time.perf_counter()
        await consumer.commit()
        seconds = time.perf_counter() - started
    await consumer.stop()
    return {"seconds": seconds, "cpu_s": clock.seconds[_SCAN]}


def main() -> None:
    logging.basicConfig(level=logging.WARNING)
    asked = json.load(sys.stdin)
    configured = settings.load({}, **{name: Path(value) if name == "home" else value for name, value in asked["settings"].items()})
    match sys.argv[1]:
        case "scan":
            told = scan(configured, asked["videos"], configured.worker_slots)
        case "worker":
            told = worker(configured, asked["events"], asked["warm_up"])
        case "delivery":
            told = asyncio.run(delivery(configured, asked["events"]))
        case _:
            told = asyncio.run(aiokafka(configured, asked["events"]))
    print(json.dumps(told))


if __name__ == "__main__":
    main()

"""The queue's gauges, read from the database whenever they are scraped."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime

from sqlalchemy.orm import Session

from monitor.errors import SosieError
from monitor.metrics import Metrics
from monitor.review import queue
from monitor.store import Store


def watch_queue(metrics: Metrics, store: Store) -> None:
    """Let the gauges answer from `store`; while it cannot be read they say NaN, and the scrape goes on."""

    def gauge(read: Callable[[Session, datetime], float]) -> Callable[[], float]:
        def value() -> float:
            try:
                with store.session(read_only=True) as session:
                    return read(session, datetime.now(UTC))
            except SosieError:
                return math.nan

        return value

    metrics.queue_depth.set_function(gauge(lambda session, now: queue.counts(session, now=now).open))
    metrics.queue_claimed.set_function(gauge(lambda session, now: queue.counts(session, now=now).claimed))
    metrics.queue_oldest.set_function(gauge(_oldest_s))


def _oldest_s(session: Session, now: datetime) -> float:
    opened = queue.oldest_open(session)
    return 0.0 if opened is None else max(0.0, (now - opened).total_seconds())

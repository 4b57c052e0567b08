"""What stands in the database and among the blobs as gauges, read whenever they are scraped: the queue, and the index in use."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

from sqlalchemy.orm import Session

from indexes.snapshot import Snapshots
from monitor.base.blobs import Blobs
from monitor.base.database import Store
from monitor.base.errors import SosieError
from monitor.base.metrics import Metrics
from monitor.registry import erasure
from monitor.review import outbox, queue


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
    metrics.queue_overdue.set_function(gauge(lambda session, now: queue.overdue(session, now=now)))
    metrics.queue_oldest.set_function(gauge(_oldest_s))


def watch_outbox(metrics: Metrics, store: Store) -> None:
    """Let the outbox's gauges answer from `store`, NaN while it cannot be read."""

    def waiting() -> tuple[float, float]:
        try:
            with store.session(read_only=True) as session:
                count, oldest = outbox.backlog(session)
        except SosieError:
            return math.nan, math.nan
        return float(count), 0.0 if oldest is None else max(0.0, (datetime.now(UTC) - oldest).total_seconds())

    metrics.outbox_waiting.set_function(lambda: waiting()[0])
    metrics.outbox_oldest.set_function(lambda: waiting()[1])


def _oldest_s(session: Session, now: datetime) -> float:
    opened = queue.oldest_open(session)
    return 0.0 if opened is None else max(0.0, (now - opened).total_seconds())


def watch_index(metrics: Metrics, blobs: Blobs) -> None:
    """Let the index's gauges answer for the snapshots that are stored, for a process that searches none itself."""
    for space_id in erasure.spaces(blobs):
        snapshots = erasure.snapshots_of(blobs, space_id)
        metrics.index_references.labels(space_id).set_function(partial(_references, snapshots))
        metrics.index_loaded.labels(space_id).set_function(partial(_published, snapshots))


def _references(snapshots: Snapshots) -> float:
    try:
        return float(snapshots.facts(snapshots.current() or "none")["count"])
    except (SosieError, OSError, ValueError, KeyError):
        return math.nan


def _published(snapshots: Snapshots) -> float:
    try:
        return snapshots.moved_s() or math.nan
    except (SosieError, OSError):
        return math.nan

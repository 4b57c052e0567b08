"""The relay: case events from the outbox to `PREFIX.cases`, at least once, in order per case.

    take the lease → read what waits → publish, and have it confirmed → mark it published

- A crash before the confirmation: nothing is marked, all of it is published again.
- A crash between confirmation and mark: the same events come twice, with equal ids. Readers drop what they have seen.
- A crash that leaves the lease: another relay begins when it has expired (LEASE_S).
- Two relays: the one without the lease does nothing. One that stalled past its lease does not begin to publish.

An event is marked only after its confirmation, so none is skipped. Events of one case have one key, hence one partition, and each
is sent after the one before it was confirmed: of several on their way together, the first may fail and the second arrive, and a
reader that drops what is not above the last sequence would never see the first.

The thread of `run` never ends by itself: what fails is tried again.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Self
from uuid import uuid4

from monitor.base.database import Store
from monitor.base.errors import SosieError
from monitor.base.settings import Settings
from monitor.review import outbox, relay_lease
from monitor.review.outbox import CaseEvent
from streams.connection import BOOTSTRAP_TIMEOUT_S
from streams.messages import CaseChanged
from streams.publisher import TIMEOUT_S, Publisher, Record
from streams.retry import RetryRule
from streams.topics import CASES

LEASE_S = 40.0
"""Longer than beginning, connecting and publishing can take: all is confirmed, or has failed, before another relay begins."""

_BEGIN_S = LEASE_S - BOOTSTRAP_TIMEOUT_S - 2 * TIMEOUT_S

KEPT = timedelta(days=7)
"""Published events are kept so long, for `sosie reconcile` and for looking back."""

_BATCH = 200
_IDLE_S = 0.5
_PRUNE_EVERY_S = 3600.0
_log = logging.getLogger(__name__)

Publish = Callable[[Sequence[Record]], object]
"""Sends all, in order, and returns when the broker has confirmed them; else raises a `SosieError`."""


class Relay:
    """One relay among any number. Not thread-safe: `run` in one thread."""

    def __init__(self, store: Store, publish: Publish) -> None:
        self._store = store
        self._publish = publish
        self._owner = uuid4().hex
        self._pruned_at = time.monotonic()

    @classmethod
    def to_topic(cls, store: Store, publisher: Publisher, settings: Settings) -> Self:
        """The relay of a worker, to the topic of cases."""
        topic = CASES.name(settings.kafka_prefix)
        return cls(store, lambda records: publisher.publish(topic, records))

    def run(self, stop: threading.Event) -> None:
        """Publish until `stop` is set, then let the lease go."""
        rule, rng, failures = RetryRule(first_s=1.0), random.Random(), 0  # noqa: S311 - spreads retries, keeps no secret
        while not stop.is_set():
            try:
                published = self.run_once()
                if failures:
                    _log.warning("case events are published again")
                failures = 0
                stop.wait(0 if published else _IDLE_S)
            except Exception as error:  # noqa: BLE001 - a relay that ended would be noticed by nobody
                failures += 1
                if failures == 1:
                    known = isinstance(error, SosieError)
                    _log.warning("case events wait, none is lost: %s", error if known else type(error).__name__, exc_info=not known)
                stop.wait(rule.pause_s(failures, rng))
        self._let_go()

    def run_once(self) -> int:
        """Publish at most one event of each case; returns how many: 0 when nothing waits, or another relay has the lease."""
        with self._store.session(read_only=True) as session:
            if not outbox.waiting(session, limit=1):
                return 0  # without a write: an idle relay should not touch the database's lock
        begun = time.monotonic()
        with self._store.session() as session:
            if not relay_lease.take(session, owner=self._owner, lease_s=LEASE_S, now=datetime.now(UTC)):
                return 0
        with self._store.session(read_only=True) as session:
            events = _first_of_each_case(outbox.waiting(session, limit=_BATCH))
        if not events or time.monotonic() - begun > _BEGIN_S:
            return 0
        self._publish([_record(event) for event in events])
        with self._store.session() as session:
            outbox.mark_published(session, [event.id for event in events], now=datetime.now(UTC))
            if time.monotonic() - self._pruned_at > _PRUNE_EVERY_S:
                self._pruned_at = time.monotonic()
                outbox.prune(session, before=datetime.now(UTC) - KEPT)
        return len(events)

    def _let_go(self) -> None:
        try:
            with self._store.session() as session:
                relay_lease.release(session, owner=self._owner, now=datetime.now(UTC))
        except SosieError as error:
            _log.info("the relay's lease is left to expire: %s", error)


def _first_of_each_case(events: Sequence[CaseEvent]) -> list[CaseEvent]:
    firsts: dict[str, CaseEvent] = {}
    for event in events:
        firsts.setdefault(event.case_id, event)
    return list(firsts.values())


def _record(event: CaseEvent) -> Record:
    facts = {
        "id": f"{event.case_id}:{event.sequence}",
        "case_id": event.case_id,
        "sequence": event.sequence,
        "change": event.change,
        "at": event.created_at,
    }
    message = CaseChanged.model_validate(facts | event.detail)
    return Record(key=event.case_id.encode(), value=message.to_bytes())

"""The relay: every case event at least once, in order per case, whatever stops in between."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from monitor.base import settings
from monitor.base.database import Store
from monitor.base.errors import BrokerRefused, BrokerUnavailable, SosieError
from monitor.base.settings import Settings
from monitor.review import outbox, relay_lease
from monitor.review.outbox import CaseEvent
from streams.admin import create_topics
from streams.messages import CaseChanged, parse
from streams.publisher import Publisher, Record
from streams.reading import read_topic
from streams.relay import LEASE_S, Relay
from streams.topics import CASES
from tests.kafka import Broker, Existing
from tests.monitor.review.test_outbox import join


@dataclass
class Wire:
    """A `Publish` that keeps what it is given, and fails as told: the error of each call, None for none."""

    faults: list[SosieError | None] = field(default_factory=list)
    sent: list[Record] = field(default_factory=list)
    lost_answers: bool = False

    def __call__(self, records: Sequence[Record]) -> None:
        fault = self.faults.pop(0) if self.faults else None
        if fault is None or self.lost_answers:
            self.sent += records
        if fault is not None:
            raise fault

    @property
    def told(self) -> list[CaseChanged]:
        return [parse(CaseChanged, record.value) for record in self.sent]


AWAY = BrokerUnavailable("the broker", "is away", "Wait")


def test_events_are_published_once_with_the_case_as_key(store: Store) -> None:
    cases = [join(store, f"post-{n}", video=f"{n:02}" * 32) for n in range(3)]
    join(store, "again", video="00" * 32)
    wire = Wire()
    relay = Relay(store, wire)
    assert [relay.run_once() for _ in range(3)] == [3, 1, 0]
    assert [(event.case_id, event.sequence, event.change, event.post_id) for event in wire.told] == [
        (cases[0], 1, "opened", "post-0"),
        (cases[1], 1, "opened", "post-1"),
        (cases[2], 1, "opened", "post-2"),
        (cases[0], 2, "joined", "again"),
    ]
    assert [record.key for record in wire.sent] == [event.case_id.encode() for event in wire.told]
    assert [event.id for event in wire.told] == [f"{event.case_id}:{event.sequence}" for event in wire.told]


def test_a_reader_that_drops_what_it_has_seen_misses_nothing_when_of_one_call_only_the_last_record_arrives(store: Store) -> None:
    """What a producer's batches may do: the first expires, the second is confirmed."""
    case = join(store, "one")
    for post in ("two", "three"):
        join(store, post)
    arrived: list[CaseChanged] = []
    flaky = iter([True, False] * 10)

    def last_alone(records: Sequence[Record]) -> None:
        fails = next(flaky)
        arrived.extend(parse(CaseChanged, record.value) for record in (records[-1:] if fails else records))
        if fails:
            raise AWAY

    relay = Relay(store, last_alone)
    published = 0
    while published < 3:
        with suppress(BrokerUnavailable):
            published += relay.run_once()
    seen, read = 0, []
    for event in arrived:
        if event.sequence > seen:
            seen = event.sequence
            read.append(event.post_id)
    assert {event.case_id for event in arrived} == {case}
    assert read == ["one", "two", "three"]


@pytest.mark.parametrize("lost_answers", [False, True], ids=["nothing arrived", "all arrived, the answer was lost"])
def test_what_is_not_confirmed_is_published_again_under_the_same_ids(store: Store, lost_answers: bool) -> None:
    join(store, "one")
    wire = Wire([AWAY, AWAY, None], lost_answers=lost_answers)
    relay = Relay(store, wire)
    for _ in range(2):
        with pytest.raises(BrokerUnavailable):
            relay.run_once()
    assert relay.run_once() == 1
    assert len(wire.sent) == (3 if lost_answers else 1)
    assert len({event.id for event in wire.told}) == 1


def test_a_relay_that_runs_outlives_every_failure_and_skips_nothing(store: Store) -> None:
    join(store, "one")
    wire = Wire([AWAY, BrokerRefused("Topic cases", "does not exist", "Run `sosie topics create`")])
    stop = threading.Event()
    thread = threading.Thread(target=Relay(store, wire).run, args=(stop,))
    thread.start()
    deadline = time.monotonic() + 60
    while not wire.sent and time.monotonic() < deadline:
        time.sleep(0.01)
    join(store, "two")
    while len(wire.sent) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    stop.set()
    thread.join()
    assert [event.post_id for event in wire.told] == ["one", "two"]
    with store.session() as session:
        assert relay_lease.take(session, owner="another", lease_s=1, now=datetime.now(UTC)), "it let its lease go"


def test_of_two_relays_the_one_with_the_lease_publishes_until_it_expires(store: Store) -> None:
    first, second = Wire(), Wire()
    relays = Relay(store, first), Relay(store, second)
    for n in range(3):
        join(store, f"post-{n}")
        assert relays[0].run_once() == 1
        assert relays[1].run_once() == 0
    join(store, "last")
    with store.session() as session:  # the first one died long ago
        lease = session.get_one(relay_lease.RelayLease, 1)
        lease.expires_at -= timedelta(seconds=LEASE_S)
    assert relays[1].run_once() == 1
    assert (len(first.sent), len(second.sent)) == (3, 1)


def test_a_crash_between_confirmation_and_mark_doubles_with_equal_ids_and_loses_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = join(store, "one")
    wire = Wire()
    relay = Relay(store, wire)
    mark = outbox.mark_published

    def die(*_: object, **__: object) -> None:
        raise SystemExit

    monkeypatch.setattr(outbox, "mark_published", die)
    with pytest.raises(SystemExit):
        relay.run_once()
    monkeypatch.setattr(outbox, "mark_published", mark)
    join(store, "two")
    assert [relay.run_once() for _ in range(3)] == [1, 1, 0]
    assert [event.id for event in wire.told] == [f"{case}:1", f"{case}:1", f"{case}:2"]


def test_events_that_the_first_release_of_the_outbox_stored_stay_publishable(store: Store) -> None:
    """A literal row, as it may lie in a database for months. Never change it."""
    case = join(store, "one")
    with store.session() as session:
        outbox.mark_published(session, [1], now=datetime.now(UTC))
        session.add(
            CaseEvent(
                case_id=case,
                sequence=2,
                change="decided",
                detail={
                    "likeness_id": "7e9541f6e461495b937ec8c505d5f67b",
                    "video_sha256": "ab" * 32,
                    "state": "decided",
                    "risk": 0.8983,
                    "verdict": "deepfake",
                    "post_id": None,
                },
                created_at=datetime(2026, 12, 1, tzinfo=UTC),
            )
        )
    wire = Wire()
    Relay(store, wire).run_once()
    assert [(event.change, event.verdict) for event in wire.told if event.sequence == 2] == [("decided", "deepfake")]


@pytest.mark.kafka
def test_writers_and_relays_at_once_on_a_real_broker_keep_the_order_of_each_case(
    store: Store, kafka_broker: Broker | Existing, kafka_prefix: str
) -> None:
    configured = settings.load({}, kafka_brokers=kafka_broker.brokers, kafka_prefix=kafka_prefix)
    create_topics(configured)
    stop = threading.Event()
    with closing(Publisher(configured)) as one, closing(Publisher(configured)) as two:
        threads = [threading.Thread(target=Relay.to_topic(store, each, configured).run, args=(stop,)) for each in (one, two)]
        for thread in threads:
            thread.start()
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda n: join(store, f"post-{n}", video=f"{n % 5:02}" * 32), range(60)))
        _until_published(store)
        stop.set()
        for thread in threads:
            thread.join()
    told = _told(configured)
    assert len(told) == 60
    for case in {event.case_id for event in told}:
        assert [event.sequence for event in told if event.case_id == case] == list(range(1, 13))


@pytest.mark.kafka
def test_a_broker_that_goes_away_and_comes_back(sqlite_store: Store, own_broker: Broker, kafka_prefix: str) -> None:
    configured = settings.load({}, kafka_brokers=own_broker.brokers, kafka_prefix=kafka_prefix)
    create_topics(configured)
    stop = threading.Event()
    with closing(Publisher(configured)) as publisher:
        thread = threading.Thread(target=Relay.to_topic(sqlite_store, publisher, configured).run, args=(stop,))
        thread.start()
        join(sqlite_store, "before")
        _until_published(sqlite_store)
        own_broker.stop()
        join(sqlite_store, "meanwhile")
        time.sleep(1)
        own_broker.start()
        join(sqlite_store, "after")
        _until_published(sqlite_store)
        stop.set()
        thread.join()
    assert [event.post_id for event in _told(configured)] == ["before", "meanwhile", "after"]


def _until_published(store: Store) -> None:
    deadline = time.monotonic() + 120
    while True:
        with store.session(read_only=True) as session:
            if outbox.backlog(session)[0] == 0:
                return
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _told(configured: Settings) -> list[CaseChanged]:
    return [parse(CaseChanged, event.value) for event in read_topic(configured, CASES.name(configured.kafka_prefix))]

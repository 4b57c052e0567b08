"""Whose fault decides: against a log in memory. `test_faults_of_our_own.py` asks the same of real parts that really fail."""

from __future__ import annotations

import asyncio
import errno

import pytest

from monitor.base.errors import (
    DatabaseError,
    DataRefused,
    FetchRefused,
    IndexCorrupt,
    InForceUnreadable,
    MessageRefused,
    ModelError,
    SosieError,
    SpaceMismatch,
    StorageFull,
    StorageUnavailable,
)
from streams.dead_letter_limit import DeadLetterLimit
from streams.event import Event
from tests.streams.memory import MemoryBroker, Work, delivering, filled, place, run, settled, take_all

OURS = [
    DatabaseError("the database", "takes no writes (SQLSTATE 25006)", "Promote it"),
    IndexCorrupt("index/x", "its SHA-256 is another", "Rebuild"),
    SpaceMismatch("an index", "was made by another model", "Rebuild"),
    StorageFull("home", "no space is left", "Free some"),
    StorageUnavailable("home", "is read-only", "Mount it for writing"),
    InForceUnreadable("probe", "was changed", "Restore it"),
    ModelError("encoder", "cannot be read", "Put it there"),
    OSError(errno.EROFS, "Read-only file system"),
]


class Failing:
    """A handler for which everything fails alike until it is mended."""

    def __init__(self, error: Exception) -> None:
        self.error: Exception | None = error
        self.done: list[bytes | None] = []
        self.tries = 0

    async def __call__(self, event: Event) -> None:
        self.tries += 1
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        self.done.append(event.value)


@pytest.mark.parametrize("error", OURS, ids=lambda error: type(error).__name__)
def test_a_fault_of_our_own_is_waited_out_named_and_never_a_dead_letter(error: Exception) -> None:
    async def scenario() -> None:
        broker, work = filled(*(f"{n}" for n in range(60))), Failing(error)
        async with delivering(broker, work) as delivery:
            await take_all(delivery, broker)
            while work.tries < 100:
                await asyncio.sleep(0.001)
            assert delivery.trouble is not None
            assert (str(error) if isinstance(error, SosieError) else "a fault in Sosie itself") in delivery.trouble
            assert broker.dead == []
            work.error = None
            await settled(delivery)
            await delivery.commit()
            assert delivery.trouble is None
        assert len(work.done) == 60
        assert broker.dead == []
        assert broker.offsets == {place(): 60}

    run(scenario())


@pytest.mark.parametrize("error", [KeyError("x"), MemoryError(), DataRefused("the database", "refused", "Report it")])
def test_a_bug_that_every_event_meets_costs_time_and_no_event(error: Exception) -> None:
    async def scenario() -> None:
        broker, work = filled(*(f"{n}" for n in range(60))), Failing(error)
        async with delivering(broker, work) as delivery:
            await take_all(delivery, broker)
            while work.tries < 60 * 3 + 20:
                await asyncio.sleep(0.001)
            assert broker.dead == []
            assert delivery.trouble is not None
            work.error = None
            await settled(delivery)
            await delivery.commit()
        assert broker.dead == []
        assert broker.offsets == {place(): 60}

    run(scenario())


def test_a_bug_that_one_event_meets_costs_that_event_and_says_so() -> None:
    async def scenario() -> None:
        broker, work = filled("hopeless", *(f"{n}" for n in range(20))), Work(hopeless=[KeyError("secret")])
        async with delivering(broker, work) as delivery:
            await take_all(delivery, broker)
            await settled(delivery)
            await delivery.commit()
        assert [(failure.code, failure.attempts, failure.event.offset) for failure in broker.dead] == [("quarantined", 3, 0)]
        text = broker.dead[0].text
        assert "videos[0]@0" in text
        assert "KeyError, a fault in Sosie itself" in text
        assert "secret" not in text
        assert broker.offsets == {place(): 21}

    run(scenario())


def test_a_bug_met_by_a_lone_event_waits_until_another_shows_whose_fault_it_is() -> None:
    async def scenario() -> None:
        broker, work = filled("hopeless"), Work(hopeless=[KeyError("x")])
        async with delivering(broker, work) as delivery:
            await take_all(delivery, broker)
            while work.tries[b"hopeless"] < 20:
                await asyncio.sleep(0.001)
            assert broker.dead == []
            assert delivery.trouble is not None
            broker.add(b"fine")
            await delivery.take(broker.records[place()][-1])
            await settled(delivery)
        assert [failure.code for failure in broker.dead] == ["quarantined"]
        assert work.done == [b"fine"]

    run(scenario())


def test_an_event_that_was_done_before_proves_nothing() -> None:
    """Else a worker that cannot work would quarantine the good ones among those that were done and not committed."""

    async def scenario() -> None:
        broker, tries = filled(*(["new"] * 10 + ["done before"] * 50)), 0

        async def handler(event: Event) -> bool:
            nonlocal tries
            tries += 1
            await asyncio.sleep(0)
            if event.value == b"done before":
                return False
            raise KeyError("x")

        async with delivering(broker, handler) as delivery:
            await take_all(delivery, broker)
            while tries < 50 + 60:
                await asyncio.sleep(0.001)
            assert broker.dead == []

    run(scenario())


def test_any_number_of_posts_that_answer_404_stops_nothing() -> None:
    async def scenario() -> None:
        broker = MemoryBroker()
        for n in range(60):
            broker.add(b"gone", partition=n % 3)
            broker.add(f"good {n}".encode(), partition=n % 3)
        work = Work(gone=[FetchRefused("it", "the server answers 404", "Check the address")])
        async with delivering(broker, work, limit=DeadLetterLimit(run=5, share=0.3), partitions=(0, 1, 2)) as delivery:
            for event in broker.from_committed(0, 1, 2):
                await delivery.take(event)
            await settled(delivery)
            await delivery.commit()
            assert delivery.trouble is None
        assert len(broker.dead) == len(work.done) == 60
        assert broker.offsets == {place(p): 40 for p in range(3)}

    run(scenario())


def _mixed(wrong: int) -> MemoryBroker:
    broker = filled("first", *["wrong"] * wrong)
    for n in range(20):
        broker.add(f"{n}".encode(), partition=1)
    return broker


WRONG = MessageRefused("The message", "it is not JSON", "Mend the producer")


def test_nearly_everything_being_wrong_pauses_that_partition_and_commits_what_is_done() -> None:
    async def scenario() -> None:
        broker, work = _mixed(wrong=100), Work(wrong=[WRONG])
        async with delivering(broker, work, window=30, limit=DeadLetterLimit(10, 1.0), partitions=(0, 1)) as delivery:
            for event in broker.from_committed(0, 1):  # the paused partition's come first, and hold nobody up
                await delivery.take(event)
            while len(work.done) < 21:
                await asyncio.sleep(0.001)
            await delivery.commit()
            assert broker.offsets == {place(0): 11, place(1): 20}
            assert len(broker.dead) == 10
            assert broker.stopped == {place(0)}
            assert delivery.paused == {place(0)}
            assert delivery.waiting == 0
            assert "11 events in a row are wrong" in (delivery.trouble or "")
            assert not delivery.failed.done()

    run(scenario())


def test_a_restart_goes_on_where_the_partition_was_paused() -> None:
    async def scenario() -> None:
        broker, work = _mixed(wrong=35), Work(wrong=[WRONG])
        for _ in range(4):
            async with delivering(broker, work, limit=DeadLetterLimit(10, 1.0), partitions=(0, 1)) as delivery:
                for event in broker.from_committed(0, 1):
                    await delivery.take(event)
                while delivery.waiting or not (delivery.paused or not len(delivery.ledger)):
                    await asyncio.sleep(0.001)
                await delivery.commit()
        assert broker.offsets == {place(0): 36, place(1): 20}
        assert sorted({failure.event.offset for failure in broker.dead}) == list(range(1, 36)), "each of them, and once"
        assert len(broker.dead) == 35

    run(scenario())


def test_a_paused_partition_goes_on_by_itself_once_its_events_are_understood() -> None:
    """As after a fault of a bug's, mended meanwhile. What was dropped while it was paused is read again."""

    async def scenario() -> None:
        broker, work = filled(*["wrong"] * 30), Failing(WRONG)
        async with delivering(broker, work, window=15, limit=DeadLetterLimit(10, 1.0)) as delivery:
            await take_all(delivery, broker)
            while not delivery.paused:
                await asyncio.sleep(0.001)
            assert len(broker.dead) == 10
            work.error = None
            while delivery.paused:
                await asyncio.sleep(0.001)
            assert broker.stopped == set()
            while not broker.sought:
                await asyncio.sleep(0.001)
            assert broker.sought[-1] == (place(), delivery.ledger.expected(place()))
            for event in broker.records[place()][broker.sought[-1][1] :]:
                await delivery.take(event)
            await settled(delivery)
            await delivery.commit()
        assert len(broker.dead) == 10
        assert len(work.done) == 20
        assert broker.offsets == {place(): 30}

    run(scenario())


def test_a_paused_partition_that_went_away_and_came_back_is_judged_by_its_next_event() -> None:
    async def scenario() -> None:
        broker, work = filled(*["wrong"] * 11), Work(wrong=[WRONG])
        async with delivering(broker, work, limit=DeadLetterLimit(10, 1.0)) as delivery:
            await take_all(delivery, broker)
            while not delivery.paused:
                await asyncio.sleep(0.001)
            await delivery.commit()
            delivery.revoked([place()])
            assert delivery.trouble is None
            delivery.assigned([place()])
            await take_all(delivery, broker)
            while not delivery.paused:
                await asyncio.sleep(0.001)
        assert broker.offsets == {place(): 10}
        assert len(broker.dead) == 10

    run(scenario())

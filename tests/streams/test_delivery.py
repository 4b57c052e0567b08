"""The promise of `streams.delivery`, against a log in memory; `test_faults.py` asks the same of a real Kafka and killed processes."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine
from typing import Any

import pytest

from monitor.errors import BrokerRefused, DatabaseBusy, DeadLettersExceeded, FetchFailed, NotAVideo
from streams.dead_letter_limit import DeadLetterLimit
from streams.event import Event
from streams.retry import RetryRule
from tests.streams.memory import MemoryBroker, delivering, place, retold, settled


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


def test_every_event_is_done_and_committed_once() -> None:
    async def scenario() -> None:
        broker, work = filled(*(str(n) for n in range(50))), Work()
        async with delivering(broker, work) as delivery:
            for event in broker.from_committed(0):
                await delivery.take(event)
            await settled(delivery)
            assert await delivery.commit()
        assert sorted(work.done) == sorted(str(n).encode() for n in range(50))
        assert broker.offsets == {place(): 50}
        assert 1 < work.most <= 4

    run(scenario())


def test_nothing_is_committed_past_an_event_that_is_still_at_work() -> None:
    async def scenario() -> None:
        broker = filled("slow", "a", "b", "c")
        slow = asyncio.Event()

        async def handler(event: Event) -> None:
            if event.value == b"slow":
                await slow.wait()

        async with delivering(broker, handler) as delivery:
            for event in broker.from_committed(0):
                await delivery.take(event)
            while delivery.at_work > 1:
                await asyncio.sleep(0)
            assert await delivery.commit()
            assert broker.commits == []
            slow.set()
            await settled(delivery)
            assert await delivery.commit()
        assert broker.commits == [{place(): 4}]

    run(scenario())


def test_events_of_one_key_are_handled_one_after_the_other_in_order() -> None:
    async def scenario() -> None:
        broker = MemoryBroker()
        for n in range(30):
            broker.add(f"{n}".encode(), key=b"one" if n % 2 else b"two")
        seen: dict[bytes, list[int]] = {b"one": [], b"two": []}
        running: Counter[bytes] = Counter()

        async def handler(event: Event) -> None:
            assert event.key
            assert event.value
            running[event.key] += 1
            assert running[event.key] == 1
            await asyncio.sleep(0.0005 * (3 - int(event.value) % 3))
            seen[event.key].append(int(event.value))
            running[event.key] -= 1

        async with delivering(broker, handler, slots=8) as delivery:
            for event in broker.from_committed(0):
                await delivery.take(event)
            await settled(delivery)
        assert seen == {b"one": list(range(1, 30, 2)), b"two": list(range(0, 30, 2))}

    run(scenario())


def test_a_permanent_failure_is_one_dead_letter_and_the_partition_goes_on() -> None:
    async def scenario() -> None:
        broker, work = filled("a", "bad", "b"), Work(bad=[NotAVideo("it", "is text", "Send a video")])
        async with delivering(broker, work) as delivery:
            for event in broker.from_committed(0):
                await delivery.take(event)
            await settled(delivery)
            await delivery.commit()
        assert [(failure.code, failure.attempts, failure.event.offset) for failure in broker.dead] == [("not_a_video", 1, 1)]
        assert broker.offsets == {place(): 3}
        assert work.tries[b"bad"] == 1

    run(scenario())


@pytest.mark.parametrize(("error", "code"), [(FetchFailed("it", "is away", "Wait"), "fetch_failed"), (KeyError("x"), "internal")])
def test_what_may_pass_is_tried_a_bounded_number_of_times_and_then_a_dead_letter(error: Exception, code: str) -> None:
    async def scenario() -> None:
        broker, work = filled("flaky", "hopeless", "fine"), Work(flaky=[error, error, None], hopeless=[error])
        async with delivering(broker, work) as delivery:
            await _take_all(delivery, broker)
            await settled(delivery)
            await delivery.commit()
        assert sorted(work.done) == [b"fine", b"flaky"]
        assert work.tries == {b"flaky": 3, b"hopeless": 3, b"fine": 1}
        assert [(failure.code, failure.attempts) for failure in broker.dead] == [(code, 3)]
        assert broker.offsets == {place(): 3}

    run(scenario())


def test_a_waiting_retry_occupies_no_slot() -> None:
    async def scenario() -> None:
        broker, work = filled("flaky", *"abcdefgh"), Work(flaky=[FetchFailed("it", "is away", "Wait")])
        async with delivering(broker, work, slots=1) as delivery:
            for event in broker.from_committed(0):
                await delivery.take(event)
            while len(work.done) < 8:
                await asyncio.sleep(0.001)
            await settled(delivery)
        assert work.most == 1
        assert len(broker.dead) == 1

    run(scenario())


def test_a_fault_of_the_world_stops_all_but_one_and_nothing_is_given_up() -> None:
    async def scenario() -> None:
        broker = filled(*(f"{n}" for n in range(20)))
        down, tries, running, most_while_down = True, 0, 0, 0

        async def handler(event: Event) -> None:
            nonlocal tries, running, most_while_down
            tries += 1
            running += 1
            try:
                await asyncio.sleep(0.001)
                if down:
                    if tries > 4:  # the four slots may have begun before the first failed
                        most_while_down = max(most_while_down, running)
                    raise DatabaseBusy("the database", "is away", "Wait")
            finally:
                running -= 1

        async with delivering(broker, handler, slots=4) as delivery:
            for event in broker.from_committed(0):
                await delivery.take(event)
            while tries < 30:
                await asyncio.sleep(0.001)
            await delivery.commit()
            assert broker.commits == []
            assert broker.dead == []
            down = False
            await settled(delivery)
            await delivery.commit()
        assert most_while_down == 1
        assert broker.offsets == {place(): 20}
        assert broker.dead == []

    run(scenario())


def test_a_dead_letter_waits_for_the_broker_and_its_event_is_not_acknowledged_before() -> None:
    async def scenario() -> None:
        broker, work = filled("bad"), Work(bad=[NotAVideo("it", "is text", "Send a video")])
        async with delivering(broker, work) as delivery:
            (event,) = broker.from_committed(0)
            await delivery.take(event)
            broker.down = True
            while not work.tries:
                await asyncio.sleep(0)
            await asyncio.sleep(0.02)
            assert len(delivery.ledger) == 1
            assert delivery.ledger.due() == {}
            broker.down = False
            await settled(delivery)
            assert delivery.ledger.due() == {place(): 1}
        assert len(broker.dead) == 1

    run(scenario())


def test_a_dead_letter_that_can_never_be_kept_ends_delivery_and_acknowledges_nothing_more() -> None:
    class Refusing(MemoryBroker):
        async def put_aside(self, failure: object) -> None:
            raise BrokerRefused("Topic dead-letters", "does not exist", "Run `sosie topics create`")

    async def scenario() -> None:
        broker = Refusing()
        for value in (b"a", b"bad", b"b"):
            broker.add(value)
        work = Work(bad=[NotAVideo("it", "is text", "Send a video")])
        async with delivering(broker, work) as delivery:
            for event in broker.from_committed(0):
                await delivery.take(event)
            assert isinstance(await delivery.failed, BrokerRefused)
            await delivery.drain(1)
            await delivery.commit()
        assert broker.offsets.get(place(), 0) <= 1

    run(scenario())


def test_when_nearly_everything_fails_delivery_ends_before_the_topic_is_shovelled_aside() -> None:
    async def scenario() -> None:
        broker = filled(*["bad"] * 100)
        work = Work(bad=[NotAVideo("it", "is text", "Send a video")])
        async with delivering(broker, work, limit=DeadLetterLimit(run=10, share=1.0)) as delivery:
            taking = asyncio.create_task(_take_all(delivery, broker))
            assert isinstance(await delivery.failed, DeadLettersExceeded)
            taking.cancel()
            await delivery.drain(1)
            await delivery.commit()
        assert len(broker.dead) <= 10 + 4
        assert broker.offsets.get(place(), 0) <= 10

    run(scenario())


async def _take_all(delivery: Any, broker: MemoryBroker) -> None:
    for event in broker.from_committed(0):
        await delivery.take(event)


def test_a_full_window_makes_take_wait() -> None:
    async def scenario() -> None:
        broker, work = filled(*(f"{n}" for n in range(20))), Work()
        work.gate.clear()
        async with delivering(broker, work, window=5) as delivery:
            taking = asyncio.create_task(_take_all(delivery, broker))
            await asyncio.sleep(0.02)
            assert len(delivery.ledger) == 5
            assert not taking.done()
            work.gate.set()
            await taking
            await settled(delivery)
        assert len(work.done) == 20

    run(scenario())


def test_one_event_that_takes_long_leaves_the_rest_of_the_window_to_the_others() -> None:
    async def scenario() -> None:
        broker = filled("poison", *(f"{n}" for n in range(1000)))
        work = Work(poison=[FetchFailed("it", "is away", "Wait")])
        patient = RetryRule(attempts=2, first_s=0.5, longest_s=0.5)
        async with delivering(broker, work, window=2000, rule=patient) as delivery:
            await _take_all(delivery, broker)
            while len(work.done) < 1000:
                await asyncio.sleep(0.001)
            assert broker.dead == [], "they are done while the poison still waits for its second try"
            await settled(delivery)
            await delivery.commit()
        assert len(work.done) == 1000
        assert [failure.event.value for failure in broker.dead] == [b"poison"]
        assert broker.offsets == {place(): 1001}

    run(scenario())


# Rebalances


def test_work_that_goes_on_over_a_rebalance_is_not_begun_twice() -> None:
    async def scenario() -> None:
        broker, work = filled("a", "b"), Work()
        work.gate.clear()
        async with delivering(broker, work) as delivery:
            await _take_all(delivery, broker)
            while work.running < 2:
                await asyncio.sleep(0)
            delivery.revoked([place()])
            delivery.assigned([place()])
            for event in broker.from_committed(0):
                await delivery.take(retold(event))
            work.gate.set()
            await settled(delivery)
            await delivery.commit()
        assert work.tries == {b"a": 1, b"b": 1}
        assert broker.offsets == {place(): 2}

    run(scenario())


def test_work_that_ends_after_its_partition_went_away_acknowledges_nothing() -> None:
    async def scenario() -> None:
        broker, work = filled("a", "bad"), Work(bad=[NotAVideo("it", "is text", "Send a video")])
        work.gate.clear()
        async with delivering(broker, work) as delivery:
            await _take_all(delivery, broker)
            while work.running < 2:
                await asyncio.sleep(0)
            delivery.revoked([place()])
            delivery.assigned([])
            work.gate.set()
            while work.running:
                await asyncio.sleep(0)
            await asyncio.sleep(0.01)
            await delivery.commit()
        assert broker.commits == []
        assert broker.dead == [], "its dead letter is for whoever holds the partition now"

    run(scenario())


def test_an_event_in_hand_while_its_partition_goes_away_is_dropped() -> None:
    async def scenario() -> None:
        broker, work = filled("a", "b"), Work()
        work.gate.clear()
        async with delivering(broker, work, window=1) as delivery:
            taking = asyncio.create_task(_take_all(delivery, broker))
            await asyncio.sleep(0.01)
            delivery.revoked([place()])
            delivery.assigned([])
            work.gate.set()
            await taking
            await asyncio.sleep(0.01)
        assert work.tries == {b"a": 1}

    run(scenario())


def test_an_event_left_over_from_before_a_rebalance_cannot_acknowledge_what_was_not_read() -> None:
    """Faust hands on a record that was fetched under the last assignment: offset 3 first, though 0 is the next to read."""

    async def scenario() -> None:
        broker, work = filled("a", "b", "c", "stale", "e"), Work()
        async with delivering(broker, work) as delivery:
            await delivery.take(broker.records[place()][3])
            await asyncio.sleep(0.01)
            await delivery.commit()
            assert work.tries == {}
            assert broker.commits == []
            assert broker.sought == [(place(), 0)]
            await _take_all(delivery, broker)
            await settled(delivery)
            await delivery.commit()
        assert sorted(work.done) == [b"a", b"b", b"c", b"e", b"stale"]
        assert broker.offsets == {place(): 5}

    run(scenario())


def test_an_event_that_went_missing_on_the_way_is_read_again() -> None:
    async def scenario() -> None:
        broker, work = filled("a", "lost", "c", "d"), Work()
        events = broker.from_committed(0)
        async with delivering(broker, work) as delivery:
            for event in (events[0], events[2], events[3]):
                await delivery.take(event)
            assert broker.sought == [(place(), 1)], "asked once, not for every event that was fetched already"
            for event in events[1:]:
                await delivery.take(event)
            await settled(delivery)
            await delivery.commit()
        assert sorted(work.done) == [b"a", b"c", b"d", b"lost"]
        assert broker.offsets == {place(): 4}

    run(scenario())


def test_holes_that_are_in_the_log_itself_are_no_loss() -> None:
    async def scenario() -> None:
        broker, work = MemoryBroker(), Work()
        for value, skip in ((b"a", 2), (b"b", 0), (b"c", 5)):
            broker.add(value, skip=skip)
        async with delivering(broker, work) as delivery:
            await _take_all(delivery, broker)
            await settled(delivery)
            await delivery.commit()
        assert sorted(work.done) == [b"a", b"b", b"c"]
        assert broker.sought == []
        assert broker.offsets == {place(): broker.records[place()][-1].offset + 1}

    run(scenario())


def test_a_partition_read_again_from_its_commit_repeats_only_what_is_not_acknowledged() -> None:
    async def scenario() -> None:
        broker, work = filled(*"abcdef"), Work()
        async with delivering(broker, work) as delivery:
            events = broker.from_committed(0)
            for event in events[:4]:
                await delivery.take(event)
            await settled(delivery)  # acknowledged, not committed
            await delivery.take(events[4])
            for event in events:  # the client went back to the committed offset by itself
                await delivery.take(retold(event))
            await settled(delivery)
            await delivery.commit()
        assert {value: work.tries[value] for value in (b"a", b"b", b"c", b"d")} == dict.fromkeys((b"a", b"b", b"c", b"d"), 1)
        assert broker.offsets == {place(): 6}

    run(scenario())


def test_the_order_is_checked_again_when_the_broker_is_back() -> None:
    async def scenario() -> None:
        broker, work = filled("a"), Work()
        broker.down = True
        async with delivering(broker, work) as delivery:
            taking = asyncio.create_task(_take_all(delivery, broker))
            await asyncio.sleep(0.02)
            assert work.tries == {}
            broker.down = False
            await taking
            await settled(delivery)
        assert work.done == [b"a"]

    run(scenario())


def test_a_commit_that_is_refused_is_made_again() -> None:
    async def scenario() -> None:
        broker, work = filled("a"), Work()
        async with delivering(broker, work) as delivery:
            await _take_all(delivery, broker)
            await settled(delivery)
            broker.rebalancing = True
            assert not await delivery.commit()
            broker.rebalancing = False
            assert await delivery.commit()
            assert await delivery.commit()
        assert broker.commits == [{place(): 1}]

    run(scenario())


# Stopping


def test_stopping_waits_for_what_is_at_work_and_hands_the_rest_back() -> None:
    async def scenario() -> None:
        broker, work = filled(*"abcdef"), Work()
        work.gate.clear()
        async with delivering(broker, work, slots=2) as delivery:
            await _take_all(delivery, broker)
            while work.running < 2:
                await asyncio.sleep(0)
            draining = asyncio.create_task(delivery.drain(30))
            await asyncio.sleep(0.01)
            work.gate.set()
            assert await draining == 0
            assert await delivery.commit()
        assert sorted(work.tries) == [b"a", b"b"]
        assert broker.offsets == {place(): 2}

    run(scenario())


def test_what_does_not_end_in_time_is_not_acknowledged() -> None:
    async def scenario() -> None:
        broker, work = filled("a", "b"), Work()
        work.gate.clear()
        async with delivering(broker, work) as delivery:
            await _take_all(delivery, broker)
            while work.running < 2:
                await asyncio.sleep(0)
            assert await delivery.drain(0.01) == 2
            assert await delivery.commit()
        assert broker.commits == []

    run(scenario())


def test_an_event_that_fails_while_stopping_is_handed_back_at_once() -> None:
    async def scenario() -> None:
        broker, work = filled("a"), Work(a=[FetchFailed("it", "is away", "Wait")])
        work.gate.clear()
        async with delivering(broker, work) as delivery:
            await _take_all(delivery, broker)
            while not work.running:
                await asyncio.sleep(0)
            draining = asyncio.create_task(delivery.drain(30))
            await asyncio.sleep(0)
            work.gate.set()
            assert await draining == 0
            await delivery.commit()
        assert work.tries == {b"a": 1}
        assert broker.commits == []
        assert broker.dead == []

    run(scenario())

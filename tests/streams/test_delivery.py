"""The promise of `streams.delivery`, against a log in memory; `test_faults.py` asks the same of a real Kafka and killed processes."""

from __future__ import annotations

import asyncio
from collections import Counter

from monitor.base.errors import BrokerRefused, DatabaseBusy, FetchFailed, NotAVideo
from streams.event import Event
from streams.failures import Failure
from streams.retry import RetryRule
from tests.streams.memory import MemoryBroker, Work, delivering, filled, place, run, settled, take_all


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


def test_what_a_source_fails_at_is_tried_a_bounded_number_of_times_and_then_a_dead_letter() -> None:
    async def scenario() -> None:
        error = FetchFailed("it", "is away", "Wait")
        broker, work = filled("flaky", "hopeless", "fine"), Work(flaky=[error, error, None], hopeless=[error])
        async with delivering(broker, work) as delivery:
            await take_all(delivery, broker)
            await settled(delivery)
            await delivery.commit()
        assert sorted(work.done) == [b"fine", b"flaky"]
        assert work.tries == {b"flaky": 3, b"hopeless": 3, b"fine": 1}
        assert [(failure.code, failure.attempts) for failure in broker.dead] == [("fetch_failed", 3)]
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


def test_a_dead_letter_that_cannot_be_kept_waits_says_why_and_acknowledges_nothing_behind_it() -> None:
    class Refusing(MemoryBroker):
        refuses = True

        async def put_aside(self, failure: Failure) -> None:
            if self.refuses:
                raise BrokerRefused("Topic dead-letters", "does not exist", "Run `sosie topics create`")
            await super().put_aside(failure)

    async def scenario() -> None:
        broker = Refusing()
        for value in (b"a", b"bad", b"b"):
            broker.add(value)
        work = Work(bad=[NotAVideo("it", "is text", "Send a video")])
        async with delivering(broker, work) as delivery:
            await take_all(delivery, broker)
            while delivery.trouble is None or len(work.done) < 2:
                await asyncio.sleep(0.001)
            assert "Run `sosie topics create`" in delivery.trouble
            await delivery.commit()
            assert broker.offsets == {place(): 1}
            assert not delivery.failed.done()
            broker.refuses = False
            await settled(delivery)
            await delivery.commit()
            assert delivery.trouble is None
        assert broker.offsets == {place(): 3}
        assert len(broker.dead) == 1

    run(scenario())


def test_a_full_window_makes_take_wait() -> None:
    async def scenario() -> None:
        broker, work = filled(*(f"{n}" for n in range(20))), Work()
        work.gate.clear()
        async with delivering(broker, work, window=5) as delivery:
            taking = asyncio.create_task(take_all(delivery, broker))
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
        patient = RetryRule(attempts=2, first_s=3600, longest_s=3600)
        async with delivering(broker, work, window=2000, rule=patient) as delivery:
            await take_all(delivery, broker)
            while len(work.done) < 1000:
                await asyncio.sleep(0.001)
            assert broker.dead == [], "they are done while the poison still waits for its second try"
            await delivery.commit()
            assert broker.offsets == {}
        assert len(work.done) == 1000
        assert work.tries[b"poison"] == 1

    run(scenario())


def test_stopping_waits_for_what_is_at_work_and_hands_the_rest_back() -> None:
    async def scenario() -> None:
        broker, work = filled(*"abcdef"), Work()
        work.gate.clear()
        async with delivering(broker, work, slots=2) as delivery:
            await take_all(delivery, broker)
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
            await take_all(delivery, broker)
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
            await take_all(delivery, broker)
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

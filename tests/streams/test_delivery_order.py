"""What a client library does around a rebalance costs delivery time, never events: against a log in memory."""

from __future__ import annotations

import asyncio

from monitor.base.errors import NotAVideo
from tests.streams.memory import MemoryBroker, Work, delivering, filled, place, retold, run, settled, take_all


def test_work_that_goes_on_over_a_rebalance_is_not_begun_twice() -> None:
    async def scenario() -> None:
        broker, work = filled("a", "b"), Work()
        work.gate.clear()
        async with delivering(broker, work) as delivery:
            await take_all(delivery, broker)
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
            await take_all(delivery, broker)
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
            taking = asyncio.create_task(take_all(delivery, broker))
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
            await take_all(delivery, broker)
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
            await take_all(delivery, broker)
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
            taking = asyncio.create_task(take_all(delivery, broker))
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
            await take_all(delivery, broker)
            await settled(delivery)
            broker.rebalancing = True
            assert not await delivery.commit()
            broker.rebalancing = False
            assert await delivery.commit()
            assert await delivery.commit()
        assert broker.commits == [{place(): 1}]

    run(scenario())

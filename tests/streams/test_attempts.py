"""The record of what was begun, on both databases."""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from monitor.base.database import Store
from monitor.base.errors import DatabaseBusy
from streams.attempts import KEPT, DatabaseAttempts, Left, prune
from streams.event import Event, Place

ZERO, ONE = Place("sosie.videos", 0), Place("sosie.videos", 1)
FAR = 2**40


def event(offset: int, place: Place = ZERO) -> Event:
    return Event(place, offset, None, b"", 0.0)


def rows(store: Store) -> int:
    with store.session(read_only=True) as session:
        return int(session.execute(text("SELECT count(*) FROM attempts")).scalar_one())


def held(store: Store) -> list[tuple[int, int, int]]:
    """Offset, tries and lone tries of every row."""
    with store.session(read_only=True) as session:
        return [(row.position, row.tries, row.alone) for row in session.execute(text("SELECT position, tries, alone FROM attempts"))]


def test_what_one_began_and_did_not_end_others_see_and_itself_does_not(store: Store) -> None:
    async def scenario() -> None:
        dead, heir = DatabaseAttempts(store), DatabaseAttempts(store)
        await dead.begin(event(FAR), alone=False)
        await dead.begin(event(7, ONE), alone=True)
        assert await dead.left(ZERO) == {}
        assert await heir.left(ZERO) == {FAR: Left(1, 0)}
        assert await heir.left(ONE) == {7: Left(1, 1)}
        for each in (dead, heir):
            each.close()

    asyncio.run(scenario())


def test_tries_add_up_over_owners_and_an_end_clears_them(store: Store) -> None:
    async def scenario() -> None:
        for number in range(3):
            owner = DatabaseAttempts(store)
            await owner.begin(event(3), alone=number > 0)
            owner.close()
        last = DatabaseAttempts(store)
        assert await last.left(ZERO) == {3: Left(3, 2)}
        await last.begin(event(3), alone=True)
        last.end(ZERO, 3)
        await last.flush()
        assert rows(store) == 0
        last.close()

    asyncio.run(scenario())


def test_an_end_is_written_with_the_next_beginning(store: Store) -> None:
    async def scenario() -> None:
        attempts, other = DatabaseAttempts(store), DatabaseAttempts(store)
        for offset in range(5):
            await attempts.begin(event(offset), alone=False)
            attempts.end(ZERO, offset)
        assert await other.left(ZERO) == {4: Left(1, 0)}
        await attempts.begin(event(4), alone=False)
        assert await other.left(ZERO) == {4: Left(1, 0)}, "tried again by the same worker, it begins from nothing"
        attempts.close()
        other.close()

    asyncio.run(scenario())


def test_what_begins_side_by_side_shares_its_transactions(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    session, transactions = store.session, []

    def counted() -> AbstractContextManager[Session]:
        transactions.append(1)
        return session()

    monkeypatch.setattr(store, "session", counted)

    async def scenario() -> None:
        attempts = DatabaseAttempts(store)
        await asyncio.gather(*(attempts.begin(event(offset), alone=False) for offset in range(20)))
        for offset in range(20):
            attempts.end(ZERO, offset)
        await attempts.begin(event(20), alone=False)
        attempts.close()

    asyncio.run(scenario())
    monkeypatch.undo()
    assert len(transactions) <= 3
    assert rows(store) == 1


def test_one_that_is_cancelled_while_it_is_written_is_under_no_suspicion(store: Store) -> None:
    async def scenario() -> None:
        attempts = DatabaseAttempts(store)
        first = asyncio.create_task(attempts.begin(event(1), alone=False))
        await asyncio.sleep(0)  # it waits
        await asyncio.sleep(0)  # it is being written
        second = asyncio.create_task(attempts.begin(event(2), alone=False))
        await asyncio.sleep(0)  # it waits for the first to be written
        first.cancel()
        second.cancel()
        await asyncio.gather(first, second, return_exceptions=True)
        await attempts.begin(event(3), alone=False)
        attempts.end(ZERO, 3)
        await attempts.flush()
        assert rows(store) == 0
        attempts.close()

    asyncio.run(scenario())


def test_a_try_that_is_broken_off_counts_for_nothing_and_clears_nothing(store: Store) -> None:
    async def scenario() -> None:
        for _ in range(2):
            died = DatabaseAttempts(store)
            await died.left(ZERO)
            await died.begin(event(7), alone=True)
            died.close()
        third, heir = DatabaseAttempts(store), DatabaseAttempts(store)
        for at_work in (True, False):  # broken off at work, and while its beginning is being written
            assert await third.left(ZERO) == {7: Left(2, 2)}
            trying = asyncio.create_task(third.begin(event(7), alone=True))
            if at_work:
                await trying
                third.hand_back(ZERO, 7)
            else:
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                trying.cancel()
                await asyncio.gather(trying, return_exceptions=True)
            await third.begin(event(8), alone=False)
            third.end(ZERO, 8)
            await third.flush()
            assert await heir.left(ZERO) == {7: Left(2, 2)}
        await third.left(ZERO)
        await third.begin(event(7), alone=True)
        third.hand_back(ZERO, 7)
        await heir.left(ZERO)
        await heir.begin(event(7), alone=True)  # who has it now
        await third.flush()
        third.end(ZERO, 7)  # a late end of ours
        await third.flush()
        assert held(store) == [(7, 3, 3)]
        for each in (third, heir):
            each.close()

    asyncio.run(scenario())


def test_what_could_not_be_written_is_not_taken_back(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        for _ in range(2):
            died = DatabaseAttempts(store)
            await died.begin(event(7), alone=True)
            died.close()
        ours = DatabaseAttempts(store)
        await ours.left(ZERO)
        with monkeypatch.context() as broken:
            broken.setattr(store, "session", lambda **_: (_ for _ in ()).throw(OSError("away")))
            trying = asyncio.create_task(ours.begin(event(7), alone=True))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            trying.cancel()
            await asyncio.gather(trying, return_exceptions=True)
            assert ours._writer is not None
            await ours._writer
        await ours.flush()
        assert held(store) == [(7, 2, 2)]
        ours.close()

    asyncio.run(scenario())


def test_a_failed_flush_takes_nothing_away_from_the_next_try_of_the_same_event(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        attempts, session, calls = DatabaseAttempts(store), store.session, []

        def first_fails() -> AbstractContextManager[Session]:
            calls.append(1)
            if len(calls) == 1:
                raise DatabaseBusy("database", "is busy", "Wait")
            return session()

        await attempts.begin(event(1), alone=False)
        attempts.end(ZERO, 1)
        with monkeypatch.context() as failing:
            failing.setattr(store, "session", first_fails)
            flushing = asyncio.create_task(attempts.flush())
            await asyncio.sleep(0)
            await asyncio.gather(flushing, attempts.begin(event(1), alone=False), return_exceptions=True)
        await attempts.begin(event(2), alone=False)
        assert {row[0] for row in held(store)} == {1, 2}, "the first is at work, the second too"
        attempts.close()

    asyncio.run(scenario())


def test_who_waits_is_told_when_the_writing_itself_is_cancelled(store: Store) -> None:
    async def scenario() -> None:
        attempts = DatabaseAttempts(store)
        waiting = asyncio.create_task(attempts.begin(event(1), alone=False))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert attempts._writer is not None
        attempts._writer.cancel()
        (told,) = await asyncio.wait_for(asyncio.gather(waiting, return_exceptions=True), 20)
        assert isinstance(told, asyncio.CancelledError)
        await attempts.begin(event(2), alone=False)
        attempts.close()

    asyncio.run(scenario())


def test_what_fails_fails_for_all_that_were_written_together_and_the_next_is_tried_anew(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        attempts = DatabaseAttempts(store)
        with monkeypatch.context() as broken:
            broken.setattr(store, "session", lambda **_: (_ for _ in ()).throw(OSError("away")))
            told = await asyncio.gather(*(attempts.begin(event(offset), alone=False) for offset in range(3)), return_exceptions=True)
        assert [str(each) for each in told] == ["away"] * 3
        await attempts.begin(event(1), alone=False)
        assert rows(store) == 1
        attempts.close()

    asyncio.run(scenario())


def test_a_late_end_leaves_alone_what_somebody_else_has_begun_since(store: Store) -> None:
    async def scenario() -> None:
        slow, new, third = DatabaseAttempts(store), DatabaseAttempts(store), DatabaseAttempts(store)
        await slow.begin(event(1), alone=False)
        await new.begin(event(1), alone=False)
        slow.end(ZERO, 1)
        await slow.flush()
        assert await third.left(ZERO) == {1: Left(2, 0)}
        for each in (slow, new, third):
            each.close()

    asyncio.run(scenario())


def test_what_nobody_will_ask_for_is_pruned(store: Store) -> None:
    async def scenario() -> None:
        attempts = DatabaseAttempts(store)
        await attempts.begin(event(1), alone=False)
        attempts.close()

    asyncio.run(scenario())
    now = datetime.now(UTC)
    prune(store, now=now)
    assert rows(store) == 1
    prune(store, now=now + KEPT + timedelta(minutes=1))
    assert rows(store) == 0

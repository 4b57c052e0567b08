"""Acknowledging strictly in order, whatever order work ends in and whatever becomes of the partitions."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from streams.event import Event, Place
from streams.ledger import Ledger

ZERO, ONE = Place("videos", 0), Place("videos", 1)


def event(offset: int, place: Place = ZERO) -> Event:
    return Event(place, offset, None, b"", float(offset))


def holding(*places: Place) -> Ledger:
    ledger = Ledger()
    ledger.assigned(places)
    return ledger


@given(st.permutations(range(12)))
def test_the_watermark_never_passes_what_is_not_done(order: list[int]) -> None:
    ledger = holding(ZERO)
    entries = [ledger.delivered(event(offset)) for offset in range(12)]
    done: set[int] = set()
    acknowledged: list[int] = []
    for offset in order:
        acknowledged += [each.offset for each in ledger.done(entries[offset])]
        done.add(offset)
        firsts = next((n for n in range(13) if n not in done), 12)
        assert acknowledged == list(range(firsts))
        assert ledger.due() == ({ZERO: firsts} if firsts else {})
    assert len(ledger) == 0


def test_partitions_do_not_wait_for_one_another() -> None:
    ledger = holding(ZERO, ONE)
    slow, quick = ledger.delivered(event(0)), ledger.delivered(event(0, ONE))
    assert [each.place for each in ledger.done(quick)] == [ONE]
    assert ledger.due() == {ONE: 1}
    assert ledger.done(slow)


def test_what_is_committed_is_not_due_again() -> None:
    ledger = holding(ZERO)
    ledger.done(ledger.delivered(event(0)))
    ledger.committed(ledger.due())
    assert ledger.due() == {}
    ledger.done(ledger.delivered(event(1)))
    assert ledger.due() == {ZERO: 2}


def test_work_of_a_partition_that_was_taken_away_acknowledges_nothing() -> None:
    ledger = holding(ZERO)
    entry = ledger.delivered(event(0))
    ledger.revoked([ZERO])
    assert ledger.done(entry) == []
    assert ledger.due() == {}
    assert ledger.epoch(ZERO) is None


def test_work_of_an_earlier_assignment_acknowledges_nothing_in_the_next() -> None:
    ledger = holding(ZERO)
    stale = ledger.delivered(event(15))
    ledger.revoked([ZERO])
    ledger.assigned([ZERO])
    first = ledger.delivered(event(10))
    assert ledger.done(stale) == []
    assert ledger.due() == {}
    assert [each.offset for each in ledger.done(first)] == [10]
    assert ledger.due() == {ZERO: 11}


def test_reading_again_from_further_back_forgets_what_will_come_again() -> None:
    ledger = holding(ZERO)
    first = [ledger.delivered(event(offset)) for offset in range(4)]
    ledger.done(first[0])
    ledger.done(first[2])
    again = [ledger.delivered(event(offset)) for offset in (1, 2, 3)]
    assert ledger.done(first[1]) == [], "its place was taken by the second delivery"
    assert [each.offset for each in ledger.done(again[0])] == [1]
    assert ledger.due() == {ZERO: 2}
    assert ledger.is_acknowledged(event(1))
    assert not ledger.is_acknowledged(event(2))


def test_offsets_may_leave_holes() -> None:
    ledger = holding(ZERO)
    entries = [ledger.delivered(event(offset)) for offset in (3, 7, 8)]
    for entry in reversed(entries):
        ledger.done(entry)
    assert ledger.due() == {ZERO: 9}


def test_the_oldest_is_the_oldest_over_all_partitions() -> None:
    ledger = holding(ZERO, ONE)
    assert ledger.oldest() is None
    ledger.delivered(event(5))
    ledger.delivered(event(3, ONE))
    ledger.delivered(event(6))
    assert ledger.oldest() == event(3, ONE)


def test_nothing_is_ever_acknowledged_early_in_a_long_random_life() -> None:
    """Assignments, rewinds and work in any order: below the watermark everything was done in this assignment or committed before it."""
    rng = random.Random(7)
    for _ in range(200):
        ledger, committed, done = holding(ZERO), 0, set[int]()
        position, entries = 0, []
        for _ in range(200):
            match rng.choices(("deliver", "done", "commit", "rebalance", "rewind"), (40, 40, 10, 3, 3))[0]:
                case "deliver":
                    entries.append(ledger.delivered(event(position)))
                    position += 1
                case "done" if entries:
                    entry = entries.pop(rng.randrange(len(entries)))
                    if ledger.holds(entry):
                        done.add(entry.event.offset)
                    ledger.done(entry)
                case "commit":
                    due = ledger.due()
                    committed = due.get(ZERO, committed)
                    ledger.committed(due)
                    assert set(range(committed)) <= done
                case "rebalance":
                    ledger.revoked([ZERO])
                    ledger.assigned([ZERO])
                    position = committed
                case "rewind":
                    watermark = ledger.due().get(ZERO, committed)
                    position = rng.randint(watermark, position) if position > watermark else position
                case _:
                    pass

"""When nearly everything fails, the worker stops and says why."""

from __future__ import annotations

import pytest

from monitor.base.errors import DeadLettersExceeded
from streams.dead_letter_limit import DeadLetterLimit
from streams.event import Place

ZERO, ONE = Place("videos", 0), Place("videos", 1)


def test_a_run_of_failures_is_ended_by_one_success() -> None:
    limit = DeadLetterLimit(run=3, share=1.0)
    for _ in range(5):
        for _ in range(3):
            limit.check(ZERO, "not_a_video")
        limit.done(ZERO)


def test_one_too_many_in_a_row_stops_the_worker_with_the_reason_and_the_setting() -> None:
    limit = DeadLetterLimit(run=3, share=1.0)
    for _ in range(3):
        limit.check(ZERO, "not_a_video")
    with pytest.raises(DeadLettersExceeded) as stopped:
        limit.check(ZERO, "not_a_video")
    text = str(stopped.value)
    for part in ("videos[0]", "4 events in a row", "not_a_video", "sosie dead-letters list", "SOSIE_DEAD_LETTER_RUN"):
        assert part in text


def test_partitions_are_counted_apart() -> None:
    limit = DeadLetterLimit(run=3, share=1.0)
    for place in (ZERO, ONE) * 3:
        limit.check(place, "not_a_video")
    with pytest.raises(DeadLettersExceeded):
        limit.check(ONE, "not_a_video")


def test_the_share_is_judged_once_there_are_enough_events() -> None:
    limit = DeadLetterLimit(run=1000, share=0.5)
    for _ in range(49):  # 49 of 98
        limit.check(ZERO, "internal")
        limit.done(ZERO)
    limit.check(ZERO, "internal")
    with pytest.raises(DeadLettersExceeded, match=r"51% of the last 100 events.*SOSIE_DEAD_LETTER_SHARE"):
        limit.check(ZERO, "internal")


def test_a_share_under_the_limit_goes_on_for_ever() -> None:
    limit = DeadLetterLimit(run=1000, share=0.5)
    for _ in range(1000):
        limit.done(ZERO)
        limit.done(ZERO)
        limit.check(ZERO, "internal")

"""Wrong messages pause their partition before it is shovelled into dead letters; what an uploader can cause never does."""

from __future__ import annotations

import pytest

from monitor.base.errors import (
    DecoderDied,
    FetchFailed,
    FetchRefused,
    MessageRefused,
    NotAVideo,
    Quarantined,
    SosieError,
    UnknownVersion,
)
from streams.dead_letter_limit import DeadLetterLimit
from streams.event import Place

ZERO, ONE = Place("videos", 0), Place("videos", 1)


def of(kind: type[SosieError]) -> SosieError:
    return kind("it", "fails", "Wait")


WRONG = of(MessageRefused)


@pytest.mark.parametrize("kind", [FetchRefused, FetchFailed, NotAVideo, DecoderDied])
def test_what_an_uploader_can_cause_is_never_too_much(kind: type[SosieError]) -> None:
    limit = DeadLetterLimit(run=3, share=0.5)
    assert [limit.refuses(ZERO, of(kind)) for _ in range(1000)] == [None] * 1000


@pytest.mark.parametrize("kind", [MessageRefused, UnknownVersion, Quarantined])
def test_one_too_many_in_a_row_is_refused_with_the_reason_and_what_to_do(kind: type[SosieError]) -> None:
    limit = DeadLetterLimit(run=3, share=1.0)
    assert [limit.refuses(ZERO, of(kind)) for _ in range(3)] == [None] * 3
    refused = [str(limit.refuses(ZERO, of(kind))) for _ in range(5)]
    assert len(set(refused)) == 1, "what was refused is not counted, however often it is asked"
    for part in ("videos[0]", "4 events in a row", kind.code, "sosie dead-letters list", "restart the worker", "SOSIE_DEAD_LETTER_RUN"):
        assert part in refused[0]


@pytest.mark.parametrize("between", [None, of(FetchRefused)])
def test_a_run_is_ended_by_one_event_that_is_well_formed(between: SosieError | None) -> None:
    limit = DeadLetterLimit(run=3, share=1.0)
    for _ in range(5):
        assert [limit.refuses(ZERO, WRONG) for _ in range(3)] == [None] * 3
        if between is None:
            limit.passed(ZERO)
        else:
            limit.refuses(ZERO, between)


def test_partitions_are_counted_apart() -> None:
    limit = DeadLetterLimit(run=3, share=1.0)
    assert [limit.refuses(place, WRONG) for place in (ZERO, ONE) * 3] == [None] * 6
    assert limit.refuses(ONE, WRONG) is not None


def test_the_share_is_judged_once_there_are_enough_events() -> None:
    limit = DeadLetterLimit(run=1000, share=0.5)
    for _ in range(49):  # 49 of 98
        assert limit.refuses(ZERO, WRONG) is None
        limit.passed(ZERO)
    assert limit.refuses(ZERO, WRONG) is None
    refused = limit.refuses(ZERO, WRONG)
    assert refused is not None
    assert "51% of the last 100 events" in str(refused)
    assert "SOSIE_DEAD_LETTER_SHARE" in str(refused)
    limit.passed(ZERO)
    limit.passed(ZERO)
    assert limit.refuses(ZERO, WRONG) is None, "good ones bring it under the limit again"


def test_a_share_under_the_limit_goes_on_for_ever() -> None:
    limit = DeadLetterLimit(run=1000, share=0.5)
    for _ in range(1000):
        limit.passed(ZERO)
        limit.passed(ZERO)
        assert limit.refuses(ZERO, WRONG) is None

"""What follows from each kind of failure."""

from __future__ import annotations

import errno
import random

import pytest

from monitor.base.errors import (
    BrokerRefused,
    ConfigError,
    DatabaseBusy,
    DatabaseError,
    DataRefused,
    DecoderDied,
    FetchFailed,
    FetchRefused,
    IndexCorrupt,
    InForceUnreadable,
    MessageRefused,
    ModelError,
    NotAVideo,
    PolicyError,
    PolicyUnreadable,
    SandboxUnavailable,
    SpaceMismatch,
    StorageFull,
    StorageUnavailable,
)
from streams.retry import RetryRule, Verdict, code_of, text_of

RULE = RetryRule(attempts=3, first_s=1.0, longest_s=8.0)


def of(kind: type) -> Exception:
    error: Exception = kind("it", "fails", "Wait")
    return error


@pytest.mark.parametrize("kind", [NotAVideo, FetchRefused, MessageRefused, DecoderDied])
def test_a_posts_own_fault_is_a_dead_letter_at_once(kind: type) -> None:
    assert RULE.judge(of(kind), 1) is Verdict.DEAD_LETTER


def test_its_sources_fault_is_tried_a_bounded_number_of_times() -> None:
    assert [RULE.judge(of(FetchFailed), attempt) for attempt in (1, 2, 3, 4)] == [Verdict.RETRY] * 2 + [Verdict.DEAD_LETTER] * 2


OURS = [DatabaseBusy, DatabaseError, StorageFull, StorageUnavailable, SandboxUnavailable, IndexCorrupt, SpaceMismatch, ModelError]
IN_FORCE = [ConfigError, PolicyError, PolicyUnreadable, InForceUnreadable, BrokerRefused]


@pytest.mark.parametrize("kind", [*OURS, *IN_FORCE])
def test_nothing_is_given_up_for_a_fault_of_sosies_own(kind: type) -> None:
    judged = {RULE.judge(of(kind), attempt, others_get_through=through) for attempt in (1, 3, 1000) for through in (False, True)}
    assert judged == {Verdict.WAIT_OUT}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO, errno.EMFILE])
def test_what_the_system_says_of_a_disk_is_sosies_fault_wherever_it_is_met(number: int) -> None:
    assert {RULE.judge(OSError(number, "x"), attempt, others_get_through=True) for attempt in (1, 1000)} == {Verdict.WAIT_OUT}


@pytest.mark.parametrize("error", [KeyError("secret"), MemoryError(), OSError(errno.ENAMETOOLONG, "x"), of(DataRefused)])
def test_what_nobody_foresaw_costs_its_event_only_where_others_get_through(error: Exception) -> None:
    assert [RULE.judge(error, attempt) for attempt in (1, 2, 3, 1000)] == [Verdict.RETRY] * 2 + [Verdict.WAIT_OUT] * 2
    shown = [RULE.judge(error, attempt, others_get_through=True) for attempt in (1, 2, 3)]
    assert shown == [Verdict.RETRY] * 2 + [Verdict.QUARANTINE]


def test_pauses_double_up_to_a_limit_and_differ() -> None:
    pauses = [[RULE.pause_s(n, random.Random(seed)) for seed in range(50)] for n in (1, 2, 3, 4, 50, 10_000)]
    for some, longest in zip(pauses, (1, 2, 4, 8, 8, 8), strict=True):
        assert longest / 2 <= min(some) < max(some) <= longest


def test_of_a_bug_only_its_type_is_told() -> None:
    assert code_of(KeyError("secret")) == "internal"
    assert "secret" not in text_of(KeyError("secret"))
    assert (code_of(of(NotAVideo)), text_of(of(NotAVideo))) == ("not_a_video", "it: fails. Wait.")

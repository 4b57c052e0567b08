"""What follows from each kind of failure."""

from __future__ import annotations

import random

import pytest

from monitor.base.errors import DatabaseBusy, FetchFailed, NotAVideo, SandboxUnavailable, StorageFull
from streams.retry import RetryRule, Verdict, code_of, text_of

RULE = RetryRule(attempts=3, first_s=1.0, longest_s=8.0)


def of(kind: type) -> Exception:
    error: Exception = kind("it", "fails", "Wait")
    return error


def test_a_permanent_error_is_a_dead_letter_at_once() -> None:
    assert RULE.judge(of(NotAVideo), 1) is Verdict.DEAD_LETTER


@pytest.mark.parametrize("error", [of(FetchFailed), KeyError("secret")])
def test_one_inputs_own_fault_and_a_bug_are_tried_a_bounded_number_of_times(error: Exception) -> None:
    assert [RULE.judge(error, attempt) for attempt in (1, 2, 3, 4)] == [Verdict.RETRY] * 2 + [Verdict.DEAD_LETTER] * 2


@pytest.mark.parametrize("kind", [DatabaseBusy, StorageFull, SandboxUnavailable])
def test_nothing_is_given_up_for_a_fault_of_the_world(kind: type) -> None:
    assert {RULE.judge(of(kind), attempt) for attempt in (1, 3, 1000)} == {Verdict.WAIT_OUT}


def test_pauses_double_up_to_a_limit_and_differ() -> None:
    pauses = [[RULE.pause_s(n, random.Random(seed)) for seed in range(50)] for n in (1, 2, 3, 4, 50, 10_000)]
    for some, longest in zip(pauses, (1, 2, 4, 8, 8, 8), strict=True):
        assert longest / 2 <= min(some) < max(some) <= longest


def test_of_a_bug_only_its_type_is_told() -> None:
    assert code_of(KeyError("secret")) == "internal"
    assert "secret" not in text_of(KeyError("secret"))
    assert (code_of(of(NotAVideo)), text_of(of(NotAVideo))) == ("not_a_video", "it: fails. Wait.")

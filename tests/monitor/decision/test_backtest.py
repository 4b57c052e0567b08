from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.decision.backtest import Kept, Share, backtest, wilson
from monitor.decision.policy import Policy, assess, default_policy, parse
from tests.monitor.decision.test_policy import LIVING

TEXT = default_policy().text


def kept(post: str, *, z: float = 7.0, died: bool = True, misuse: bool | None = None) -> Kept:
    policy = default_policy()
    facts = replace(LIVING, deceased_on=date(2019, 3, 1) if died else None, score=policy.matching.score(z), z=z)
    said = assess(facts, policy)
    return Kept(post, facts.name, facts, said.flagged, said.risk, misuse)


def policy(before: str, after: str) -> Policy:
    assert before in TEXT
    return parse(TEXT.replace(before, after, 1), "tried")


def test_the_same_policy_gains_and_loses_nothing() -> None:
    result = backtest([kept("a"), kept("b", died=False)], default_policy())
    assert (result.replayed, result.flags_before, result.flags_after) == (2, 1, 1)
    assert (result.gained_count, result.lost_count) == (0, 0)


def test_flags_lost_and_gained_are_counted_and_shown_with_what_the_reviewers_found() -> None:
    stricter = backtest([kept("a", misuse=True), kept("b", died=False)], policy("flag_at: 0.5", "flag_at: 0.99"))
    assert (stricter.lost_count, stricter.gained_count) == (1, 0)
    (lost,) = stricter.lost
    assert (lost.post, lost.misuse) == ("a", True)
    looser = backtest([kept("a"), kept("b", died=False)], policy("flag_at: 0.5", "flag_at: 0.05"))
    assert [moved.post for moved in looser.gained] == ["b"]


def test_examples_are_few_and_the_count_is_whole() -> None:
    result = backtest([kept(f"p{n}") for n in range(12)], policy("flag_at: 0.5", "flag_at: 0.99"))
    assert result.lost_count == 12
    assert len(result.lost) == 5


def test_precision_and_recall_are_against_verdicts_alone() -> None:
    seen = [kept("a", misuse=True), kept("b", misuse=False), kept("c", misuse=None), kept("d", died=False, misuse=True)]
    result = backtest(seen, default_policy())
    assert (result.precision_after.hits, result.precision_after.of) == (1, 2)
    assert (result.recall_after.hits, result.recall_after.of) == (1, 2)
    nothing = backtest(seen, policy("flag_at: 0.5", "flag_at: 0.99"))
    assert (nothing.precision_after.of, nothing.recall_after.hits) == (0, 0)


def test_a_higher_threshold_of_matching_finds_nobody_any_more() -> None:
    faint = kept("a", z=4.9)
    assert faint.flagged
    result = backtest([faint], policy("threshold_z: 4.7", "threshold_z: 5.5"))
    assert (result.flags_after, result.lost_count) == (0, 1)


def test_wilsons_interval_is_the_published_one() -> None:
    # 8 of 10: Brown, Cai & DasGupta 2001 give (0.490, 0.943)
    assert wilson(8, 10) == pytest.approx((0.490, 0.943), abs=5e-4)
    assert wilson(0, 0) == (0.0, 1.0)


@given(st.integers(0, 500).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of))))
def test_the_interval_holds_its_share(pair: tuple[int, int]) -> None:
    share = Share.counted(*pair)
    assert 0 <= share.low <= share.high <= 1
    if share.of:
        assert share.low - 1e-12 <= share.share <= share.high + 1e-12

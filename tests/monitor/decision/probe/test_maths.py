"""The statistics of the probe: against brute force, against what must always hold, and against chance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.decision.probe import maths


def brute_auc(scores: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> float:
    won = total = 0.0
    for s, w in zip(scores[labels], weights[labels], strict=True):
        for t, v in zip(scores[~labels], weights[~labels], strict=True):
            won += w * v * (1.0 if s > t else 0.5 if s == t else 0.0)
            total += w * v
    return won / total


examples = st.lists(st.tuples(st.integers(0, 6), st.booleans(), st.integers(0, 5)), min_size=2, max_size=40).filter(
    lambda rows: len({label for _, label, _ in rows}) == 2
)


@given(examples)
def test_the_auc_is_the_share_of_pairs_in_the_right_order_and_lies_in_its_interval(rows: list[tuple[int, bool, int]]) -> None:
    scores, labels = np.array([float(s) for s, _, _ in rows]), np.array([label for _, label, _ in rows])
    weights = maths.weights(labels, [group for *_, group in rows])
    found = maths.auc(scores, labels, weights)
    assert found.value == pytest.approx(brute_auc(scores, labels, weights))
    assert 0 <= found.low <= found.value <= found.high <= 1
    turned = maths.auc(-scores, labels, weights)
    assert (turned.value, turned.low, turned.high) == pytest.approx((1 - found.value, 1 - found.high, 1 - found.low), abs=1e-6)


@given(examples)
def test_an_account_counts_as_one_however_much_it_posts(rows: list[tuple[int, bool, int]]) -> None:
    def found(rows: list[tuple[int, bool, int]]) -> maths.Interval:
        labels = np.array([label for _, label, _ in rows])
        return maths.auc(np.array([float(s) for s, _, _ in rows]), labels, maths.weights(labels, [group for *_, group in rows]))

    once, often = found(rows), found(rows * 3)
    assert (often.value, often.low, often.high) == pytest.approx((once.value, once.low, once.high), abs=1e-6)


def test_a_perfect_order_of_few_is_not_certain() -> None:
    labels = np.array([True] * 5 + [False] * 5)
    found = maths.auc(labels.astype(float), labels, np.ones(10))
    assert (found.value, found.high) == (1.0, 1.0)
    assert 0.5 < found.low < 0.85


@pytest.mark.parametrize("shift", [0.0, 1.0, 2.0])
def test_the_interval_holds_the_truth_as_often_as_it_says(shift: float) -> None:
    from math import erf

    truth, rng, held = (1 + erf(shift / 2)) / 2, np.random.default_rng(1), 0
    labels = np.array([True] * 30 + [False] * 30)
    for _ in range(400):
        found = maths.auc(rng.standard_normal(60) + shift * labels, labels, np.ones(60))
        held += found.low <= truth <= found.high
    assert held / 400 > 0.92


def test_shares_that_add_up_to_a_little_more_than_one_are_one() -> None:
    labels = np.array([True] * 60 + [False] * 60)
    found = maths.auc(labels.astype(float), labels, np.tile(1 / np.array([10.0, 3.0, 7.0]), 40))
    assert found.value == found.high == pytest.approx(1.0)
    assert found.high <= 1.0


grouping = st.lists(st.tuples(st.booleans(), st.integers(0, 12)), min_size=4, max_size=60)


@given(grouping, st.integers(2, 5), st.integers(0, 3))
def test_no_group_is_split_and_something_of_both_classes_is_beside_every_fold(rows: list[tuple[bool, int]], count: int, seed: int) -> None:
    labels, groups = np.array([label for label, _ in rows]), [group for _, group in rows]
    if min(len({g for label, g in rows if label is kind}) for kind in (True, False)) < count:
        with pytest.raises(ValueError, match="folds"):
            maths.folds(labels, groups, count, seed)
        return
    found = maths.folds(labels, groups, count, seed)
    assert (found == maths.folds(labels, groups, count, seed)).all()
    for group in set(groups):
        assert len({fold for fold, g in zip(found.tolist(), groups, strict=True) if g == group}) == 1
    for fold in range(count):
        assert set(labels[found != fold].tolist()) == {True, False}


@given(grouping, st.integers(0, 3))
def test_shuffled_labels_leave_accounts_of_one_class_whole_and_their_number(rows: list[tuple[bool, int]], seed: int) -> None:
    labels, groups = np.array([label for label, _ in rows]), [group for _, group in rows]
    given = maths.shuffled(labels, groups, np.random.default_rng(seed))

    def kinds(labels: np.ndarray) -> dict[int, frozenset[bool]]:
        return {g: frozenset(bool(x) for x, h in zip(labels, groups, strict=True) if h == g) for g in groups}

    before, after = kinds(labels), kinds(given)
    assert sorted(map(sorted, before.values())) == sorted(map(sorted, after.values()))
    assert [len(before[g]) for g in groups] == [len(after[g]) for g in groups]


def test_the_regression_is_at_the_minimum_of_its_loss() -> None:
    rng = np.random.default_rng(2)
    rows, weights = rng.standard_normal((40, 6)), rng.uniform(0.1, 1, 40)
    targets = (rows[:, 0] + 0.3 * rng.standard_normal(40) > 0).astype(float)
    direction, intercept = maths.logistic(rows, targets, weights, 0.5)
    off = weights * (maths.sigmoid(rows @ direction + intercept) - targets)
    assert np.abs(rows.T @ off + 0.5 * direction).max() < 1e-6
    assert abs(off.sum()) < 1e-6


def test_classes_that_are_apart_do_not_send_it_to_infinity() -> None:
    rows = np.array([[-1.0], [-2.0], [1.0], [2.0]])
    targets = np.array([0.0, 0.0, 1.0, 1.0])
    direction, _ = maths.logistic(rows, targets, np.ones(4), 1e-6)
    assert np.isfinite(direction).all()


def test_calibrated_probabilities_are_as_frequent_as_they_say_under_equal_odds() -> None:
    rng = np.random.default_rng(3)
    labels = np.arange(4000) % 8 == 0  # one generated to seven captured: the odds of what was seen do not count
    scores = 3 * (rng.standard_normal(4000) + labels)
    slope, offset = maths.platt(scores, labels, np.ones(4000))
    # For unit normals one apart the log-odds are x - 1/2.
    assert (slope, offset) == pytest.approx((1 / 3, -0.5), abs=0.1)


def test_few_accounts_give_no_sure_probability() -> None:
    labels = np.array([True, True, True, False, False, False])
    slope, offset = maths.platt(np.where(labels, 5.0, -5.0), labels, np.ones(6))
    chances = maths.sigmoid(slope * np.array([5.0, -5.0]) + offset)
    assert chances == pytest.approx([0.8, 0.2], abs=0.01)


def test_a_video_is_the_direction_of_its_frames() -> None:
    frames = np.array([[1, 0], [0, 1]], np.float32)
    assert maths.feature(frames) == pytest.approx([2**-0.5, 2**-0.5])
    assert maths.feature(np.empty((0, 2), np.float32)) is None
    assert maths.feature(np.array([[1, 0], [-1, 0]], np.float32)) is None

"""The statistics of a linear probe: pure, deterministic, numpy only.

Every video carries a weight, so that an account counts as one however much it posts: `weights` gives each account that has videos
of a class the same share of that class. The sum of the weights of a class is its number of accounts.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_Z95 = 1.959963984540054
_STEPS = 100
_DONE = 1e-9


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.2f} ({self.low:.2f}–{self.high:.2f})"


def feature(frames: NDArray[np.float32]) -> NDArray[np.float32] | None:
    """A video in one unit vector: the mean of its frames' unit vectors `(n, dim)`. None without frames, or where they cancel out."""
    if not len(frames):
        return None
    mean = frames.astype(np.float64).mean(axis=0)
    length = float(np.linalg.norm(mean))
    return None if length < _DONE else (mean / length).astype(np.float32)


def weights(labels: Bools, groups: Sequence[Hashable]) -> Floats:
    """A weight for each video: one over the number of videos of its class in its group."""
    keys = list(zip(labels.tolist(), groups, strict=True))
    counts: dict[Hashable, int] = {}
    for key in keys:
        counts[key] = counts.get(key, 0) + 1
    return np.array([1 / counts[key] for key in keys])


def folds(labels: Bools, groups: Sequence[Hashable], count: int, seed: int) -> NDArray[np.int64]:
    """A fold for each video, 0 to `count` - 1: a group is never split, and what is left beside any fold has both classes.

    `count` is at least 2 and at most the number of groups of either class; ValueError otherwise.
    """
    classes: dict[Hashable, set[bool]] = {}
    for label, group in zip(labels.tolist(), groups, strict=True):
        classes.setdefault(group, set()).add(label)
    if not 2 <= count <= min(sum(label in found for found in classes.values()) for label in (True, False)):
        raise ValueError(f"{count} folds do not go with so few groups")
    order = np.random.default_rng(seed).permutation(len(classes))
    shuffled = [list(classes)[i] for i in order]
    only = {kind: [group for group in shuffled if classes[group] == kind] for kind in map(frozenset, ({True}, {False}, {True, False}))}
    synthetic, captured, both = only.values()
    first = min(len(synthetic), len(captured))  # groups of both classes begin beside a lone group of one, never in its fold
    place = {group: n % count for part in (synthetic, captured) for n, group in enumerate(part)}
    place |= {group: (first + n) % count for n, group in enumerate(both)}
    return np.array([place[group] for group in groups], np.int64)


def shuffled(labels: Bools, groups: Sequence[Hashable], rng: np.random.Generator) -> Bools:
    """Labels as chance could have given them: classes change hands between groups of one class, and within groups of both."""
    classes: dict[Hashable, set[bool]] = {}
    for label, group in zip(labels.tolist(), groups, strict=True):
        classes.setdefault(group, set()).add(label)
    single = [group for group, found in classes.items() if len(found) == 1]
    given = rng.permutation([next(iter(classes[group])) for group in single])
    turned = dict(zip(single, (bool(new) not in classes[group] for group, new in zip(single, given, strict=True)), strict=True))
    turned |= {group: bool(rng.integers(2)) for group in classes if group not in turned}
    turns: Bools = np.array([turned[group] for group in groups], bool)
    return np.logical_xor(labels, turns)


def logistic(rows: Floats, targets: Floats, weights: Floats, ridge: float) -> tuple[Floats, float]:
    """Coefficients `(dim,)` and intercept that minimise the weighted log loss plus `ridge`/2 times the squared coefficients.

    Newton's method with halved steps (iteratively reweighted least squares); the intercept is not held down. `targets` are 0 to 1.
    """
    design = np.column_stack([rows, np.ones(len(rows))])
    held = np.full(design.shape[1], ridge)
    held[-1] = 0.0
    found = np.zeros(design.shape[1])

    def loss(candidate: Floats) -> float:
        scores = design @ candidate
        return float(weights @ (np.logaddexp(0, scores) - targets * scores) + held @ candidate**2 / 2)

    before = loss(found)
    for _ in range(_STEPS):
        chances = sigmoid(design @ found)
        slope = design.T @ (weights * (chances - targets)) + held * found
        bend = (design.T * (weights * chances * (1 - chances))) @ design + np.diag(held + 1e-10)
        step = np.linalg.solve(bend, slope)
        while (after := loss(found - step)) > before and np.abs(step).max() > _DONE:
            step /= 2
        found = found - step
        if np.abs(step).max() < _DONE:
            break
        before = after
    return found[:-1], float(found[-1])


def platt(scores: Floats, labels: Bools, weights: Floats) -> tuple[float, float]:
    """Slope and intercept that make a score the log-odds of a probability, under equal odds of the classes.

    Platt's targets (1999), which stay off 0 and 1, with accounts for examples: few accounts never give a sure probability.
    """
    synthetic, captured = float(weights[labels].sum()), float(weights[~labels].sum())
    targets = np.where(labels, (synthetic + 1) / (synthetic + 2), 1 / (captured + 2))
    even = weights * np.where(labels, 1 / synthetic, 1 / captured) * (synthetic + captured) / 2
    slope, intercept = logistic(scores[:, None], targets, even, ridge=1e-6)
    return float(slope[0]), intercept


def auc(scores: Floats, labels: Bools, weights: Floats) -> Interval:
    """The chance that a generated video scores above a captured one, ties as halves (Mann and Whitney), accounts weighing alike.

    The interval is Newcombe's (2006, method 5), which holds for few examples and at the ends, with accounts for examples: videos of one
    account are taken for copies of one another, so it is wide rather than narrow.
    """
    order = np.argsort(scores[~labels], kind="stable")
    captured, shares = scores[~labels][order], np.concatenate([[0.0], np.cumsum(weights[~labels][order])])
    below = shares[np.searchsorted(captured, scores[labels], "left")]
    not_above = shares[np.searchsorted(captured, scores[labels], "right")]
    pairs = float(weights[labels].sum() * shares[-1])
    value = min(1.0, float(weights[labels] @ (below + not_above)) / 2 / pairs)  # sums of thirds may come out above one
    low, high = _newcombe(value, float(weights[labels].sum()), float(shares[-1]))
    return Interval(value, low, high)


def _newcombe(value: float, m: float, n: float) -> tuple[float, float]:
    """The ends of the range of values that lie less than 1.96 of their own standard errors from `value`."""
    extra = (m + n) / 2 - 1

    def near(truth: float) -> bool:
        variance = truth * (1 - truth) * (1 + extra * (1 - truth) / (2 - truth) + extra * truth / (1 + truth)) / (m * n)
        return abs(value - truth) <= _Z95 * math.sqrt(variance)

    def edge(outside: float) -> float:
        inside = value
        for _ in range(60):
            middle = (inside + outside) / 2
            inside, outside = (middle, outside) if near(middle) else (inside, middle)
        return inside

    return edge(0.0), edge(1.0)


def sigmoid(scores: Floats) -> Floats:
    return np.exp(-np.logaddexp(0, -scores))

"""Lessons in, a probe out: pure, and the same lessons and seed give the same probe.

An account counts as one, however much it posts, in teaching, in calibrating and in judging; and what is held back to judge by is
never of an account that was taught with, nor a copy of what was.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexes.space import Space
from monitor.base.errors import RequestRefused
from monitor.decision.probe import maths
from monitor.decision.probe.maths import Floats, Interval

FORMAT = 1
RIDGE = 0.1
"""A priori, scores of some three units of log-odds: features are centred, and scaled to a mean square of one."""

MIN_VIDEOS = 30
MIN_ACCOUNTS = 5
"""Of each class, before a probe may act."""

MAX_CHANCE = 0.025
"""Of a probe that may act: how often shuffled labels do as well."""

_FOLDS = 5
_SHUFFLES = 99
_AS_GOOD = 10  # so many shuffles that do as well are enough to know
_MORE = "Scan more videos with trusted credentials, or decide more cases, then run `sosie probe train`"


@dataclass(frozen=True, slots=True)
class Lesson:
    """A video whose origin is known. `group` is shared by videos of one account and by copies; `source` is who says it, a trusted
    credential ("provenance") or a reviewer ("verdict"); `seen_on` a day (ISO); `trust_version` that of the lists, for provenance."""

    video_sha256: str
    synthetic: bool
    source: str
    vector: NDArray[np.float32]
    group: str
    seen_on: str
    trust_version: str | None = None


@dataclass(frozen=True, slots=True)
class Taught:
    """How much a probe was taught of one class: videos, by who said what they are, and accounts."""

    by_provenance: int
    by_verdict: int
    accounts: int

    @property
    def videos(self) -> int:
        return self.by_provenance + self.by_verdict


@dataclass(frozen=True, eq=False)
class Probe:
    """A linear probe of one space, and all it was taught. Immutable; `version` names its content.

    `auc` was measured on held-back accounts; `slope` and `offset` make scores log-odds (Platt), and were found there as well. `chance`
    is how often labels shuffled among accounts gave as high an AUC: the interval of an AUC does not know that what is held back in one
    fold is taught with in another, and is too narrow for that.
    """

    space: Space
    weights: NDArray[np.float32]
    intercept: float
    slope: float
    offset: float
    synthetic: Taught
    captured: Taught
    first_day: str
    last_day: str
    trust_versions: tuple[str, ...]
    auc: Interval
    chance: float
    folds: int
    seed: int
    lessons: tuple[str, ...]

    @cached_property
    def version(self) -> str:
        """Twelve hex digits of the content's SHA-256."""
        return hashlib.sha256(self.canonical()).hexdigest()[:12]

    def probability(self, frames: NDArray[np.float32]) -> float | None:
        """The probability that a generator made these pictures, both origins being equally likely beforehand; None with nothing to judge.

        `frames` are unit vectors `(n, dim)` of the probe's space; who calls has seen to that.
        """
        vector = maths.feature(frames)
        return None if vector is None else round(float(self._probabilities(vector[None])[0]), 4)

    def _probabilities(self, vectors: NDArray[np.float32]) -> Floats:
        scores = vectors.astype(np.float64) @ self.weights.astype(np.float64) + self.intercept
        return maths.sigmoid(self.slope * scores + self.offset)

    @property
    def basis(self) -> str:
        """What the probe was taught, in one phrase for a reviewer."""
        taught = f"{self.synthetic.videos} generated and {self.captured.videos} captured videos"
        return f"probe {self.version}, taught by {taught}, held-back AUC {self.auc}"

    def shortcomings(self) -> tuple[str, ...]:
        """Why the probe may not act; empty where the probe may."""
        found = [
            f"{taught.videos} {word} videos of {taught.accounts} accounts, where {MIN_VIDEOS} of {MIN_ACCOUNTS} are needed"
            for word, taught in (("generated", self.synthetic), ("captured", self.captured))
            if taught.videos < MIN_VIDEOS or taught.accounts < MIN_ACCOUNTS
        ]
        if self.auc.low <= 0.5:
            found.append(f"its held-back AUC of {self.auc} does not exclude chance (0.50)")
        if self.chance > MAX_CHANCE:
            found.append(f"shuffled labels do as well in {self.chance:.0%} of tries, where {MAX_CHANCE:.1%} may")
        return tuple(found)

    def canonical(self) -> bytes:
        """The probe's content, written the one way."""
        return json.dumps(self.to_json(), sort_keys=True, separators=(",", ":")).encode()

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; `from_json` gives back an equal probe."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        structured = {name: asdict(values[name]) for name in ("space", "synthetic", "captured", "auc")}
        packed = base64.b64encode(self.weights.astype("<f4").tobytes()).decode()
        lists = {"trust_versions": list(self.trust_versions), "lessons": list(self.lessons)}
        return {"format": FORMAT, **values, **structured, **lists, "weights": packed}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Probe:
        """The inverse of `to_json`. Raises ValueError, TypeError or KeyError for anything else."""
        if value["format"] != FORMAT:
            raise ValueError(f"format {value['format']} is not known")
        try:
            weights = np.frombuffer(base64.b64decode(value["weights"], validate=True), "<f4").astype(np.float32)
        except binascii.Error as error:
            raise ValueError(str(error)) from error
        space = Space(**value["space"])
        if len(weights) != space.dim:
            raise ValueError(f"{len(weights)} weights for a space of {space.dim} dimensions")
        plain = {name: value[name] for name in ("intercept", "slope", "offset", "first_day", "last_day", "chance", "folds", "seed")}
        return cls(
            space=space,
            weights=weights,
            synthetic=Taught(**value["synthetic"]),
            captured=Taught(**value["captured"]),
            trust_versions=tuple(value["trust_versions"]),
            auc=Interval(**value["auc"]),
            lessons=tuple(value["lessons"]),
            **plain,
        )


@dataclass(frozen=True, slots=True)
class Trial:
    """The result of a probe on lessons that the probe was not taught with.

    `marked` is the share of each class that it would signal (probability above 0.5).
    """

    synthetic: Taught
    captured: Taught
    auc: Interval
    synthetic_marked: float
    captured_marked: float


def teach(lessons: Sequence[Lesson], space: Space, *, seed: int = 0) -> Probe:
    """A probe, taught by lessons.

    Raises `RequestRefused` where there are not two accounts of either class: then nothing can be held back.
    """
    lessons = sorted(lessons, key=lambda lesson: lesson.video_sha256)
    vectors, labels, groups = _columns(lessons, space)
    synthetic, captured = _taught(lessons, True), _taught(lessons, False)
    count = min(_FOLDS, synthetic.accounts, captured.accounts)
    if count < 2:
        counted = f"{synthetic.videos} generated videos of {synthetic.accounts} accounts, {captured.videos} captured of {captured.accounts}"
        raise RequestRefused("The probe", f"there is too little to learn from ({counted}; two accounts of each at least)", _MORE)
    weights = maths.weights(labels, groups)
    short = vectors  # the same in as many dimensions as there are videos, because the solution lies among them
    if len(vectors) < space.dim:
        short = vectors @ np.linalg.svd(vectors, full_matrices=False)[2].T
    scores = _held_back(short, labels, groups, count, seed)
    auc = maths.auc(scores, labels, weights)
    slope, offset = maths.platt(scores, labels, weights)
    direction, intercept = _fit(vectors, labels, weights)
    return Probe(
        space=space,
        weights=direction.astype(np.float32),
        intercept=intercept,
        slope=slope,
        offset=offset,
        synthetic=synthetic,
        captured=captured,
        first_day=min(lesson.seen_on for lesson in lessons),
        last_day=max(lesson.seen_on for lesson in lessons),
        trust_versions=tuple(sorted({lesson.trust_version for lesson in lessons if lesson.trust_version is not None})),
        auc=auc,
        chance=_chance(auc.value, short, labels, groups, count, seed),
        folds=count,
        seed=seed,
        lessons=tuple(lesson.video_sha256[:12] for lesson in lessons),
    )


def trial(probe: Probe, lessons: Sequence[Lesson]) -> Trial:
    """Try a probe on the lessons of accounts that the probe was taught nothing of. Raises `RequestRefused` where either class has none."""
    known = {lesson.group for lesson in lessons if lesson.video_sha256[:12] in set(probe.lessons)}
    fresh = [lesson for lesson in lessons if lesson.group not in known]
    synthetic, captured = _taught(fresh, True), _taught(fresh, False)
    if not synthetic.accounts or not captured.accounts:
        counted = f"{synthetic.videos} generated and {captured.videos} captured videos are of accounts it was not taught with"
        raise RequestRefused(f"Probe {probe.version}", f"cannot be tried: {counted}", "Wait for more of both, and try again")
    vectors, labels, groups = _columns(fresh, probe.space)
    chances = probe._probabilities(vectors.astype(np.float32))
    weights = maths.weights(labels, groups)
    marked = {label: float(np.average(chances[labels == label] > 0.5, weights=weights[labels == label])) for label in (True, False)}
    return Trial(synthetic, captured, maths.auc(chances, labels, weights), marked[True], marked[False])


def _columns(lessons: Sequence[Lesson], space: Space) -> tuple[Floats, maths.Bools, list[str]]:
    vectors = np.array([lesson.vector for lesson in lessons], np.float64).reshape(len(lessons), space.dim)
    return vectors, np.array([lesson.synthetic for lesson in lessons], bool), [lesson.group for lesson in lessons]


def _held_back(vectors: Floats, labels: maths.Bools, groups: Sequence[str], count: int, seed: int) -> Floats:
    """The scores of the videos in each fold, by what the other folds teach."""
    weights, folds = maths.weights(labels, groups), maths.folds(labels, groups, count, seed)
    scores = np.empty(len(labels))
    for fold in range(count):
        held_back, taught = folds == fold, folds != fold
        direction, intercept = _fit(vectors[taught], labels[taught], weights[taught])
        scores[held_back] = vectors[held_back] @ direction + intercept
    return scores


def _chance(reached: float, vectors: Floats, labels: maths.Bools, groups: Sequence[str], count: int, seed: int) -> float:
    """How often chance reaches that AUC: a permutation test (Ojala and Garriga 2010), ended early when the answer is often (Besag and
    Clifford 1991)."""
    rng, as_good = np.random.default_rng(seed), 0
    for tried in range(1, _SHUFFLES + 1):
        shuffled = maths.shuffled(labels, groups, rng)
        scores = _held_back(vectors, shuffled, groups, count, seed)
        as_good += maths.auc(scores, shuffled, maths.weights(shuffled, groups)).value >= reached
        if as_good == _AS_GOOD:
            return as_good / tried
    return (as_good + 1) / (_SHUFFLES + 1)


def _fit(vectors: Floats, labels: maths.Bools, weights: Floats) -> tuple[Floats, float]:
    """Direction and intercept for vectors as they are; the classes weigh alike, so the mix of what was seen is not learned."""
    even = weights * np.where(labels, 1 / weights[labels].sum(), 1 / weights[~labels].sum()) * weights.sum() / 2
    centre = np.average(vectors, axis=0, weights=even)
    scale = float(np.sqrt(np.average(((vectors - centre) ** 2).sum(axis=1), weights=even))) or 1.0
    direction, intercept = maths.logistic((vectors - centre) / scale, labels.astype(np.float64), even, RIDGE)
    return direction / scale, float(intercept - direction @ centre / scale)


def _taught(lessons: Sequence[Lesson], synthetic: bool) -> Taught:
    of_class = [lesson for lesson in lessons if lesson.synthetic is synthetic]
    by_verdict = sum(lesson.source == "verdict" for lesson in of_class)
    return Taught(len(of_class) - by_verdict, by_verdict, len({lesson.group for lesson in of_class}))

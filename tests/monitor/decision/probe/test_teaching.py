"""What a probe learns, what it says of itself, and when it may act."""

from __future__ import annotations

import json
import random
import zlib
from dataclasses import replace

import numpy as np
import pytest

from monitor.base.errors import RequestRefused
from monitor.decision.probe import teaching
from monitor.decision.probe.teaching import Interval, Probe
from tests.monitor.decision.probe.school import DIM, SPACE, lessons


@pytest.fixture(scope="module")
def good() -> Probe:
    return teaching.teach(lessons(40, apart=2.0), SPACE)


def axis(sign: float) -> np.ndarray:
    frames = np.zeros((3, DIM), np.float32)
    frames[:, 0] = sign
    return frames


def test_it_tells_the_classes_apart_and_may_act(good: Probe) -> None:
    assert good.auc.low > 0.8
    assert good.shortcomings() == ()
    generated, captured = good.probability(axis(1)), good.probability(axis(-1))
    assert generated is not None
    assert captured is not None
    assert captured < 0.1 < 0.9 < generated
    assert good.probability(np.empty((0, DIM), np.float32)) is None


def test_it_says_what_it_was_taught(good: Probe) -> None:
    assert (good.synthetic.by_provenance, good.synthetic.by_verdict, good.synthetic.accounts) == (20, 20, 20)
    assert (good.first_day, good.last_day, good.trust_versions) == ("2026-03-01", "2026-03-28", ("t1",))
    assert good.basis == f"probe {good.version}, taught by 40 generated and 40 captured videos, held-back AUC {good.auc}"


def test_the_same_lessons_in_any_order_give_the_same_probe_and_another_seed_another(good: Probe) -> None:
    shuffled = lessons(40, apart=2.0)
    random.Random(1).shuffle(shuffled)
    assert teaching.teach(shuffled, SPACE).version == good.version
    assert teaching.teach(shuffled, SPACE, seed=1).version != good.version


def test_what_only_tells_accounts_apart_is_not_taken_for_knowledge() -> None:
    """Each account has a look of its own and posts of one class: telling accounts apart would be perfect, and is worth nothing."""
    rng = np.random.default_rng(5)
    taught = []
    for lesson in lessons(60, apart=0.0, per_account=10):
        look = np.random.default_rng(zlib.crc32(lesson.group.encode())).standard_normal(DIM) * 3
        vector = look + 0.1 * rng.standard_normal(DIM)
        taught.append(replace(lesson, vector=(vector / np.linalg.norm(vector)).astype(np.float32)))
    assert teaching.teach(taught, SPACE).auc.low < 0.5


def test_of_many_probes_taught_by_chance_hardly_any_may_act() -> None:
    space = replace(SPACE, dim=8)
    probes = [teaching.teach(lessons(15, apart=0.0, per_account=1, seed=n, dim=8), space) for n in range(30)]
    assert (
        sum(probe.auc.low > 0.5 and probe.chance <= teaching.MAX_CHANCE for probe in probes) <= 2
    )  # at 2.5 % each, more than 2 would be one run in 26


def test_a_lucky_interval_is_not_enough(good: Probe) -> None:
    assert replace(good, chance=0.04).shortcomings() == ("shuffled labels do as well in 4% of tries, where 2.5% may",)


def test_too_few_may_not_act_and_the_numbers_are_named() -> None:
    few = teaching.teach(lessons(10, apart=3.0, per_account=5), SPACE)
    told = few.shortcomings()
    assert told[0] == "10 generated videos of 2 accounts, where 30 of 5 are needed"
    assert told[1] == "10 captured videos of 2 accounts, where 30 of 5 are needed"
    lonely = teaching.teach(lessons(40, apart=3.0, per_account=20), SPACE)
    assert "of 2 accounts" in lonely.shortcomings()[0]


@pytest.mark.parametrize("taught", [[], lessons(40, apart=1.0, per_account=40), [x for x in lessons(9, apart=1.0) if x.synthetic]])
def test_with_nothing_to_hold_back_it_is_refused(taught: list[teaching.Lesson]) -> None:
    with pytest.raises(RequestRefused, match=r"too little to learn from \(\d+ generated videos of"):
        teaching.teach(taught, SPACE)


def test_a_trial_is_on_accounts_it_was_taught_nothing_of(good: Probe) -> None:
    known = lessons(40, apart=2.0)
    with pytest.raises(RequestRefused, match="0 generated and 0 captured videos"):
        teaching.trial(good, known)
    more = lessons(20, apart=2.0, seed=9, start=100)
    same_account = replace(more[0], video_sha256="f" * 64, group=known[0].group)
    tried = teaching.trial(good, [*known, *more, same_account])
    assert (tried.synthetic.videos, tried.captured.videos) == (20, 20)
    assert tried.auc.value > 0.9
    assert tried.synthetic_marked > 0.7 > 0.3 > tried.captured_marked


def test_it_is_the_same_after_json_and_its_version_is_of_all_of_it(good: Probe) -> None:
    again = Probe.from_json(json.loads(json.dumps(good.to_json())))
    assert again.version == good.version
    assert again.probability(axis(1)) == good.probability(axis(1))
    for change in ({"intercept": 1.5}, {"seed": 7}, {"auc": Interval(0.9, 0.8, 0.95)}, {"lessons": ()}, {"last_day": "2027-01-01"}):
        assert replace(good, **change).version != good.version


@pytest.mark.parametrize("change", [{"format": 2}, {"weights": "!"}, {"weights": "AAAA"}, {"weights": ""}, {"space": {}}, {"auc": 1}])
def test_what_is_no_probe_is_refused(good: Probe, change: dict[str, object]) -> None:
    with pytest.raises((ValueError, TypeError, KeyError)):
        Probe.from_json(good.to_json() | change)

from __future__ import annotations

import numpy as np
import pytest

from indexes.background import Background, Prior
from indexes.errors import SpaceMismatch
from indexes.likeness import LikenessIndex
from indexes.space import Space
from monitor.decision.policy import MatchRule
from monitor.scan.matching import Voice, match
from tests.monitor.fakes import ALIGNED, CLIP, fingerprint, identity, near

RULE = MatchRule(frames=3, threshold_z=4.0, frame_z=3.0, slope=1.5, clip_weight=0.25)
ADA, BEN = identity(1), identity(2)
PRIOR = Prior(0.0, 0.1)


def index(space: Space = CLIP) -> LikenessIndex:
    made = LikenessIndex(space, Background(np.empty((0, space.dim), np.float32), PRIOR))
    return made.with_references(["ref-ada", "ref-ben"], ["ada", "ben"], np.stack([ADA, BEN]))


def test_a_likeness_that_holds_over_frames_is_found_with_its_times() -> None:
    faces = [(frame, [near(ADA, 0.7, frame)]) for frame in (1, 2, 3, 7)]
    (found,) = match(fingerprint(faces, times_s=range(10)), [Voice(index(), 1.0)], RULE)
    assert found.likeness == "ada"
    assert found.score > 0.95
    assert found.frames == 4
    assert found.ranges == ((1, 4), (7, 8))
    assert found.seconds == 4
    assert [moment.reference for moment in found.moments] == ["ref-ada"] * 4
    assert found.moments[0].score == max(moment.score for moment in found.moments)


def test_whoever_is_found_is_shown_at_some_moment_under_a_stored_policy_whose_frame_z_is_above_its_threshold() -> None:
    faces = [(frame, [near(ADA, 0.7, frame)]) for frame in (1, 2, 3, 7)]
    (found,) = match(fingerprint(faces, times_s=range(10)), [Voice(index(), 1.0)], RULE.model_copy(update={"frame_z": 50.0}))
    assert found.frames == len(found.moments) == 1
    assert found.ranges


def test_one_lucky_frame_among_many_is_no_match() -> None:
    lucky = [(0, [near(ADA, 0.55, 0)])]
    others = [(frame, [near(ADA, 0.1, frame)]) for frame in range(1, 8)]
    assert match(fingerprint(lucky + others, times_s=range(10)), [Voice(index(), 1.0)], RULE) == ()
    assert len(match(fingerprint(lucky, times_s=range(10)), [Voice(index(), 1.0)], RULE)) == 1, (
        "a face seen once is judged by what there is"
    )


def test_two_people_in_one_frame_are_told_apart() -> None:
    faces = [(frame, [near(who, 0.7, frame)]) for frame in range(4) for who in (ADA, BEN)]
    found = match(fingerprint(faces, times_s=range(4)), [Voice(index(), 1.0)], RULE)
    assert {m.likeness for m in found} == {"ada", "ben"}
    assert all(m.frames == 4 for m in found)


def test_nobody_gives_nothing() -> None:
    assert match(fingerprint([], times_s=range(3)), [Voice(index(), 1.0)], RULE) == ()
    assert match(fingerprint([], times_s=[]), [Voice(index(), 1.0)], RULE) == ()
    strangers = [(frame, [identity(100 + frame)]) for frame in range(10)]
    assert match(fingerprint(strangers, times_s=range(10)), [Voice(index(), 1.0)], RULE) == ()


def test_two_weak_agreeing_voices_say_more_than_one() -> None:
    weak = [(frame, [near(ADA, 0.42, frame), near(ADA, 0.42, 50 + frame)]) for frame in range(4)]
    print_ = fingerprint(weak, times_s=range(4), spaces=(CLIP, ALIGNED))
    (alone,) = match(print_, [Voice(index(ALIGNED), 1.0)], RULE, floor=0.0)[:1]
    (joined,) = match(print_, [Voice(index(), 0.25), Voice(index(ALIGNED), 1.0)], RULE, floor=0.0)[:1]
    assert joined.likeness == alone.likeness == "ada"
    assert joined.score > alone.score
    contradicted = [(frame, [identity(7), near(ADA, 0.42, 50 + frame)]) for frame in range(4)]
    (doubted,) = match(
        fingerprint(contradicted, times_s=range(4), spaces=(CLIP, ALIGNED)),
        [Voice(index(), 0.25), Voice(index(ALIGNED), 1.0)],
        RULE,
        floor=0.0,
    )[:1]
    assert doubted.score < joined.score


def test_the_score_is_one_half_at_the_threshold() -> None:
    faces = [(frame, [near(ADA, float(np.tanh(0.4)), frame)]) for frame in range(3)]
    (found,) = match(fingerprint(faces, times_s=range(3)), [Voice(index(), 1.0)], RULE, floor=0.4)
    assert found.score == pytest.approx(0.5, abs=0.01)


def test_a_frame_stands_until_the_next_sampled_one_and_the_last_until_the_end() -> None:
    """Near-duplicates are dropped while sampling: a still shot of a minute leaves one frame."""
    faces = [(0, [near(ADA, 0.7, 0)])]
    (found,) = match(fingerprint(faces, times_s=[0.0], duration_s=60.0), [Voice(index(), 1.0)], RULE)
    assert found.ranges == ((0.0, 60.0),)


def test_vectors_of_other_models_are_refused() -> None:
    print_ = fingerprint([(0, [ADA])], times_s=[0.0])
    with pytest.raises(SpaceMismatch, match="sosie index rebuild"):
        match(print_, [Voice(index(ALIGNED), 1.0)], RULE)

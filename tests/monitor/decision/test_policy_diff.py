from __future__ import annotations

import pytest

from monitor.decision.policy import Policy, default_policy, parse
from monitor.decision.policy_diff import changes, moves_a_threshold

TEXT = default_policy().text


def edited(before: str, after: str) -> Policy:
    assert before in TEXT
    return parse(TEXT.replace(before, after, 1), "edited")


def test_a_policy_and_a_comment_more_say_the_same() -> None:
    assert changes(default_policy(), edited("# How evidence", "# A comment more.\n# How evidence")) == []


@pytest.mark.parametrize(
    ("before", "after", "told", "moves"),
    [
        ("flag_at: 0.5", "flag_at: 0.6", "flag_at: 0.5 → 0.6", True),
        ("prior: -4.0", "prior: -3", "prior: -4.0 → -3.0", True),
        ("threshold_z: 4.7", "threshold_z: 4.5", "matching.threshold_z: 4.7 → 4.5", True),
        ("sla_hours: 24", "sla_hours: 12", "routes.deceased.sla_hours: 24.0 → 12.0", True),
        ("queue: main", "queue: estates", "routes.deceased.queue: main → estates", True),
        ("weight: 2.5", "weight: 2.75", "signals.face_match.weight: +2.5 → +2.75", True),
        ("parody: [account, platform, purpose, territory, consent, risk]", "parody: [risk]", None, True),
        ("deepfake: []", "deepfake: [risk]", "after_verdict.deepfake: none → risk", True),
        ('version: "1"', 'version: "2"', "version: 1 → 2", False),
        ("appears in the video", "is seen in the video", None, False),
    ],
)
def test_each_change_is_told_and_only_words_move_nothing(before: str, after: str, told: str | None, moves: bool) -> None:
    other = edited(before, after)
    (change,) = changes(default_policy(), other)
    assert change.moves is moves is moves_a_threshold(default_policy(), other)
    assert told is None or str(change) == told

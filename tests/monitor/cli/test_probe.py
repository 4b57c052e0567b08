"""`sosie probe`: from nothing known to an acting probe, and every refusal on the way with its next step."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from monitor.base import settings
from monitor.decision.probe import lessons
from monitor.decision.probe.teaching import Lesson
from monitor.provenance.types import AI, Provenance, State
from monitor.scan.workshop import Workshop
from monitor.vision.encoder import load_encoder
from tests.monitor.decision.probe import school
from tests.monitor.household import sosie, trail
from tests.monitor.review.helpers import add_post, add_video

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def space_dim() -> int:
    return load_encoder("bundled", threads=1).space.dim


def record(taught: Sequence[Lesson]) -> None:
    """Put videos with trusted credentials into the home's database, as the pipeline would."""
    with Workshop(settings.load()) as workshop:
        space_id = workshop.models.encoder.space.id
        with workshop.store.session() as session:
            for lesson in taught:
                told = Provenance(State.TRUSTED, AI.FULLY if lesson.synthetic else AI.CAPTURED, "t1").to_json()
                sha256 = lesson.video_sha256
                add_video(session, sha256, provenance=told)
                add_post(session, sha256, sha256, account=lesson.group)
                lessons.keep(session, video_sha256=sha256, space_id=space_id, frames=lesson.vector[None], now=NOW)


def test_from_nothing_to_an_acting_probe_and_off_again(home: Path, space_dim: int) -> None:
    assert sosie("probe", "list").out == "There is no probe. `sosie probe train` makes one.\n"
    refused = sosie("probe", "train")
    assert refused.status == 1
    assert "there is too little to learn from (0 generated videos of 0 accounts, 0 captured of 0" in refused.err
    assert "decide more cases" in refused.err

    record(school.lessons(40, apart=4.0, dim=space_dim))
    trained = sosie("probe", "train")
    assert trained.status == 0
    version = trained.out.split()[0]
    assert "taught by 40 generated videos of 20 accounts (40 by credentials, 0 by verdicts)" in trained.out
    assert f"It does not act yet: `sosie probe activate {version}`." in trained.out
    (listed,) = sosie("probe", "list", "--json").objects
    assert (listed["version"], listed["active"], listed["shortcomings"]) == (version, False, [])
    assert "weights" not in listed
    assert listed["trust_versions"] == ["t1"]

    assert "acts from now on" in sosie("probe", "activate", version).out
    (listed,) = sosie("probe", "list", "--json").objects
    assert listed["active"]
    assert " yes " in sosie("probe", "list").out
    (same,) = sosie("probe", "train", "--json").objects
    assert (same["version"], same["active"]) == (version, True), "the same lessons, the same probe"
    assert "It acts already." in sosie("probe", "train").out

    nothing_new = sosie("probe", "evaluate")
    assert nothing_new.status == 1
    assert "0 generated and 0 captured videos are of accounts it was not taught with" in nothing_new.err
    record(school.lessons(10, apart=4.0, dim=space_dim, start=100, seed=5))
    (tried,) = sosie("probe", "evaluate", "--json").objects
    assert (tried["version"], tried["synthetic"]["by_provenance"], tried["captured"]["accounts"]) == (version, 10, 5)
    assert tried["auc"]["value"] > 0.9
    assert "it would mark" in sosie("probe", "evaluate", version).out

    assert sosie("probe", "activate", "--off").out == "No probe acts from now on.\n"
    assert sosie("probe", "activate", "--off").out == "No probe acted before, and none does now.\n"
    assert trail(home, "probe") == ["probe.kept", "probe.activated", "probe.deactivated"]
    none = sosie("probe", "evaluate")
    assert (none.status, "none acts" in none.err) == (1, True)


def test_one_that_was_taught_too_little_is_kept_and_may_not_act(home: Path, space_dim: int) -> None:
    record(school.lessons(6, apart=4.0, dim=space_dim))
    trained = sosie("probe", "train")
    version = trained.out.split()[0]
    assert "It may not act: 6 generated videos of 3 accounts, where 30 of 5 are needed" in trained.out
    refused = sosie("probe", "activate", version)
    assert refused.status == 1
    assert f"Probe {version}: may not act: 6 generated videos of 3 accounts" in refused.err
    assert " may not " in sosie("probe", "list").out


@pytest.mark.parametrize("arguments", [(), ("0" * 12, "--off")])
def test_activate_takes_a_version_or_off(home: Path, arguments: Sequence[str]) -> None:
    ran = sosie("probe", "activate", *arguments)
    assert ran.status == 2
    assert "give the version of a probe, or --off" in ran.err


def test_an_unknown_version_is_not_found(home: Path) -> None:
    ran = sosie("probe", "activate", "0" * 12)
    assert (ran.status, "sosie probe list" in ran.err) == (1, True)

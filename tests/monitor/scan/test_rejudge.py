"""Stored verdicts follow the lists, on both databases; cases are opened, never closed, and kept as they are where nothing changes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import select

from monitor.base import audit
from monitor.base.database import Store
from monitor.cast.credentials import CAPTURED, Studio, tamper
from monitor.decision.facts import Facts
from monitor.decision.policies import Policies
from monitor.decision.policy import assess, default_policy
from monitor.intake.sandbox import Sandbox
from monitor.provenance.check import check, manifest_store
from monitor.provenance.trust import TrustList, TrustLists
from monitor.provenance.types import Provenance
from monitor.registry import likenesses
from monitor.review import queue, verdicts, videos, words
from monitor.review.assessments import Assessment, SupersededAssessment, Versions
from monitor.review.cases import Case
from monitor.review.videos import ManifestStore, Video
from monitor.scan.rejudge import Reevaluated, reevaluate
from tests.monitor.provenance.making import clip
from tests.monitor.review.helpers import NOW, add_assessment, add_post, add_video, meet_case

CAMERAS = Studio("Cameras")
NOBODY, LISTED = TrustLists(), TrustLists((TrustList("cameras", CAMERAS.anchor_pem.decode()),))


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(1, 4 * 1024**3, 60) as made:
        yield made


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("signed")
    CAMERAS.sign(clip(folder / "plain.mp4"), folder / "signed.mp4", digital_source_type=CAPTURED, generator="Camera")
    tamper(folder / "signed.mp4", folder / "changed.mp4")
    return folder / "signed.mp4"


def stored(store: Store, file: Path, trust: TrustLists, *, sha256: str, keep: bool = True) -> None:
    """One video of somebody deceased, one post, assessed as `trust` has it; its case is left out, as if nobody had opened it."""
    told, raw = check(file, trust), manifest_store(file)
    assert raw is not None
    with store.session() as session:
        person, _ = likenesses.add_likeness(session, "Ada Moreau", deceased_on=date(1994, 3, 11), holder=None, actor="test", now=NOW)
        facts = Facts(
            name=person.name, deceased_on=person.deceased_on, score=0.95, frames=6, seconds=3.0, ranges="0:00 to 0:03",
            state=told.state.value, ai=told.ai.value, signer=told.signer, trust_list=told.trust_list, account=None, consent=None, z=7.0,
        )  # fmt: skip
        said = assess(facts, default_policy())
        add_video(session, sha256, provenance=told.to_json())
        if keep:
            videos.keep_manifest_store(session, video_sha256=sha256, content=raw)
        add_post(session, f"post-{sha256}", sha256)
        add_assessment(
            session, f"post-{sha256}", sha256, likeness=person.id, risk=said.risk, flagged=said.flagged, facts=facts.to_json(),
            versions=Versions(policy=said.policy, index="i", model="m", trust=told.trust_version),
        )  # fmt: skip


def judged(store: Store, sandbox: Sandbox, trust: TrustLists) -> Reevaluated:
    return reevaluate(store, sandbox, Policies(store, default_policy()), trust)


def test_a_flag_is_lost_with_a_list_and_gained_without_it_and_the_case_has_no_stills(store: Store, sandbox: Sandbox, signed: Path) -> None:
    stored(store, signed, LISTED, sha256="a")
    with store.session(read_only=True) as session:
        assert session.scalars(select(Assessment.flagged)).all() == [False]
    assert judged(store, sandbox, NOBODY) == Reevaluated(judged=1, states_changed=1, flags_gained=1)
    with store.session(read_only=True) as session:
        video, row = session.get_one(Video, "a"), session.scalars(select(Assessment)).one()
        case = session.scalars(select(Case)).one()
    assert Provenance.from_json(video.provenance) == check(signed, NOBODY)
    assert (row.flagged, row.trust_version, row.policy_version) == (True, NOBODY.version, default_policy().id)
    assert (case.risk, case.moments, case.versions["trust"]) == (row.risk, (), NOBODY.version)
    assert judged(store, sandbox, NOBODY) == Reevaluated(), "again, nothing is to be done"
    assert judged(store, sandbox, LISTED) == Reevaluated(judged=1, states_changed=1, flags_lost=1)
    with store.session(read_only=True) as session:
        assert session.scalars(select(Case.state)).all() == ["open"], "people close cases"


def test_what_was_changed_stays_tampered_under_any_list(store: Store, sandbox: Sandbox, signed: Path) -> None:
    stored(store, signed.with_name("changed.mp4"), NOBODY, sha256="a")
    done = judged(store, sandbox, LISTED)
    assert (done.judged, done.states_changed) == (1, 0)
    with store.session(read_only=True) as session:
        assert session.get_one(Video, "a").provenance["state"] == "tampered"


def test_a_video_without_a_kept_manifest_is_counted_and_left(store: Store, sandbox: Sandbox, signed: Path) -> None:
    stored(store, signed, NOBODY, sha256="a", keep=False)
    assert judged(store, sandbox, LISTED) == Reevaluated(of_other_lists=1)


def test_manifests_that_cannot_be_read_are_counted_and_stop_nobody_else(store: Store, sandbox: Sandbox, signed: Path) -> None:
    for sha256 in ("a", "b"):
        stored(store, signed, NOBODY, sha256=sha256)
    with store.session() as session:
        session.get_one(ManifestStore, "a").content = b"no manifests"
    assert replace(judged(store, sandbox, LISTED), flags_lost=0) == Reevaluated(judged=1, states_changed=1, unread=1)


@pytest.mark.parametrize(("verdict", "comes_back"), [("licensed", True), ("deepfake", False)])
def test_a_verdict_about_the_use_does_not_outlast_a_change_of_the_risks_class(
    store: Store, sandbox: Sandbox, signed: Path, verdict: str, comes_back: bool
) -> None:
    stored(store, signed, NOBODY, sha256="a")
    with store.session() as session:
        row = session.scalars(select(Assessment)).one()
        row.risk, row.facts = 0.55, (row.facts or {}) | {"state": "absent", "z": 5.0}  # as an earlier judgement left it
        case = meet_case(session, row.post_id, "a", likeness=row.likeness_id, risk=0.55).case
        lease = queue.claim(session, case.id, reviewer="ada", lease_s=60, now=NOW)
        verdicts.decide(session, case.id, reviewer="ada", token=lease.token, verdict=verdict, reason="seen", now=NOW)
    with store.session() as session:
        session.get_one(Video, "a").provenance = session.get_one(Video, "a").provenance | {"trust_version": "of before"}
    assert judged(store, sandbox, NOBODY).judged == 1
    with store.session(read_only=True) as session:
        row, case = session.scalars(select(Assessment)).one(), session.scalars(select(Case)).one()
        trail = [(event.action, event.actor) for event in audit.events(session, subject_type="case", subject_id=case.id)]
        [old] = session.scalars(select(SupersededAssessment)).all()
    assert (row.flagged, words.risk_word(row.risk)) == (True, "high")
    assert (old.risk, old.superseded_by) == (0.55, row.id), "what the verdict was given on is kept"
    assert (case.state, case.verdict) == (("open", None) if comes_back else ("decided", "deepfake"))
    assert (("case.reopened", "trust lists") in trail) is comes_back

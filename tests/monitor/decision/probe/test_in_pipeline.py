"""The probe on a video's way: what is kept to teach with, what an acting probe adds, and that it can be repeated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from sqlalchemy import select

from monitor.base import settings
from monitor.cast.credentials import GENERATED, Studio
from monitor.decision.probe import lessons, teaching
from monitor.decision.probe.lessons import ProbeExample
from monitor.decision.probe.teaching import Lesson, Probe
from monitor.review import assessments
from monitor.scan.repeat import Repeater, Repetition
from monitor.scan.result import Posted, ScanResult
from monitor.scan.workshop import Workshop
from tests.monitor.damage import damage
from tests.monitor.decision.probe import school
from tests.monitor.household import sosie
from tests.monitor.provenance.making import trusting


def scan(workshop: Workshop, path: Path) -> ScanResult:
    return workshop.pipeline.scan(Posted.of(str(path), account="@one"))


def suspicious(workshop: Workshop, path: Path) -> Probe:
    """A probe that takes what looks like this video for generated, and nothing else."""
    result = scan(workshop, path)
    held = workshop.pipeline.kept.get(result.sha256, workshop.models.id)
    assert held is not None
    space = workshop.models.encoder.space
    like = held.frame_vectors.mean(axis=0)
    taught: list[Lesson] = []
    for lesson in school.lessons(30, apart=0.0, dim=space.dim):
        vector = lesson.vector + (1 if lesson.synthetic else -1) * like / np.linalg.norm(like)
        taught.append(replace(lesson, vector=(vector / np.linalg.norm(vector)).astype(np.float32)))
    probe = teaching.teach(taught, space)
    workshop.probes.keep(probe)
    return probe


def repeated(workshop: Workshop) -> list[Repetition]:
    with workshop.store.session(read_only=True) as session:
        kept = assessments.latest_assessments(session, limit=10)
    repeater = Repeater(workshop.pipeline, workshop.policies.at)
    return [repeater.repeat(each) for each in kept]


def examples(workshop: Workshop) -> Sequence[str]:
    with workshop.store.session(read_only=True) as session:
        return session.scalars(select(ProbeExample.video_sha256)).all()


def test_vectors_are_kept_of_cases_and_of_trusted_credentials_and_of_nothing_else(furnished: Path, clips: Path, tmp_path: Path) -> None:
    studio, signed = Studio("A Studio"), tmp_path / "signed.mp4"
    studio.sign(clips / "stranger.mp4", signed, digital_source_type=GENERATED, generator="Dream Machine")
    trusting(tmp_path, studios=studio)
    with Workshop(settings.load({"SOSIE_HOME": str(furnished), "SOSIE_TRUST_ANCHORS": str(tmp_path / "studios.pem")})) as workshop:
        case, declared, nobody = (scan(workshop, path) for path in (clips / "singer.mp4", signed, clips / "stranger.mp4"))
        assert (case.flagged, declared.flagged, nobody.flagged) == (True, False, False)
        scan(workshop, clips / "singer.mp4")
        assert sorted(examples(workshop)) == sorted([case.sha256, declared.sha256])
        with workshop.store.session(read_only=True) as session:
            (lesson,) = lessons.lessons(session, workshop.models.encoder.space.id)
        assert (lesson.video_sha256, lesson.synthetic, lesson.source) == (declared.sha256, True, "provenance")


def test_a_probe_on_the_shelf_does_nothing_and_an_acting_one_is_weak_evidence_that_says_what_it_rests_on(
    workshop: Workshop, clips: Path
) -> None:
    probe = suspicious(workshop, clips / "singer.mp4")
    before = scan(workshop, clips / "singer.mp4")
    assert before.versions.probe == "none"
    assert before.findings[0].facts.synthetic is None
    workshop.probes.activate(probe.version)
    after = scan(workshop, clips / "singer.mp4")
    assert after.versions.probe == after.to_json()["assessment"]["probe"] == probe.version
    facts = after.findings[0].facts
    assert facts.synthetic is not None
    assert facts.synthetic > 0.5
    assert facts.probe_basis == probe.basis
    (reason,) = (reason for reason in after.assessment.reasons if reason.code == "synthetic_probe")
    assert 0 < reason.weight <= 1
    assert probe.basis in reason.text
    assert after.assessment.risk > before.assessment.risk
    workshop.probes.deactivate()
    assert scan(workshop, clips / "singer.mp4").assessment == before.assessment


def test_an_assessment_under_a_probe_says_the_same_again_after_another_took_over(workshop: Workshop, clips: Path) -> None:
    probe = suspicious(workshop, clips / "singer.mp4")
    workshop.probes.activate(probe.version)
    scan(workshop, clips / "singer.mp4")
    workshop.probes.deactivate()
    again, before = repeated(workshop)
    assert (again.same, again.anew) == (True, ("match", "provenance", "probe", "weighing"))
    assert (before.same, before.anew) == (True, ("match", "provenance", "weighing"))
    damage(workshop.store, "probe.kept")
    with Workshop(workshop.settings) as later:
        again, _ = repeated(later)
    assert (again.same, again.anew) == (True, ("match", "provenance", "weighing"))
    assert again.why_not == (f"probe: the vectors of the video, or probe {probe.version}, are not kept any more",)


def test_a_probe_of_another_encoder_waits(workshop: Workshop, clips: Path) -> None:
    probe = suspicious(workshop, clips / "singer.mp4")
    other = replace(probe, space=replace(probe.space, weights_sha256="f" * 64))
    workshop.probes.keep(other)
    workshop.probes.activate(other.version)
    assert scan(workshop, clips / "singer.mp4").versions.probe == "none"


def test_a_changed_probe_stops_a_scan_before_a_model_is_loaded(workshop: Workshop, clips: Path) -> None:
    probe = suspicious(workshop, clips / "singer.mp4")
    workshop.probes.activate(probe.version)
    damage(workshop.store, "probe")
    ran = sosie("scan", clips / "singer.mp4")
    assert ran.status == 1
    assert f"The probe that acts, {probe.version}: what the database holds is not what was put in force" in ran.err
    assert "sosie probe activate --off" in ran.err

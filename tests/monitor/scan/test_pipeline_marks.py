"""Visible marks on the way of one video: looked for once, again when templates change, and never more than weak evidence."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import av
import numpy as np
import pytest

from monitor.base import settings
from monitor.cast.credentials import CAPTURED, Studio
from monitor.review import assessments, queue, verdicts, videos
from monitor.scan.result import Posted, ScanResult
from monitor.scan.workshop import Workshop
from tests.monitor.household import ATHLETE, Household
from tests.monitor.vision import marks


@pytest.fixture(scope="module")
def marked(household: Household, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The athlete, with a mark that moves."""
    with av.open(str(household.clips / "athlete.mp4")) as container:
        pictures = [np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in container.decode(video=0)]
    placed = marks.marked(pictures, placing=lambda number: marks.moving(number // 5))
    return marks.write(tmp_path_factory.mktemp("marked") / "athlete-marked.mp4", placed, fps=10)


@pytest.fixture
def png(tmp_path: Path) -> Path:
    return marks.write_mark(tmp_path / "quill.png")


def scan(workshop: Workshop, path: Path) -> ScanResult:
    return workshop.pipeline.scan(Posted.of(str(path), account="@somebody"))


def told(result: ScanResult) -> dict[str, str]:
    return {reason.code: reason.text for reason in result.assessment.reasons}


def test_a_mark_raises_the_risk_and_is_kept_with_video_case_and_assessment(
    workshop: Workshop, clips: Path, marked: Path, png: Path
) -> None:
    workshop.watermarks.add("quill", png, "Quill")
    plain, result = scan(workshop, clips / "athlete.mp4"), scan(workshop, marked)
    assert (plain.marks, "watermark" in told(plain)) == ((), False)
    assert told(result)["watermark"].startswith("The visible mark of Quill is seen (score ")
    (mark,) = result.marks
    assert mark.ranges[0][0] == 0.0
    assert result.assessment.risk > plain.assessment.risk
    assert result.versions.watermarks == workshop.watermarks.current().version
    assert result.to_json()["watermarks"] == [mark.to_json()]
    with workshop.store.session(read_only=True) as session:
        assert videos.get_video(session, result.sha256).marks == [
            mark.to_json() | {"ranges": [list(span) for span in mark.ranges], "box": list(mark.box)}
        ]
        (kept,) = assessments.assessments(session, video_sha256=result.sha256, likeness_id=result.findings[0].match.likeness)
        assert kept.watermarks_version == result.versions.watermarks
        assert kept.facts is not None
        assert kept.facts["watermark"] == "Quill"


def test_a_video_seen_before_is_looked_at_again_when_the_templates_change_and_only_then(
    workshop: Workshop, marked: Path, png: Path
) -> None:
    def looks() -> float:
        found = workshop.metrics.registry.get_sample_value("sosie_stage_seconds_count", {"stage": "marks"})
        return found or 0.0

    before = scan(workshop, marked)
    assert (before.reused, before.marks, before.versions.watermarks) == (False, (), "none")
    workshop.watermarks.add("quill", png, "Quill")
    start = looks()
    added, again = scan(workshop, marked), scan(workshop, marked)
    assert (added.reused, again.reused) == (True, True)
    assert added.marks == again.marks != ()
    assert looks() == start + 1, "looked at once for one version of the templates"
    workshop.watermarks.remove("quill")
    gone = scan(workshop, marked)
    assert (gone.reused, gone.marks, gone.versions.watermarks) == (True, (), "none")


def test_on_what_a_trusted_credential_says_a_camera_recorded_it_is_possibly_forged(
    furnished: Path, marked: Path, png: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio = Studio()
    signed = tmp_path / "signed.mp4"
    studio.sign(marked, signed, digital_source_type=CAPTURED, generator="Camera")
    (tmp_path / "cameras.pem").write_bytes(studio.anchor_pem)
    with Workshop(settings.load()) as workshop:
        workshop.watermarks.add("quill", png, "Quill")
        untrusted = scan(workshop, signed)
    monkeypatch.setenv("SOSIE_TRUST_ANCHORS", str(tmp_path / "cameras.pem"))
    with Workshop(settings.load()) as workshop:
        trusted = scan(workshop, signed)
    assert "watermark" in told(untrusted), "anybody can claim that a camera recorded it"
    assert "watermark" not in told(trusted)
    assert told(trusted)["watermark_forged"] == (
        "The visible mark of Quill is possibly forged: a trusted credential says that a camera recorded this."
    )
    assert not trusted.flagged


def test_on_archive_footage_it_is_possibly_forged(workshop: Workshop, marked: Path, png: Path) -> None:
    workshop.watermarks.add("quill", png, "Quill")
    first = scan(workshop, marked)
    (finding,) = first.findings
    assert (finding.name, finding.case_id is not None) == (ATHLETE.name, True)
    now = datetime.now(UTC)
    with workshop.store.session() as session:
        assert finding.case_id
        lease = queue.claim(session, finding.case_id, reviewer="ada", lease_s=60, now=now)
        verdicts.decide(session, finding.case_id, reviewer="ada", token=lease.token, verdict="archive", reason="the final of 2015", now=now)
    second = scan(workshop, marked)
    assert "watermark" in told(first)
    assert "watermark" not in told(second)
    assert told(second)["watermark_forged"] == (
        "The visible mark of Quill is possibly forged: a reviewer's verdict on this video is archive footage."
    )
    assert second.assessment.risk < first.assessment.risk

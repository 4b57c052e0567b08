"""What a scan leaves behind when something stands already: a verdict on the same bytes, or an earlier scan that found somebody."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitor.base import audit
from monitor.decision.policies import InForce, Policies
from monitor.decision.policy import parse
from monitor.review import assessments, queue, verdicts
from monitor.review.cases import get_case
from monitor.scan.repeat import Repeater
from monitor.scan.result import Posted, ScanResult
from monitor.scan.views import case_view
from monitor.scan.workshop import Workshop


def scan(workshop: Workshop, clips: Path, account: str, id: str) -> ScanResult:
    return workshop.pipeline.scan(Posted(str(clips / "singer.mp4"), id, account=account))


def decide(workshop: Workshop, case_id: str | None, verdict: str) -> None:
    assert case_id is not None
    with workshop.store.session(read_only=True) as session:
        now = get_case(session, case_id).opened_at
    with workshop.store.session() as session:
        lease = queue.claim(session, case_id, reviewer="ada", lease_s=60, now=now)
        verdicts.decide(session, case_id, reviewer="ada", token=lease.token, verdict=verdict, reason="seen", now=now)


def test_a_verdict_about_the_content_covers_the_next_post_and_the_result_says_so(workshop: Workshop, clips: Path) -> None:
    first = scan(workshop, clips, "@one", "p1")
    assert "case" not in first.to_json()["matches"][0]
    decide(workshop, first.findings[0].case_id, "deepfake")
    later = scan(workshop, clips, "@two", "p2")
    [match] = later.to_json()["matches"]
    assert (match["case"], match["covered_by"]["verdict"]) == (first.findings[0].case_id, "deepfake")
    assert later.findings[0].case_reopened == ()
    assert (first.covered, later.covered) == (False, True)


def test_a_verdict_about_the_use_brings_the_case_back_for_another_account(workshop: Workshop, clips: Path) -> None:
    first = scan(workshop, clips, "@official", "p1")
    decide(workshop, first.findings[0].case_id, "licensed")
    assert scan(workshop, clips, "@official", "p2").findings[0].covered_by is not None
    later = scan(workshop, clips, "@pirate", "p3")
    assert not later.covered
    [match] = later.to_json()["matches"]
    assert (match["case"], match["reopened"]) == (first.findings[0].case_id, ["account"])
    with workshop.store.session(read_only=True) as session:
        [item] = queue.page(session).items
    assert (item.case.id, item.posts, item.case.priority) == (first.findings[0].case_id, 3, 3), "in the queue, by the route of the new post"


def test_a_rescan_that_finds_nobody_leaves_no_flag_standing_and_the_case_says_so(
    workshop: Workshop, clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = scan(workshop, clips, "@one", "p1").findings[0]
    assert found.case_id is not None
    blind = parse(workshop.policy.text.replace("threshold_z: 4.7", "threshold_z: 49"), "blind")
    with monkeypatch.context() as patched:
        patched.setattr(Policies, "current", lambda self: InForce(blind))
        assert scan(workshop, clips, "@one", "p1").findings == ()
        again = scan(workshop, clips, "@one", "p1")
    of = {"video_sha256": again.sha256}
    with workshop.store.session(read_only=True) as session:
        assert assessments.assessments(session, **of, likeness_id=found.match.likeness) == []
        [nobody] = assessments.assessments(session, **of, likeness_id=None)
        [old] = assessments.superseded(session, **of, likeness_id=found.match.likeness)
        view = case_view(session, found.case_id)
        lost = [event for event in audit.events(session, subject_type="case", subject_id=found.case_id) if event.action == "case.flag_lost"]
    assert (old.flagged, old.superseded_by) == (True, nobody.id)
    assert (view.case.state, view.no_flag_stands, view.standings["p1"].risk) == ("open", True, None)
    assert [event.detail for event in lost] == [{"post": "p1", "risk": None}], "said once, however often it is scanned"
    scan(workshop, clips, "@one", "p1")
    with workshop.store.session(read_only=True) as session:
        assert not case_view(session, found.case_id).no_flag_stands, "found again"


def test_what_was_superseded_can_be_repeated(workshop: Workshop, clips: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scan(workshop, clips, "@one", "p1")
    calmer = parse(workshop.policy.text.replace("prior: -4.0", "prior: -4.5"), "calmer")
    with monkeypatch.context() as patched:
        patched.setattr(Policies, "current", lambda self: InForce(calmer))
        scan(workshop, clips, "@one", "p1")
    with workshop.store.session(read_only=True) as session:
        kept = assessments.latest_assessments(session, limit=9, history=True)
    repeater = Repeater(workshop.pipeline, workshop.policies.at)
    again = [repeater.repeat(each) for each in kept]
    assert ([each.policy_version for each in kept], [each.same for each in again]) == ([calmer.id, workshop.policy.id], [True, True])
    assert all("match" in each.anew for each in again)

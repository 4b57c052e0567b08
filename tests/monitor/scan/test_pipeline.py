"""The way of one video, whole: nothing doubled, nothing half, whoever else works on the same home."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
from prometheus_client import generate_latest

from monitor.base import settings
from monitor.base.errors import DatabaseBusy, InForceUnreadable, NotAVideo, SosieFault
from monitor.base.in_force import Shelf
from monitor.cast.credentials import CAPTURED, Studio
from monitor.decision import shadows
from monitor.decision.facts import Facts
from monitor.decision.policies import InForce, Policies
from monitor.decision.policy import Assessment, Policy, assess, parse
from monitor.review import assessments, cases, queue
from monitor.scan.result import Posted
from monitor.scan.standing_metrics import watch_queue
from monitor.scan.workshop import Workshop
from tests.monitor.damage import damage
from tests.monitor.household import SINGER, files, finished, rows, script, sosie

TABLES = ("videos", "posts", "cases", "case_posts", "assessments")


def test_the_same_post_again_makes_nothing_twice(workshop: Workshop, clips: Path) -> None:
    posted = Posted.of(str(clips / "singer.mp4"), account="@one")
    first = workshop.pipeline.scan(posted)
    home = workshop.settings.home
    before = rows(home, *TABLES, "audit_events"), files(home)
    second = workshop.pipeline.scan(posted)
    assert second.reused
    assert second.findings[0].case_id == first.findings[0].case_id
    assert (first.findings[0].case_opened, second.findings[0].case_opened) == (True, False)
    assert (rows(home, *TABLES, "audit_events"), files(home)) == before
    assert before[0] | {"audit_events": 0} == dict.fromkeys(TABLES, 1) | {"audit_events": 0}


def test_a_case_has_stills_on_disk_for_its_moments_and_the_versions_it_rests_on(workshop: Workshop, clips: Path) -> None:
    result = workshop.pipeline.scan(Posted.of(str(clips / "singer.mp4")))
    with workshop.store.session(read_only=True) as session:
        (item,) = queue.page(session).items
        case = cases.get_case(session, item.case.id)
    assert 1 <= len(case.moments) <= 6
    for moment in case.moments:
        assert moment.still
        assert (workshop.settings.home / moment.still).read_bytes().startswith(b"\xff\xd8\xff")
        assert moment.box
        assert all(0 <= edge <= 1 for edge in moment.box)
    assert case.versions == {
        "policy": workshop.policy.id,
        "index": workshop.gallery.current()[1],
        "model": workshop.models.version,
        "trust": workshop.trust.version,
        "watermarks": "none",
        "probe": "none",
    }
    assert case.risk == result.assessment.risk
    route = workshop.policy.route(result.findings[0].facts)
    assert (case.queue, case.priority) == (route.queue, route.priority) == ("main", 3), "of somebody deceased"
    assert case.due_at == case.opened_at + timedelta(hours=24)


def test_an_assessment_keeps_its_facts_without_the_name_and_they_give_the_same_assessment_again(workshop: Workshop, clips: Path) -> None:
    found = workshop.pipeline.scan(Posted.of(str(clips / "singer.mp4"), account="@one"))
    nobody = workshop.pipeline.scan(Posted.of(str(clips / "stranger.mp4")))
    (finding,) = found.findings
    with workshop.store.session(read_only=True) as session:
        (kept,) = assessments.assessments(session, video_sha256=found.sha256, likeness_id=finding.match.likeness)
        (of_nobody,) = assessments.assessments(session, video_sha256=nobody.sha256, likeness_id=None)
    assert kept.facts is not None
    assert finding.name not in str(kept.facts)
    facts = Facts.from_json(kept.facts, name=finding.name)
    assert assess(facts, workshop.policy) == finding.assessment
    assert facts.z is not None
    assert workshop.policy.matching.score(facts.z) == facts.score
    assert of_nobody.facts is None


def test_what_fails_records_nothing_and_is_counted_by_its_code(workshop: Workshop, tmp_path: Path, clips: Path) -> None:
    (tmp_path / "words.mp4").write_text("words")
    with pytest.raises(NotAVideo):
        workshop.pipeline.scan(Posted.of(str(tmp_path / "words.mp4")))
    assert rows(workshop.settings.home, *TABLES) == dict.fromkeys(TABLES, 0)
    workshop.pipeline.scan(Posted.of(str(clips / "singer.mp4"), account="@one"))
    workshop.pipeline.scan(Posted.of(str(clips / "stranger.mp4")))
    watch_queue(workshop.metrics, workshop.store)
    told = generate_latest(workshop.metrics.registry).decode()
    for line in (
        'outcome="not_a_video"} 1.0',
        'outcome="flagged"} 1.0',
        'outcome="clear"} 1.0',
        "sosie_queue_open_cases 1.0",
        "sosie_sandbox_network_isolated ",
    ):
        assert line in told
    assert 'sosie_cases_opened_total{reason="deceased_no_capture"} 1.0' in told
    assert not any(word in told for word in (*SINGER.name.split(), "@one", "singer.mp4"))


def test_a_video_seen_before_is_judged_by_the_trust_lists_of_today(
    furnished: Path, clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio = Studio()
    signed = tmp_path / "signed.mp4"
    studio.sign(clips / "singer.mp4", signed, digital_source_type=CAPTURED, generator="Camera")
    with Workshop(settings.load()) as workshop:
        before = workshop.pipeline.scan(Posted.of(str(signed)))
    (tmp_path / "cameras.pem").write_bytes(studio.anchor_pem)
    monkeypatch.setenv("SOSIE_TRUST_ANCHORS", str(tmp_path / "cameras.pem"))
    with Workshop(settings.load()) as workshop:
        after = workshop.pipeline.scan(Posted.of(str(signed)))
    assert after.reused
    assert (before.provenance.state.value, after.provenance.state.value) == ("untrusted", "trusted")
    assert (before.flagged, after.flagged) == (True, False)


def test_threads_that_scan_the_same_bytes_at_once_make_one_case(workshop: Workshop, clips: Path) -> None:
    posts = [Posted.of(str(clips / "singer.mp4"), account=f"@{n}") for n in range(4)]
    pipeline = workshop.pipeline
    with ThreadPoolExecutor(len(posts)) as pool:
        results = list(pool.map(pipeline.scan, posts))
    assert len({result.findings[0].case_id for result in results}) == 1
    assert [result.findings[0].case_opened for result in results].count(True) == 1
    counted = {"videos": 1, "posts": 4, "cases": 1, "case_posts": 4, "assessments": 4}
    assert rows(workshop.settings.home, *TABLES) == counted


@pytest.mark.long  # its slice: the threads above
def test_two_processes_that_scan_the_same_file_at_once_make_one_case_with_two_posts(furnished: Path, clips: Path, tmp_path: Path) -> None:
    singer, missing = clips / "singer.mp4", tmp_path / "missing.mp4"
    one, two = script("scan", singer, "--json", "--account", "@one"), script("scan", singer, missing, "--json", "--account", "@two")
    ran = finished(one), finished(two)
    assert [each.status for each in ran] == [0, 2], ran
    assert [len(each.objects) for each in ran] == [1, 2]  # JSON lines, and nothing else on stdout
    assert all(each.objects[0]["assessment"]["flagged"] for each in ran)
    assert ran[1].objects[1]["error"]["code"] == "not_found"
    assert rows(furnished, *TABLES) == {"videos": 1, "posts": 2, "cases": 1, "case_posts": 2, "assessments": 2}
    assert sosie("index", "verify").status == 0


@pytest.mark.long  # its slice: tests/monitor/registry/test_gallery.py, where two galleries share a registry
def test_a_removal_in_another_process_shows_in_the_next_search_of_this_one(workshop: Workshop, clips: Path) -> None:
    posted = Posted.of(str(clips / "singer.mp4"))
    assert workshop.pipeline.scan(posted).findings
    assert finished(script("likeness", "remove", SINGER.name)).status == 0
    assert workshop.pipeline.scan(replace(posted, id="another")).findings == ()


@pytest.mark.long  # its slice: tests/monitor/cli/test_scan.py, where Ctrl+C ends one
def test_a_scan_that_was_killed_is_scanned_again_and_nothing_is_doubled(furnished: Path, clips: Path, long_video: Path) -> None:
    process = script("scan", clips / "singer.mp4", long_video, "--json")
    assert process.stdout
    assert "singer.mp4" in process.stdout.readline()
    workers = _decoding(psutil.Process(process.pid), long_video)
    process.kill()
    process.communicate()
    _gone, left = psutil.wait_procs(workers, timeout=30)
    assert left == [], "a worker outlived its parent"
    assert rows(furnished, *TABLES) == dict.fromkeys(TABLES, 1)

    again = sosie("scan", clips / "singer.mp4", clips / "athlete.mp4", "--json")
    assert again.status == 0
    assert rows(furnished, *TABLES) == {"videos": 2, "posts": 3, "cases": 1, "case_posts": 2, "assessments": 3}
    assert sosie("index", "verify").status == 0


def test_a_locked_database_is_a_transient_error_and_the_scan_can_be_repeated(workshop: Workshop, clips: Path) -> None:
    posted = Posted.of(str(clips / "singer.mp4"))
    pipeline = workshop.pipeline
    with _locked(workshop.settings.home), pytest.raises(DatabaseBusy) as busy:
        pipeline.scan(posted)
    text = str(busy.value)
    assert text.startswith(f"{workshop.settings.home / 'sosie.sqlite3'}: another process has locked it. Try again;")
    assert rows(workshop.settings.home, *TABLES) == dict.fromkeys(TABLES, 0)
    assert pipeline.scan(posted).flagged
    assert rows(workshop.settings.home, *TABLES) == dict.fromkeys(TABLES, 1)


def _locked(home: Path) -> closing[sqlite3.Connection]:
    connection = sqlite3.connect(home / "sosie.sqlite3", isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    return closing(connection)


def _decoding(parent: psutil.Process, video: Path) -> list[psutil.Process]:
    """The worker that has the video open, waited for."""
    while parent.is_running():
        for child in parent.children():
            try:
                if any(Path(file.path) == video for file in child.open_files()):
                    return [child]
            except psutil.Error:
                continue
    raise AssertionError("it ended before it was killed")


def test_a_shadow_that_fails_hurts_nobody(workshop: Workshop, clips: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shadow = parse(workshop.policy.text.replace("flag_at: 0.5", "flag_at: 0.9"), "shadow")
    in_force = InForce(workshop.policy, (shadow,))
    monkeypatch.setattr(Policies, "current", lambda self: in_force)

    def fails(facts: Facts, policy: Policy) -> Assessment:
        if policy.id == shadow.id:
            raise ZeroDivisionError
        return assess(facts, policy)

    monkeypatch.setattr("monitor.scan.deciding.assess", fails)
    result = workshop.pipeline.scan(Posted.of(str(clips / "singer.mp4")))
    assert result.flagged
    assert b"sosie_shadow_failures_total 1.0" in generate_latest(workshop.metrics.registry)
    with workshop.store.session(read_only=True) as session:
        assert shadows.comparisons(session) == {}


@pytest.mark.parametrize("kind", ["trust", "watermark", "probe"])
def test_what_is_in_force_and_damaged_is_waited_out_not_held_against_the_video(workshop: Workshop, clips: Path, kind: str) -> None:
    pipeline, home = workshop.pipeline, workshop.settings.home
    shelf = Shelf(workshop.store, kind, lambda _: None, lambda item: InForceUnreadable(item.name, "", ""))
    with shelf.changing(actor="ada") as change:
        change.put("a" * 12, b"whole", {"kind": "own"})
    damage(workshop.store, kind)
    with pytest.raises(InForceUnreadable, match=r"aaaa.*what the database holds is not what was put in force") as caught:
        pipeline.scan(Posted.of(str(clips / "singer.mp4")))
    assert isinstance(caught.value, SosieFault), "else it would become a dead letter"
    assert rows(home, "posts") == {"posts": 0}
    with shelf.changing(actor="ada") as change:
        change.end(*change.items())
    assert pipeline.scan(Posted.of(str(clips / "singer.mp4"))).flagged

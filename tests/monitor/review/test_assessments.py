"""What was concluded about a post: append-only, the latest stands, and what it superseded is kept as it was."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from monitor.base.database import Store
from monitor.review.assessments import (
    Assessment,
    Judged,
    Superseded,
    SupersededAssessment,
    Versions,
    assessments,
    latest_assessments,
    record_scan,
    superseded,
)
from tests.monitor.review.helpers import NOW, VERSIONS, add_assessment, add_post, add_video

LATER = NOW + timedelta(days=1)
SEEN = ({"code": "face_match", "weight": 2.0, "text": "seen"},)


@pytest.fixture(autouse=True)
def post(store: Store) -> None:
    with store.session() as session:
        add_video(session)
        add_post(session)


def assess(store: Store, **changes: Any) -> Assessment:
    with store.session() as session:
        return add_assessment(session, **changes)


def scanned(store: Store, *judged: Judged, now: datetime = LATER, versions: Versions = VERSIONS) -> tuple[Superseded, ...]:
    with store.session() as session:
        return record_scan(session, judged, post_id="p1", video_sha256="v1", versions=versions, now=now)


def held(store: Store, likeness: str | None = "l1") -> tuple[list[Assessment], list[SupersededAssessment]]:
    with store.session(read_only=True) as session:
        of = {"video_sha256": "v1", "likeness_id": likeness}
        return assessments(session, **of), superseded(session, **of)


def test_the_latest_stands_and_the_one_before_is_kept_as_it_was(store: Store) -> None:
    first = assess(store, flagged=False, facts={"z": 5.5})
    second = assess(store, risk=0.9, reasons=SEEN, matches=[{"ranges": [[0.0, 1.5]]}], now=LATER)
    [stands], [old] = held(store)
    assert (stands.id, stands.risk, stands.flagged, stands.reasons[0]["code"], stands.created_at) == (
        second.id,
        0.9,
        True,
        "face_match",
        LATER,
    )
    assert (old.id, old.risk, old.flagged, old.facts, old.created_at) == (first.id, 0.5, False, {"z": 5.5}, NOW)
    assert (old.superseded_by, old.superseded_at) == (second.id, LATER)


@pytest.mark.parametrize("change", [{"risk": 0.6}, {"reasons": SEEN}, {"facts": {"z": 7.0}}, {"versions": Versions("2", "i", "m", "t")}])
def test_the_same_again_is_one_and_anything_else_another(store: Store, change: dict[str, Any]) -> None:
    first = assess(store, facts={"z": 5.5}, matches=[{"spans": ((0.0, 1.5),)}])
    assert assess(store, facts={"z": 5.5}, matches=[{"spans": ((0.0, 1.5),)}], now=LATER).id == first.id, "tuples come back as lists"
    assert held(store)[1] == []
    assert assess(store, **{"facts": {"z": 5.5}, "matches": [{"spans": ((0.0, 1.5),)}], **change}).id != first.id
    assert [old.id for old in held(store)[1]] == [first.id]


def test_a_scan_that_finds_nobody_supersedes_what_was_found_and_one_that_finds_somebody_the_nobody(store: Store) -> None:
    flagged = assess(store, risk=0.9)
    [ceased] = scanned(store, Judged(None, 0.02, flagged=False))
    assert (ceased.earlier.id, ceased.by, ceased.flag_lost) == (flagged.id, None, True)
    [nobody], _ = held(store, None)
    assert held(store)[0] == []
    assert [old.superseded_by for old in held(store)[1]] == [nobody.id]
    assert scanned(store, Judged(None, 0.02, flagged=False)) == (), "again, nothing is to be done"
    [back] = scanned(store, Judged("l1", 0.9, flagged=True), now=LATER + timedelta(days=1))
    assert (back.earlier.id, back.flag_lost) == (nobody.id, False)
    assert len(held(store)[0]) == 1
    assert held(store, None)[0] == []


def test_of_two_likenesses_the_one_that_is_found_again_stands(store: Store) -> None:
    assess(store, likeness="l1", risk=0.9)
    kept = assess(store, likeness="l2", risk=0.9)
    [ceased] = scanned(store, Judged("l2", 0.9, flagged=True))
    assert (ceased.earlier.likeness_id, ceased.by, ceased.earlier.superseded_by) == ("l1", None, kept.id)


@pytest.mark.parametrize(
    ("before", "after", "lost"), [(True, False, True), (True, True, False), (False, False, False), (False, True, False)]
)
def test_a_flag_is_lost_where_there_was_one_and_is_none(store: Store, before: bool, after: bool, lost: bool) -> None:
    assess(store, risk=0.3, flagged=before)
    [ceased] = scanned(store, Judged("l1", 0.4, flagged=after))
    assert ceased.flag_lost is lost


def test_readers_get_what_stands_unless_they_want_history(store: Store) -> None:
    first = assess(store)
    second = assess(store, risk=0.9, now=LATER)
    with store.session(read_only=True) as session:
        assert [each.id for each in latest_assessments(session, limit=10)] == [second.id]
        assert [each.id for each in latest_assessments(session, limit=10, history=True)] == [second.id, first.id]
        assert [each.id for each in latest_assessments(session, posts=["p1"], limit=1, history=True)] == [second.id]
        assert latest_assessments(session, posts=["other"], limit=10, history=True) == []

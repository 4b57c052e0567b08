"""Recording videos, posts and assessments: everything may be repeated."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from monitor.base.database import Store
from monitor.base.errors import NotFound, RequestRefused
from monitor.review import videos

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(days=1)
SHA = "a" * 64

VERSIONS = {"policy_version": "1", "index_version": "i", "model_version": "m", "trust_version": "t"}


def record_video(store: Store, **changes: Any) -> videos.Video:
    values = {"sha256": SHA, "size_bytes": 3_000_000_000, "duration_s": 4.5, "truncated_at_s": None, "provenance": {"state": "absent"}}
    with store.session() as session:
        return videos.record_video(session, **{**values, "now": NOW, **changes})


def record_post(store: Store, **changes: Any) -> tuple[videos.Post, bool]:
    with store.session() as session:
        return videos.record_post(session, **{"id": "p1", "video_sha256": SHA, "source": "file", "now": NOW, **changes})


def record_assessment(store: Store, **changes: Any) -> videos.Assessment:
    values = {"post_id": "p1", "video_sha256": SHA, "likeness_id": "l1", "risk": 0.5, "flagged": False, "reasons": [], "matches": []}
    with store.session() as session:
        return videos.record_assessment(session, **{**values, **VERSIONS, "now": NOW, **changes})


def test_a_video_seen_again_keeps_its_first_sight_and_takes_the_newer_provenance(store: Store) -> None:
    record_video(store)
    record_video(store, provenance={"state": "trusted"}, truncated_at_s=3.0, now=LATER)
    with store.session(read_only=True) as session:
        video = videos.get_video(session, SHA)
    assert (video.size_bytes, video.first_seen_at) == (3_000_000_000, NOW)
    assert (video.provenance, video.truncated_at_s) == ({"state": "trusted"}, 3.0)


def test_a_post_recorded_again_is_left_as_it_was(store: Store) -> None:
    record_video(store)
    assert record_post(store, account="@a", views=7)[1]
    post, created = record_post(store, account="@b", views=9, now=LATER)
    assert (created, post.account, post.views, post.received_at) == (False, "@a", 7, NOW)


def test_one_identity_never_stands_for_two_uploads(store: Store) -> None:
    record_video(store)
    record_video(store, sha256="b" * 64)
    record_post(store)
    with pytest.raises(RequestRefused, match="known with other bytes"):
        record_post(store, video_sha256="b" * 64)


def test_the_latest_assessment_of_a_post_and_likeness_stands(store: Store) -> None:
    record_video(store)
    record_post(store)
    first = record_assessment(store)
    second = record_assessment(store, risk=0.9, flagged=True, reasons=[{"code": "face_match", "weight": 2.0, "text": "seen"}], now=LATER)
    record_assessment(store, likeness_id=None, risk=0.1)
    record_assessment(store, likeness_id=None, risk=0.2)
    with store.session(read_only=True) as session:
        [stored] = videos.assessments(session, video_sha256=SHA, likeness_id="l1")
        [nobody] = videos.assessments(session, video_sha256=SHA, likeness_id=None)
    assert first.id == second.id == stored.id
    assert (stored.risk, stored.flagged, stored.reasons[0]["code"], stored.created_at) == (0.9, True, "face_match", LATER)
    assert nobody.risk == 0.2


def test_a_video_never_scanned_is_not_found(store: Store) -> None:
    with store.session(read_only=True) as session, pytest.raises(NotFound, match="never been scanned"):
        videos.get_video(session, SHA)

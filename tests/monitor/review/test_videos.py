"""Recording videos and posts: everything may be repeated."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from monitor.base.database import Store
from monitor.base.errors import NotFound, RequestRefused
from monitor.review import videos
from monitor.review.videos import Posted
from tests.monitor.review.helpers import add_video

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(days=1)
SHA = "a" * 64


def record_video(store: Store, **changes: Any) -> videos.Video:
    values = {"size_bytes": 3_000_000_000, "duration_s": 4.5, "provenance": {"state": "absent"}}
    with store.session() as session:
        return add_video(session, SHA, **{**values, **changes})


def record_post(store: Store, *, video: str = SHA, now: datetime = NOW, **known: Any) -> tuple[videos.Post, bool]:
    with store.session() as session:
        return videos.record_post(session, Posted("file", "p1", **known), video_sha256=video, now=now)


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
    with store.session() as session:
        add_video(session, "b" * 64)
    record_post(store)
    with pytest.raises(RequestRefused, match="known with other bytes"):
        record_post(store, video="b" * 64)


def test_a_video_never_scanned_is_not_found(store: Store) -> None:
    with store.session(read_only=True) as session, pytest.raises(NotFound, match="never been scanned"):
        videos.get_video(session, SHA)

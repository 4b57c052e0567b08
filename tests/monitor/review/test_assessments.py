"""What was concluded about a post: the latest stands."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from monitor.base.database import Store
from monitor.review.assessments import Assessment, assessments
from tests.monitor.review.helpers import NOW, add_assessment, add_post, add_video

LATER = NOW + timedelta(days=1)


@pytest.fixture(autouse=True)
def post(store: Store) -> None:
    with store.session() as session:
        add_video(session)
        add_post(session)


def assess(store: Store, **changes: Any) -> Assessment:
    with store.session() as session:
        return add_assessment(session, **changes)


def test_the_latest_assessment_of_a_post_and_likeness_stands(store: Store) -> None:
    first = assess(store, flagged=False)
    second = assess(store, risk=0.9, reasons=[{"code": "face_match", "weight": 2.0, "text": "seen"}], now=LATER)
    assess(store, likeness=None, risk=0.1)
    assess(store, likeness=None, risk=0.2)
    with store.session(read_only=True) as session:
        [stored] = assessments(session, video_sha256="v1", likeness_id="l1")
        [nobody] = assessments(session, video_sha256="v1", likeness_id=None)
    assert first.id == second.id == stored.id
    assert (stored.risk, stored.flagged, stored.reasons[0]["code"], stored.created_at) == (0.9, True, "face_match", LATER)
    assert nobody.risk == 0.2

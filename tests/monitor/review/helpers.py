"""Cases made through the same door as the pipeline's, and threads that start together."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

from sqlalchemy.orm import Session

from monitor.base.database import Store
from monitor.decision.policy import AFTER_VERDICT
from monitor.review import videos
from monitor.review.assessments import Assessment, Judged, Versions, replace_assessment
from monitor.review.cases import Case, Moment
from monitor.review.joining import Found, Joined, Place, open_or_join
from monitor.review.uses import Reopens
from monitor.review.videos import Post, Posted, SeenVideo, Video

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MOMENT = Moment(time_s=1.25, score=0.75, reference_id="r1", still="stills/1.jpg")
VERSIONS = Versions(policy="1", index="i", model="m", trust="t")
ANYWHERE = Place()

Result = TypeVar("Result")


def add_video(session: Session, sha256: str = "v1", *, now: datetime = NOW, **known: Any) -> Video:
    values = {"size_bytes": 1, "duration_s": 1.0, "truncated_at_s": None, "provenance": {}}
    return videos.record_video(session, SeenVideo(sha256=sha256, **{**values, **known}), now=now)


def add_post(session: Session, id: str = "p1", video: str = "v1", *, now: datetime = NOW, source: str = "a.mp4", **known: Any) -> Post:
    return videos.record_post(session, Posted(source, id, **known), video_sha256=video, now=now)[0]


def add_assessment(
    session: Session,
    post: str = "p1",
    video: str = "v1",
    *,
    likeness: str | None = "l1",
    risk: float = 0.5,
    flagged: bool = True,
    versions: Versions = VERSIONS,
    now: datetime = NOW,
    **known: Any,
) -> Assessment:
    judged = Judged(likeness, risk, flagged, **known)
    return replace_assessment(session, judged, post_id=post, video_sha256=video, versions=versions, now=now)[0]


def meet_case(
    session: Session,
    post: str = "p1",
    video: str = "v1",
    *,
    likeness: str = "l1",
    risk: float = 0.9,
    place: Place = ANYWHERE,
    reopens: Reopens = AFTER_VERDICT,
    now: datetime = NOW,
    **known: Any,
) -> Joined:
    values = {"reasons": (), "moments": (), "versions": {}}
    return open_or_join(session, Found(post, likeness, video, risk, **{**values, **known}), place=place, reopens=reopens, now=now)


def put_on_case(session: Session, post: str = "p1", video: str = "v1", **known: Any) -> tuple[Case, bool]:
    joined = meet_case(session, post, video, **known)
    return joined.case, joined.opened


def arrive(
    store: Store,
    *,
    likeness: str = "l1",
    video: str = "v1",
    post: str = "p1",
    risk: float = 0.5,
    now: datetime = NOW,
    place: Place = ANYWHERE,
    facts: dict[str, Any] | None = None,
    reopens: Reopens = AFTER_VERDICT,
    **of_post: Any,
) -> Joined:
    """What one post of a video with one match leaves behind, in one transaction."""
    reasons = [{"code": "face_match", "weight": risk, "text": f"seen by {post}"}]
    with store.session() as session:
        add_video(session, video, now=now)
        add_post(session, post, video, now=now, source=post, **of_post)
        add_assessment(session, post, video, likeness=likeness, risk=risk, reasons=reasons, facts=facts, now=now)
        shown = {"reasons": reasons, "moments": [MOMENT], "versions": {"policy": "1"}}
        return meet_case(session, post, video, likeness=likeness, risk=risk, place=place, reopens=reopens, now=now, **shown)


def scan(store: Store, **known: Any) -> tuple[Case, bool]:
    """The case of `arrive`, and whether it was opened."""
    joined = arrive(store, **known)
    return joined.case, joined.opened


def together(tasks: list[Callable[[], Result]]) -> list[Result]:
    """The results of all tasks, each run in a thread of its own, released at the same moment; the first failure is raised."""
    start = threading.Barrier(len(tasks))
    results: list[Result] = []
    failures: list[BaseException] = []

    def run(task: Callable[[], Result]) -> None:
        start.wait()
        try:
            results.append(task())
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    threads = [threading.Thread(target=run, args=(task,)) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return results

"""Cases made through the same door as the pipeline's, and threads that start together."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

from monitor.base.database import Store
from monitor.review import videos
from monitor.review.cases import Case, Moment, open_or_join

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MOMENT = Moment(time_s=1.25, score=0.75, reference_id="r1", still="stills/1.jpg")

Result = TypeVar("Result")


def scan(
    store: Store,
    *,
    likeness: str = "l1",
    video: str = "v1",
    post: str = "p1",
    risk: float = 0.5,
    now: datetime = NOW,
    route: tuple[str, int, datetime | None] = ("main", 5, None),
    **of_post: Any,
) -> tuple[Case, bool]:
    """What one post of a video with one match leaves behind, in one transaction."""
    with store.session() as session:
        videos.record_video(session, sha256=video, size_bytes=1, duration_s=1.0, truncated_at_s=None, provenance={}, now=now)
        videos.record_post(session, id=post, video_sha256=video, source=post, now=now, **of_post)
        return open_or_join(
            session,
            likeness_id=likeness,
            video_sha256=video,
            post_id=post,
            risk=risk,
            reasons=[{"code": "face_match", "weight": risk, "text": f"seen by {post}"}],
            moments=[MOMENT],
            versions={"policy": "1"},
            now=now,
            queue=route[0],
            priority=route[1],
            due_at=route[2],
        )


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

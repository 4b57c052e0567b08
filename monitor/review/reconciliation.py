"""Questions to the database for `sosie reconcile`: which posts have a result, and whether anything exists twice. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from monitor.review.assessments import Assessment
from monitor.review.cases import Case
from monitor.review.outbox import CaseEvent
from monitor.review.videos import Post

_BATCH = 500


def recorded(session: Session, post_ids: Iterable[str]) -> set[str]:
    """The ids of those posts that have a result. One transaction records all of a post, so an assessment stands for all of it."""
    found: set[str] = set()
    ids = iter(post_ids)
    while batch := list(islice(ids, _BATCH)):
        found |= set(session.scalars(select(Post.id).join(Assessment, Assessment.post_id == Post.id).where(Post.id.in_(batch))))
    return found


def doubled(session: Session) -> list[str]:
    """A sentence for each thing that exists twice where there may be one.

    Constraints forbid the first two; the third is our own promise.
    """
    post = CaseEvent.detail["post_id"].as_string()
    joining = CaseEvent.change.in_(("opened", "joined"))
    found = _twice(session, "assessments of post and likeness", (Assessment.post_id, Assessment.likeness_id))
    found += _twice(session, "cases of likeness and video", (Case.likeness_id, Case.video_sha256))
    found += _twice(session, "case events of case and post", (CaseEvent.case_id, post), joining)
    return found


def _twice(
    session: Session, what: str, key: Sequence[InstrumentedAttribute[str] | ColumnElement[str]], *where: ColumnElement[bool]
) -> list[str]:
    query = select(*key, func.count()).where(*where).group_by(*key).having(func.count() > 1)
    return [f"{row[-1]} {what} {', '.join(map(str, row[:-1]))}" for row in session.execute(query)]

"""A post meets its case: the post opens or joins the case, is covered by the verdict, or takes the case back to the queue.

What a verdict still says about a later post of the same bytes follows from one table of the policy: for each verdict, the differences from
the posts it was given on that reopen the case. Anything else is covered: the case stays decided, and the post's event carries the verdict.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import select
from sqlalchemy.orm import Session

from monitor.base.database import insert_if_absent, locked
from monitor.review import outbox
from monitor.review.assessments import Superseded
from monitor.review.cases import Case, CasePost, CaseState, Moment, record
from monitor.review.uses import Reopens, unlike, use_of
from monitor.review.verdicts import Comeback, GivenVerdict, put_back, standing_verdict, uses_seen
from monitor.review.vocabulary import Difference


@dataclass(frozen=True, slots=True)
class Found:
    """A likeness found in a video, by one flagged post: what a case is opened with. `reasons` are JSON values."""

    post_id: str
    likeness_id: str
    video_sha256: str
    risk: float
    reasons: Sequence[Mapping[str, Any]]
    moments: Sequence[Moment]
    versions: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a case stands: the queue's name, its priority (1 comes first), and when it should be decided."""

    queue: str = "main"
    priority: int = 5
    due_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Joined:
    """The case a post went to. `covered_by` is the verdict that says what the post is; `reopened` wherein the post is unlike what the
    verdict before was given on."""

    case: Case
    opened: bool
    covered_by: GivenVerdict | None = None
    reopened: tuple[Difference, ...] = ()


def open_or_join(session: Session, found: Found, *, place: Place, reopens: Reopens, now: datetime, actor: str = "scan") -> Joined:
    """Put a recorded and assessed post on the case of (likeness, video), opening the case if there is none.

    Idempotent, and safe when two do it at once, or one while a reviewer decides: one case, all posts, and each post is either among those
    the verdict was given on or held against them. The riskiest post's reasons and evidence stand. An open case stays as urgent as the
    most urgent route it was ever given; one that is reopened stands where the post that reopened it belongs.
    """
    shown = {
        "risk": found.risk,
        "reasons": [dict(reason) for reason in found.reasons],
        "evidence": [asdict(moment) for moment in found.moments],
        "versions": dict(found.versions),
    }
    key = {"likeness_id": found.likeness_id, "video_sha256": found.video_sha256}
    opened = insert_if_absent(
        session,
        Case,
        id=uuid4().hex,
        state=CaseState.OPEN,
        verdict=None,
        opened_at=now,
        updated_at=now,
        lease_owner=None,
        lease_token=0,
        lease_expires_at=None,
        events=0,
        reopened_at=None,
        **key,
        **shown,
        **asdict(place),
    )
    case = locked(session, select(Case).filter_by(**key)).one()
    if found.risk > case.risk:
        case.updated_at = now
        for name, value in shown.items():
            setattr(case, name, value)
    known = session.get(CasePost, (case.id, found.post_id)) is not None
    given = standing_verdict(session, case)
    differs = _reopening(session, case, given, found.post_id, reopens)
    if differs:
        case.queue, case.priority, case.due_at = place.queue, place.priority, place.due_at
        put_back(session, case, Comeback("reassessed" if known else "post", actor, post_id=found.post_id, differs=differs), now=now)
        given = None
    elif place.priority < case.priority:
        case.queue, case.priority = place.queue, place.priority
        case.due_at = min((due for due in (case.due_at, place.due_at) if due is not None), default=None)
    if not known:
        _join(session, case, found, opened=opened, actor=actor, now=now)
    session.flush()
    return Joined(case, opened, given, differs)


def _reopening(session: Session, case: Case, given: GivenVerdict | None, post_id: str, reopens: Reopens) -> tuple[Difference, ...]:
    """Wherein the post is unlike what the verdict was given on, as far as that verdict minds. Empty: it is covered, or nothing decided."""
    if case.verdict is None:
        return ()
    table = {str(verdict): minded for verdict, minded in reopens.items()}
    minded = table.get(case.verdict, tuple(Difference))  # a later release's verdict: rather look once too often
    return unlike(use_of(session, case, post_id), uses_seen(session, case, given).values(), minded)


def _join(session: Session, case: Case, found: Found, *, opened: bool, actor: str, now: datetime) -> None:
    session.add(CasePost(case_id=case.id, post_id=found.post_id, event=case.events + 1))
    case.updated_at = now
    detail: dict[str, Any] = {"post": found.post_id, "risk": found.risk}
    if case.verdict is not None:
        detail["verdict"] = case.verdict
    change = "opened" if opened else "joined"
    record(session, case, f"case.{change}", actor=actor, now=now, detail=detail)
    outbox.append(session, case, "opened" if opened else "joined", post_id=found.post_id, now=now)


def note_flags_lost(session: Session, ceased: Iterable[Superseded], *, now: datetime, actor: str = "scan") -> None:
    """Say in the trail of each case that one of its posts is not flagged any more, or its likeness not found. The case stays as it is."""
    for each in ceased:
        if not each.flag_lost:
            continue
        of_case = {"likeness_id": each.earlier.likeness_id, "video_sha256": each.earlier.video_sha256}
        query = select(Case).join(CasePost).where(CasePost.post_id == each.earlier.post_id).filter_by(**of_case)
        if (case := session.scalars(query).one_or_none()) is not None:
            detail = {"post": each.earlier.post_id, "risk": None if each.by is None else each.by.risk}
            record(session, case, "case.flag_lost", actor=actor, now=now, detail=detail)

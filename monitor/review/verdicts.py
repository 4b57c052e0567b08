"""Verdicts: what reviewers found. A verdict is never altered; a reversal is a reopened case and another verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import JSON, BigInteger, ForeignKey, UniqueConstraint, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from monitor.base.audit import RowNumber
from monitor.base.database import Base
from monitor.base.errors import RequestRefused
from monitor.review import outbox
from monitor.review.cases import Case, CaseState, lock_case, record
from monitor.review.queue import end_lease, require_lease
from monitor.review.uses import PostUse, unlike, uses
from monitor.review.vocabulary import Difference, Verdict, clauses

__all__ = [
    "Comeback",
    "GivenVerdict",
    "Verdict",
    "decide",
    "held_recorded",
    "put_back",
    "reopen",
    "standing_verdict",
    "uses_seen",
    "verdicts",
]


class GivenVerdict(Base):
    """One verdict on one case; the latest is the one that stands. At most one per claim.

    `uses` are those of the posts it was given on (`monitor.review.uses.PostUse`); None: of an earlier release.
    """

    __tablename__ = "verdicts"
    __table_args__ = (UniqueConstraint("case_id", "lease_token"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(RowNumber, primary_key=True)
    case_id: Mapped[str] = mapped_column(ForeignKey("cases.id"))
    reviewer: Mapped[str]
    verdict: Mapped[str]
    reason: Mapped[str]
    lease_token: Mapped[int] = mapped_column(BigInteger)
    decided_at: Mapped[datetime]
    uses: Mapped[list[dict[str, Any]] | None] = mapped_column(JSON(none_as_null=True))


def decide(
    session: Session, case_id: str, *, reviewer: str, token: int, verdict: str, reason: str, now: datetime, seen: int | None = None
) -> GivenVerdict:
    """Give a verdict under a live claim; the case leaves the queue and the claim ends.

    `seen` is the case's `events` as the reviewer read it: the verdict is given on the posts that had joined by then; None: on all.
    The same submission again (claim, verdict and reason) returns the first, so a lost answer may be retried.
    Raises `RequestRefused` for an unknown verdict, an empty reason, and a verdict about the use while a post has joined, unseen, that uses
    the likeness differently; `LeaseLost` for a claim that is over; `NotFound`.
    """
    try:
        found = Verdict(verdict)
    except ValueError:
        raise RequestRefused(f"The verdict {verdict!r}", "is not one of the vocabulary", f"Use one of: {', '.join(Verdict)}") from None
    reason = _required(reason, what="The verdict")
    case = lock_case(session, case_id)
    given = session.scalars(select(GivenVerdict).filter_by(case_id=case_id, lease_token=token)).one_or_none()
    if given is not None and (given.reviewer, given.verdict, given.reason) == (reviewer, found, reason):
        return given
    require_lease(case, reviewer=reviewer, token=token, now=now)
    known = uses(session, case, up_to=seen)
    if found.is_about_use:
        _refuse_unseen(session, case, known)

    stored = [use.to_json() for use in known.values()]
    given = GivenVerdict(case_id=case_id, reviewer=reviewer, verdict=found, reason=reason, lease_token=token, decided_at=now, uses=stored)
    session.add(given)
    case.state = CaseState.DECIDED
    case.verdict = found
    case.updated_at = now
    end_lease(case)
    record(session, case, "case.decided", actor=reviewer, now=now, detail={"verdict": found, "reason": reason, "token": token})
    outbox.append(session, case, "decided", now=now)
    return given


def _refuse_unseen(session: Session, case: Case, known: Mapping[str, PostUse]) -> None:
    """Refuse a verdict about the use if a post that nobody looked at has another use. Raises `RequestRefused`."""
    for post_id, use in uses(session, case).items():
        if post_id not in known and (differs := unlike(use, known.values(), Difference)):
            raise RequestRefused(
                f"Case {case.id}",
                f"another post joined it while you looked: {clauses(differs)}",
                "Look at it, and record your verdict again",
            )


def reopen(session: Session, case_id: str, *, reviewer: str, reason: str, now: datetime) -> Case:
    """Put a decided case back in the queue. Its verdicts stay on record; it is due anew, in as much time as it had.

    Raises `RequestRefused` for a case that is open or an empty reason, `NotFound`.
    """
    reason = _required(reason, what="Reopening")
    case = lock_case(session, case_id)
    if case.state == CaseState.OPEN:
        raise RequestRefused(f"Case {case_id}", "is open already", "Give its verdict in the console")
    if case.due_at is not None:
        case.due_at = now + max(case.due_at - case.waiting_since, timedelta(0))
    put_back(session, case, Comeback("reviewer", reviewer, reason=reason), now=now)
    return case


@dataclass(frozen=True, slots=True)
class Comeback:
    """Why a decided case returns to the queue.

    `cause` is "reviewer" (somebody reopened it, for the `reason`), "post" (another post joined it) or "reassessed" (one of its posts was
    assessed anew); of the last two, `post_id` names the post and `differs` wherein it is unlike what the verdict was given on.
    """

    cause: Literal["reviewer", "post", "reassessed"]
    actor: str
    reason: str | None = None
    post_id: str | None = None
    differs: tuple[Difference, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The comeback as the trail keeps it, without what is not said."""
        said = {"cause": self.cause, "reason": self.reason, "post": self.post_id, "differs": [str(each) for each in self.differs]}
        return {name: value for name, value in said.items() if value}


def put_back(session: Session, case: Case, why: Comeback, *, now: datetime) -> None:
    """Take the locked, decided case back to the queue, and say so in the trail and the events. The caller says where it stands there."""
    earlier = case.verdict
    record(session, case, "case.reopened", actor=why.actor, now=now, detail={"verdict": earlier} | why.to_json())
    case.state = CaseState.OPEN
    case.verdict = None
    case.reopened_at = case.updated_at = now
    told: dict[str, Any] = {"cause": why.cause, "earlier_verdict": earlier}
    if why.differs:
        told["differs"] = [str(each) for each in why.differs]
    outbox.append(session, case, "reopened", now=now, post_id=why.post_id, told=told)


def standing_verdict(session: Session, case: Case) -> GivenVerdict | None:
    """The verdict by which the case is decided; None while it is open."""
    if case.state != CaseState.DECIDED:
        return None
    return next(iter(verdicts(session, case.id)), None)


def uses_seen(session: Session, case: Case, given: GivenVerdict | None) -> dict[str, PostUse]:
    """The uses that a verdict was given on, by post id. A verdict of an earlier release names none: then those of the posts received before
    it."""
    if given is None:
        return {}
    if given.uses is None:
        return uses(session, case, at=given.decided_at)
    return {use.post: use for use in map(PostUse.from_json, given.uses)}


def verdicts(session: Session, case_id: str) -> list[GivenVerdict]:
    """Every verdict ever given on the case, newest first."""
    return list(session.scalars(select(GivenVerdict).filter_by(case_id=case_id).order_by(GivenVerdict.id.desc())))


def held_recorded(session: Session, *, likeness_id: str, video_sha256: str) -> str | None:
    """Who holds that a camera recorded this person in these bytes, in words: the verdict that stands is archive footage or authentic."""
    query = select(Case.verdict).filter_by(likeness_id=likeness_id, video_sha256=video_sha256)
    found = session.scalars(query.where(Case.verdict.in_((Verdict.ARCHIVE, Verdict.AUTHENTIC)))).one_or_none()
    return None if found is None else f"a reviewer's verdict on this video is {Verdict(found).label.lower()}"


def _required(reason: str, *, what: str) -> str:
    if not (stripped := reason.strip()):
        raise RequestRefused(what, "needs a reason", "Say in a sentence what you saw")
    return stripped

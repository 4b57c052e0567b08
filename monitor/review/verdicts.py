"""Verdicts: what reviewers found. A verdict is never altered; a reversal is a reopened case and another verdict."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import BigInteger, ForeignKey, UniqueConstraint, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from monitor.base.audit import RowNumber
from monitor.base.database import Base
from monitor.base.errors import RequestRefused
from monitor.review import outbox
from monitor.review.cases import Case, CaseState, lock_case, record
from monitor.review.queue import end_lease, require_lease


class Verdict(StrEnum):
    """The reviewer's finding; `label` is how a page says it."""

    DEEPFAKE = "deepfake"
    MANIPULATED = "manipulated"
    OTHER_AI = "other_ai"
    AUTHENTIC = "authentic"
    ARCHIVE = "archive"
    LICENSED = "licensed"
    PARODY = "parody"
    NEWS = "news"
    NOT_THIS_PERSON = "not_this_person"
    INCONCLUSIVE = "inconclusive"

    @property
    def label(self) -> str:
        return _LABELS[self]


_LABELS = {
    Verdict.DEEPFAKE: "Deepfake",
    Verdict.MANIPULATED: "Manipulated",
    Verdict.OTHER_AI: "Other AI content",
    Verdict.AUTHENTIC: "Authentic",
    Verdict.ARCHIVE: "Archive footage",
    Verdict.LICENSED: "Licensed",
    Verdict.PARODY: "Parody or satire",
    Verdict.NEWS: "News",
    Verdict.NOT_THIS_PERSON: "Not this person",
    Verdict.INCONCLUSIVE: "Inconclusive",
}


class GivenVerdict(Base):
    """One verdict on one case; the latest is the one that stands. At most one per claim."""

    __tablename__ = "verdicts"
    __table_args__ = (UniqueConstraint("case_id", "lease_token"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(RowNumber, primary_key=True)
    case_id: Mapped[str] = mapped_column(ForeignKey("cases.id"))
    reviewer: Mapped[str]
    verdict: Mapped[str]
    reason: Mapped[str]
    lease_token: Mapped[int] = mapped_column(BigInteger)
    decided_at: Mapped[datetime]


def decide(session: Session, case_id: str, *, reviewer: str, token: int, verdict: str, reason: str, now: datetime) -> GivenVerdict:
    """Give a verdict under a live claim; the case leaves the queue and the claim ends.

    The same submission again (claim, verdict and reason) returns the first, so a lost answer may be retried.
    Raises `RequestRefused` for an unknown verdict or an empty reason, `LeaseLost` for a claim that is over, `NotFound`.
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

    given = GivenVerdict(case_id=case_id, reviewer=reviewer, verdict=found, reason=reason, lease_token=token, decided_at=now)
    session.add(given)
    case.state = CaseState.DECIDED
    case.verdict = found
    case.updated_at = now
    end_lease(case)
    record(session, case, "case.decided", actor=reviewer, now=now, detail={"verdict": found, "reason": reason, "token": token})
    outbox.append(session, case, "decided", now=now)
    return given


def reopen(session: Session, case_id: str, *, reviewer: str, reason: str, now: datetime) -> Case:
    """Put a decided case back in the queue. Its verdicts stay on record.

    Raises `RequestRefused` for a case that is open or an empty reason, `NotFound`.
    """
    reason = _required(reason, what="Reopening")
    case = lock_case(session, case_id)
    if case.state == CaseState.OPEN:
        raise RequestRefused(f"Case {case_id}", "is open already", "Claim it")
    record(session, case, "case.reopened", actor=reviewer, now=now, detail={"verdict": case.verdict, "reason": reason})
    case.state = CaseState.OPEN
    case.verdict = None
    case.updated_at = now
    outbox.append(session, case, "reopened", now=now)
    return case


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

"""Cases: one likeness in one video, however many posts carry it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, UniqueConstraint, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from monitor.base import audit
from monitor.base.database import Base, locked
from monitor.base.errors import NotFound
from monitor.review.videos import Post


class CaseState(StrEnum):
    OPEN = "open"
    DECIDED = "decided"


@dataclass(frozen=True, slots=True)
class Moment:
    """One matched frame: its time, its score, the reference it resembles, its still (a file name under the home), and the
    face's box x0, y0, x1, y1 in fractions of the picture."""

    time_s: float
    score: float
    reference_id: str | None
    still: str | None
    box: tuple[float, float, float, float] | None = None


class Case(Base):
    """A case as a reviewer sees it. `reasons`, `evidence` and `versions` are those of the riskiest post.

    `lease_token` counts the claims ever made on this case and only grows; owner and expiry are those of the last one.
    `events` counts what the outbox ever said of it. `queue`, `priority` (1 comes first) and `due_at` are the policy's
    route; cases of release 0.1 are due at no time. `reopened_at` is when the case last came back to the queue.
    """

    __tablename__ = "cases"
    __table_args__ = (
        UniqueConstraint("likeness_id", "video_sha256"),
        Index("ix_cases_queue", "state", "priority", "risk", "opened_at", "id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    likeness_id: Mapped[str]  # the registry's; no foreign key: a case outlives the erasure of its likeness
    video_sha256: Mapped[str] = mapped_column(ForeignKey("videos.sha256"))
    state: Mapped[str]
    verdict: Mapped[str | None]
    risk: Mapped[float]
    reasons: Mapped[list[dict[str, Any]]]
    evidence: Mapped[list[dict[str, Any]]]
    versions: Mapped[dict[str, Any]] = mapped_column(JSON)
    opened_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    queue: Mapped[str] = mapped_column(server_default=text("'main'"), default="main")
    priority: Mapped[int] = mapped_column(server_default=text("5"), default=5)
    due_at: Mapped[datetime | None]
    lease_owner: Mapped[str | None]
    lease_token: Mapped[int] = mapped_column(BigInteger)
    lease_expires_at: Mapped[datetime | None]
    events: Mapped[int] = mapped_column(BigInteger, server_default=text("0"), default=0)
    reopened_at: Mapped[datetime | None]

    @property
    def moments(self) -> tuple[Moment, ...]:
        return tuple(Moment(**moment) for moment in self.evidence)

    @property
    def waiting_since(self) -> datetime:
        """When the case was put in the queue, the last time."""
        return self.reopened_at or self.opened_at

    def claimed(self, now: datetime) -> bool:
        """Whether somebody holds a live claim on the case. A claim ends at its expiry, not after it."""
        return self.lease_expires_at is not None and now < self.lease_expires_at


class CasePost(Base):
    """A post that carries the case's video. `event` is that of the case by which it joined; None: put there by an earlier release."""

    __tablename__ = "case_posts"
    __table_args__ = (Index(None, "post_id"),)

    case_id: Mapped[str] = mapped_column(ForeignKey("cases.id"), primary_key=True)
    post_id: Mapped[str] = mapped_column(ForeignKey("posts.id"), primary_key=True)
    event: Mapped[int | None] = mapped_column(BigInteger)


def get_case(session: Session, case_id: str) -> Case:
    """The case of an id. Raises `NotFound`."""
    if (case := session.get(Case, case_id)) is None:
        raise _no_case(case_id)
    return case


def lock_case(session: Session, case_id: str) -> Case:
    """The case as it is now, locked for whoever changes the case. Raises `NotFound`."""
    if (case := locked(session, select(Case).filter_by(id=case_id)).one_or_none()) is None:
        raise _no_case(case_id)
    return case


def posts(session: Session, case_id: str) -> list[Post]:
    """The posts that carry the case's video, in the order they were received."""
    query = select(Post).join(CasePost, CasePost.post_id == Post.id).where(CasePost.case_id == case_id)
    return list(session.scalars(query.order_by(Post.received_at, Post.id)))


def record(session: Session, case: Case, action: str, *, actor: str, now: datetime, detail: Mapping[str, Any] | None = None) -> None:
    """Audit a change of the case."""
    audit.record(session, now=now, actor=actor, action=action, subject_type="case", subject_id=case.id, detail=detail)


def _no_case(case_id: str) -> NotFound:
    return NotFound(f"Case {case_id}", "does not exist", "The console's queue and `sosie case list --state all` show the cases there are")

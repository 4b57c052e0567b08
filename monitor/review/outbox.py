"""The outbox: what happened to cases, for other systems, written in the transaction of the change itself.

So a change and its event exist together or not at all; a relay (`streams.relay`) publishes the rows afterwards.

- Within a case, ids and `sequence` grow in the order of the commits, because every change holds the case's row lock when it
  appends. Across cases they do not: a transaction may draw a lower id and commit later. Whoever reads the outbox therefore asks
  for all rows that are not published, and never for "ids above the last".
- The counter stands on the case, so that sequences go on where published rows were pruned.
- Without Kafka the rows wait. They are small (one for each change of a case, as in the audit), and a broker that is configured
  later is told the whole history.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, Protocol

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, UniqueConstraint, delete, func, select, text, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from monitor.base.audit import RowNumber
from monitor.base.database import Base

Change = Literal["opened", "joined", "decided", "reopened"]


class ChangedCase(Protocol):
    """The part of a case that is told (`monitor.review.cases.Case`). `events` counts what was told of the case so far."""

    events: int

    @property
    def id(self) -> str: ...
    @property
    def likeness_id(self) -> str: ...
    @property
    def video_sha256(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def risk(self) -> float: ...
    @property
    def verdict(self) -> str | None: ...


class CaseEvent(Base):
    """One thing that happened to a case. `detail` holds the facts after it: ids and numbers, never a name."""

    __tablename__ = "case_events"
    __table_args__ = (
        UniqueConstraint("case_id", "sequence"),
        Index(
            "ix_case_events_waiting",
            "id",
            sqlite_where=text("published_at IS NULL"),
            postgresql_where=text("published_at IS NULL"),
        ),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(RowNumber, primary_key=True)
    case_id: Mapped[str] = mapped_column(ForeignKey("cases.id"))
    sequence: Mapped[int] = mapped_column(BigInteger)
    change: Mapped[str]
    detail: Mapped[dict[str, Any]] = mapped_column(JSON)
    created_at: Mapped[datetime]
    published_at: Mapped[datetime | None]


def append(
    session: Session, case: ChangedCase, change: Change, *, now: datetime, post_id: str | None = None, told: Mapping[str, Any] | None = None
) -> None:
    """Note a change of the locked case, after all its fields are set. `told` is what the change has to say beside them."""
    case.events += 1
    session.add(
        CaseEvent(
            case_id=case.id,
            sequence=case.events,
            change=change,
            detail={
                "likeness_id": case.likeness_id,
                "video_sha256": case.video_sha256,
                "state": str(case.state),
                "risk": case.risk,
                "verdict": None if case.verdict is None else str(case.verdict),
                "post_id": post_id,
                **(told or {}),
            },
            created_at=now,
        )
    )
    session.flush()


def waiting(session: Session, *, limit: int) -> list[CaseEvent]:
    """The first unpublished events, in the order in which they are to be published."""
    return list(session.scalars(select(CaseEvent).where(CaseEvent.published_at.is_(None)).order_by(CaseEvent.id).limit(limit)))


def mark_published(session: Session, ids: Sequence[int], *, now: datetime) -> None:
    """Mark events as published, because the broker has confirmed them. Idempotent."""
    session.execute(update(CaseEvent).where(CaseEvent.id.in_(ids), CaseEvent.published_at.is_(None)).values(published_at=now))


def prune(session: Session, *, before: datetime) -> int:
    """Forget what was published before an instant; returns how many rows went."""
    gone = session.scalars(delete(CaseEvent).where(CaseEvent.published_at < before).returning(CaseEvent.id))
    return len(gone.all())


def backlog(session: Session) -> tuple[int, datetime | None]:
    """How many events wait to be published, and since when the oldest does."""
    query = select(func.count(), func.min(CaseEvent.created_at)).where(CaseEvent.published_at.is_(None))
    count, oldest = session.execute(query).one()
    return int(count), oldest

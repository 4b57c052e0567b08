"""The audit trail: who did what, and when; append-only.

An event is added in the transaction of the change it records, so neither exists without the other. The database itself
refuses UPDATE and DELETE (triggers of the first migration), whoever asks.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Index, Integer, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from monitor.base.database import Base

COMMAND_LINE = "command line"
"""The actor of what the trail has from commands that ask for nobody's name."""

# SQLite numbers rows by itself only in a column of exactly this type.
RowNumber = BigInteger().with_variant(Integer, "sqlite")


class AuditEvent(Base):
    """An event of the trail. `actor` is an account's name or a part of Sosie; `detail` holds what the action changed, never a secret."""

    __tablename__ = "audit_events"
    __table_args__ = (Index(None, "subject_type", "subject_id"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(RowNumber, primary_key=True)
    at: Mapped[datetime]
    actor: Mapped[str]
    action: Mapped[str]
    subject_type: Mapped[str]
    subject_id: Mapped[str]
    detail: Mapped[dict[str, Any]]


def record(
    session: Session, *, now: datetime, actor: str, action: str, subject_type: str, subject_id: str, detail: Mapping[str, Any] | None = None
) -> None:
    """Append one event to the open transaction."""
    session.add(AuditEvent(at=now, actor=actor, action=action, subject_type=subject_type, subject_id=subject_id, detail=dict(detail or {})))
    session.flush()


def events(session: Session, *, subject_type: str, subject_id: str) -> list[AuditEvent]:
    """Everything recorded about one subject, oldest first."""
    query = select(AuditEvent).where(AuditEvent.subject_type == subject_type, AuditEvent.subject_id == subject_id)
    return list(session.scalars(query.order_by(AuditEvent.id)))


def latest(session: Session, *, limit: int = 100) -> list[AuditEvent]:
    """The last `limit` events about anything, newest first."""
    return list(session.scalars(select(AuditEvent).order_by(AuditEvent.id.desc()).limit(limit)))

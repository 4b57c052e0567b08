"""Likenesses: the protected people. One active likeness per name; letter case and spacing do not make two names different."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Collection, Mapping
from datetime import date, datetime
from uuid import uuid4

from sqlalchemy import Index, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from monitor.base import audit
from monitor.base.database import Base, insert_if_absent, locked
from monitor.base.errors import NotFound, RequestRefused
from monitor.registry import consents, references


class Likeness(Base):
    """A protected person. A removed one keeps its row (cases refer to it), without references and consents."""

    __tablename__ = "likenesses"
    __table_args__ = (
        # Only one active likeness may bear a name; a removed one frees it.
        Index(
            "uq_likenesses_active_name_key",
            "name_key",
            unique=True,
            sqlite_where=text("removed_at IS NULL"),
            postgresql_where=text("removed_at IS NULL"),
        ),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    name_key: Mapped[str]
    deceased_on: Mapped[date | None]
    holder: Mapped[str | None]
    territory: Mapped[str | None]
    created_at: Mapped[datetime]
    removed_at: Mapped[datetime | None]


def add_likeness(
    session: Session,
    name: str,
    *,
    deceased_on: date | None = None,
    holder: str | None = None,
    territory: str | None = None,
    actor: str,
    now: datetime,
) -> tuple[Likeness, bool]:
    """Add a likeness; say whether it is new. An active one by that name is kept, and details given here that differ replace its own.

    Raises `RequestRefused` for an empty name.
    """
    shown = " ".join(name.split())
    if not shown:
        raise RequestRefused("The likeness", "has no name", "Give the person's name")
    details = {"deceased_on": deceased_on, "holder": holder, "territory": territory}
    created = insert_if_absent(
        session, Likeness, id=uuid4().hex, name=shown, name_key=_key(shown), created_at=now, removed_at=None, **details
    )
    likeness = locked(session, select(Likeness).where(Likeness.name_key == _key(shown), Likeness.removed_at.is_(None))).one()
    changed = {key: value for key, value in details.items() if value is not None and (created or getattr(likeness, key) != value)}
    for key, value in changed.items():
        setattr(likeness, key, value)
    if created or changed:
        detail = {key: value.isoformat() if isinstance(value, date) else value for key, value in changed.items()}
        _audit(session, likeness.id, "likeness.added" if created else "likeness.changed", actor=actor, now=now, detail=detail)
    return likeness, created


def get_likeness(session: Session, name_or_id: str) -> Likeness:
    """The active likeness by name or id. Raises `NotFound`, with the nearest names."""
    query = select(Likeness).where((Likeness.id == name_or_id) | (Likeness.name_key == _key(name_or_id)), Likeness.removed_at.is_(None))
    found = list(session.scalars(query))
    if not found:
        near = _near(session, name_or_id)
        hint = f"Did you mean {' or '.join(near)}? `sosie likeness list` shows all" if near else "`sosie likeness list` shows all"
        raise NotFound(f"Likeness {name_or_id!r}", "is not registered", hint)
    return next((likeness for likeness in found if likeness.id == name_or_id), found[0])


def list_likenesses(session: Session, *, include_removed: bool = False) -> list[Likeness]:
    """All likenesses by name; removed ones only when asked for."""
    query = select(Likeness).order_by(Likeness.name_key, Likeness.created_at, Likeness.id)
    return list(session.scalars(query if include_removed else query.where(Likeness.removed_at.is_(None))))


def names(session: Session, ids: Collection[str]) -> dict[str, str]:
    """Names by id, of removed likenesses too; an unknown id is absent."""
    rows = session.execute(select(Likeness.id, Likeness.name).where(Likeness.id.in_(ids)))
    return {row.id: row.name for row in rows}


def remove_likeness(session: Session, likeness_id: str, *, actor: str, now: datetime) -> tuple[str, ...]:
    """End the protection: references and their vectors are deleted, consents end, the next search no longer finds it.

    Returns the files under the home that no reference needs any more, for the caller to delete after the commit.
    Cases stay. Raises `NotFound` when it is unknown or removed already.
    """
    likeness = locked(session, select(Likeness).where(Likeness.id == likeness_id, Likeness.removed_at.is_(None))).one_or_none()
    if likeness is None:
        raise NotFound(f"Likeness {likeness_id}", "is not registered", "`sosie likeness list` shows all")
    likeness.removed_at = now
    orphans = references.delete_all(session, likeness_id)
    ended = consents.end_all(session, likeness_id, now=now)
    _audit(session, likeness_id, "likeness.removed", actor=actor, now=now, detail={"consents_ended": ended})
    return orphans


def _key(name: str) -> str:
    return unicodedata.normalize("NFKC", " ".join(name.split())).casefold()


def _near(session: Session, name: str) -> list[str]:
    by_key = {likeness.name_key: likeness.name for likeness in list_likenesses(session)}
    return [by_key[key] for key in difflib.get_close_matches(_key(name), by_key, n=3)]


def _audit(session: Session, likeness_id: str, action: str, *, actor: str, now: datetime, detail: Mapping[str, object]) -> None:
    audit.record(session, now=now, actor=actor, action=action, subject_type="likeness", subject_id=likeness_id, detail=detail)

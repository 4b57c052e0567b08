"""Who may publish the outbox: one relay at a time, on either database, so that a case's events stay in order.

A lease in a single row. A relay that stalls past its lease may be overtaken; it looks at the clock again before it publishes,
and the events' sequence numbers show a reader what slips through all the same.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import or_, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from monitor.base.database import Base, insert_if_absent

_ONLY = 1


class RelayLease(Base):
    """The one lease that relays share. Whoever is not its owner may have it once it has expired."""

    __tablename__ = "relay_lease"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    owner: Mapped[str]
    expires_at: Mapped[datetime]


def take(session: Session, *, owner: str, lease_s: float, now: datetime) -> bool:
    """Take, or renew, the lease from `now` on; False while another owner's is live."""
    expires_at = now + timedelta(seconds=lease_s)
    if insert_if_absent(session, RelayLease, id=_ONLY, owner=owner, expires_at=expires_at):
        return True
    free = or_(RelayLease.owner == owner, RelayLease.expires_at <= now)
    taken = session.execute(
        update(RelayLease).where(RelayLease.id == _ONLY, free).values(owner=owner, expires_at=expires_at).returning(RelayLease.id)
    )
    return taken.first() is not None


def release(session: Session, *, owner: str, now: datetime) -> None:
    """Let another relay begin at once. No effect when the lease is somebody else's."""
    session.execute(update(RelayLease).where(RelayLease.id == _ONLY, RelayLease.owner == owner).values(expires_at=now))

"""Consents: the licences a rights holder granted to accounts, each with a window, any of which can be withdrawn at once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from uuid import uuid4

from sqlalchemy import ForeignKey, Index, or_, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from monitor import audit
from monitor.errors import NotFound, RequestRefused
from monitor.store import Base, locked


class Consent(Base):
    """`account` may use the likeness on `platform` (None: any) from `valid_from` until just before `valid_until` (None: no end)."""

    __tablename__ = "consents"
    __table_args__ = (Index(None, "likeness_id", "account"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    likeness_id: Mapped[str] = mapped_column(ForeignKey("likenesses.id"))
    account: Mapped[str]
    platform: Mapped[str | None]
    valid_from: Mapped[datetime]
    valid_until: Mapped[datetime | None]
    granted_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    note: Mapped[str | None]


def grant(
    session: Session,
    likeness_id: str,
    account: str,
    *,
    platform: str | None = None,
    valid_from: datetime,
    valid_until: datetime | None = None,
    note: str | None = None,
    actor: str,
    now: datetime,
) -> Consent:
    """Grant a consent. Raises `RequestRefused` for an empty account, or a window that ends before it starts."""
    account = account.strip()
    if not account:
        raise RequestRefused("The consent", "names no account", "Give the account exactly as the platform writes it")
    if valid_until is not None and valid_until <= valid_from:
        raise RequestRefused(
            f"The consent for {account}",
            f"would end ({valid_until.isoformat()}) before it starts ({valid_from.isoformat()})",
            "Give an end after the start, or no end",
        )
    consent = Consent(
        id=uuid4().hex,
        likeness_id=likeness_id,
        account=account,
        platform=platform,
        valid_from=valid_from,
        valid_until=valid_until,
        granted_at=now,
        revoked_at=None,
        note=note,
    )
    session.add(consent)
    session.flush()
    detail = {
        "account": account,
        "platform": platform,
        "valid_from": valid_from.isoformat(),
        "valid_until": valid_until.isoformat() if valid_until else None,
    }
    _audit(session, consent, "consent.granted", actor=actor, now=now, detail=detail)
    return consent


def revoke(session: Session, consent_id: str, *, actor: str, now: datetime) -> Consent:
    """Withdraw a consent, from this moment, for every search to come. Again: nothing changes. Raises `NotFound`."""
    consent = locked(session, select(Consent).filter_by(id=consent_id)).one_or_none()
    if consent is None:
        raise NotFound(f"Consent {consent_id}", "does not exist", "`sosie consent list` shows all")
    if consent.revoked_at is None:
        consent.revoked_at = now
        _audit(session, consent, "consent.revoked", actor=actor, now=now, detail={"account": consent.account})
    return consent


def list_consents(session: Session, *, likeness_id: str | None = None) -> list[Consent]:
    """Consents of one likeness or of all, ended and revoked ones too, newest first."""
    query = select(Consent).order_by(Consent.granted_at.desc(), Consent.id)
    return list(session.scalars(query if likeness_id is None else query.filter_by(likeness_id=likeness_id)))


def covering(session: Session, likeness_id: str, *, account: str | None, platform: str | None, at: datetime) -> Consent | None:
    """The consent that allows `account` to post the likeness on `platform` at the time `at`, or None.

    A revoked consent covers nothing, not even a post from before it was revoked: the time of a post is the poster's word.
    A post of unknown account has no consent; one of unknown platform only a consent for any platform.
    """
    if account is None:
        return None
    query = (
        select(Consent)
        .where(
            Consent.likeness_id == likeness_id,
            Consent.account == account.strip(),
            or_(Consent.platform.is_(None), Consent.platform == platform),
            Consent.revoked_at.is_(None),
            Consent.valid_from <= at,
            or_(Consent.valid_until.is_(None), Consent.valid_until > at),
        )
        .order_by(Consent.granted_at, Consent.id)
    )
    return session.scalars(query.limit(1)).one_or_none()


def end_all(session: Session, likeness_id: str, *, now: datetime) -> int:
    """Revoke every consent of a likeness that is removed; return how many there were. `remove_likeness` audits it."""
    live = locked(session, select(Consent).filter_by(likeness_id=likeness_id, revoked_at=None)).all()
    for consent in live:
        consent.revoked_at = now
    session.flush()
    return len(live)


def _audit(session: Session, consent: Consent, action: str, *, actor: str, now: datetime, detail: Mapping[str, object]) -> None:
    whole = {"consent": consent.id, **detail}
    audit.record(session, now=now, actor=actor, action=action, subject_type="likeness", subject_id=consent.likeness_id, detail=whole)

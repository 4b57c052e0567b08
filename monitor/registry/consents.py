"""Consents: the licences a rights holder granted, to an account or to whoever signs with a certificate.

Each has its window and, where the holder wants, its platforms, uses and territories (`monitor.registry.scope` judges them), and
any can be withdrawn at once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import uuid4

from sqlalchemy import JSON, ForeignKey, Index, or_, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from monitor.base import audit
from monitor.base.database import Base, locked
from monitor.base.errors import NotFound, RequestRefused
from monitor.registry import territories as places
from monitor.registry.scope import Coverage, Use, coverage

_SHA256 = re.compile(r"[0-9a-f]{64}")


class Consent(Base):
    """A licence: the licensee (`account`, `certificate`, or whichever of both is met) may use the likeness within the terms. None: no
    limit.

    `certificate` is the SHA-256 of the licensee's signing certificate (DER), in hexadecimal.
    """

    __tablename__ = "consents"
    __table_args__ = (Index(None, "likeness_id", "account"), Index(None, "likeness_id", "certificate"))

    id: Mapped[str] = mapped_column(primary_key=True)
    likeness_id: Mapped[str] = mapped_column(ForeignKey("likenesses.id"))
    account: Mapped[str | None]
    certificate: Mapped[str | None]
    platforms: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    uses: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    territories: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    valid_from: Mapped[datetime]
    valid_until: Mapped[datetime | None]
    granted_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    note: Mapped[str | None]

    @property
    def licensee(self) -> str:
        """The licensee in words."""
        certified = f"the certificate {self.certificate[:16]}…" if self.certificate else None
        return " or ".join(filter(None, (self.account, certified)))


def grant(
    session: Session,
    likeness_id: str,
    *,
    account: str | None = None,
    certificate: str | None = None,
    platforms: Sequence[str] = (),
    uses: Sequence[str] = (),
    territories: Sequence[str] = (),
    valid_from: datetime,
    valid_until: datetime | None = None,
    note: str | None = None,
    actor: str,
    now: datetime,
) -> Consent:
    """Grant a consent; empty `platforms`, `uses` or `territories` are without limit.

    Raises `RequestRefused` where nobody is named, for a certificate that is no SHA-256, a territory whose code names no
    place (`monitor.registry.territories`), and a window that ends before it starts.
    """
    account = (account or "").strip() or None
    subject = f"The consent for {account or certificate or 'nobody'}"
    if account is None and certificate is None:
        raise RequestRefused(
            "The consent", "names no licensee", "Give an account exactly as the platform writes it, or a certificate's SHA-256"
        )
    if certificate is not None and not _SHA256.fullmatch(certificate := certificate.replace(":", "").lower()):
        raise RequestRefused(
            subject,
            "names a certificate by what is no SHA-256",
            "Give 64 hexadecimal digits, as `openssl x509 -noout -fingerprint -sha256` prints",
        )
    within = list(dict.fromkeys(places.require(territory, subject) for territory in territories))
    if valid_until is not None and valid_until <= valid_from:
        raise RequestRefused(
            subject,
            f"would end ({valid_until.isoformat()}) before it starts ({valid_from.isoformat()})",
            "Give an end after the start, or no end",
        )
    consent = Consent(
        id=uuid4().hex,
        likeness_id=likeness_id,
        account=account,
        certificate=certificate,
        platforms=list(platforms) or None,
        uses=list(uses) or None,
        territories=within or None,
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
        "certificate": certificate,
        "platforms": consent.platforms,
        "uses": consent.uses,
        "territories": consent.territories,
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
        _audit(
            session,
            consent,
            "consent.revoked",
            actor=actor,
            now=now,
            detail={"account": consent.account, "certificate": consent.certificate},
        )
    return consent


def list_consents(session: Session, *, likeness_id: str | None = None) -> list[Consent]:
    """Consents of one likeness or of all, ended and revoked ones too, newest first."""
    query = select(Consent).order_by(Consent.granted_at.desc(), Consent.id)
    return list(session.scalars(query if likeness_id is None else query.filter_by(likeness_id=likeness_id)))


def covering(session: Session, likeness_id: str, use: Use, *, account: str | None, certificate: str | None) -> Coverage:
    """Whether a consent allows this use to this account, or to whoever signed with this certificate; if none does, why.

    A post of unknown account that nobody signed has no consent. The caller gives only a certificate whose signature holds.
    """
    licensees = [
        column == value for column, value in ((Consent.account, (account or "").strip()), (Consent.certificate, certificate)) if value
    ]
    if not licensees:
        return Coverage()
    query = select(Consent).where(Consent.likeness_id == likeness_id, or_(*licensees)).order_by(Consent.granted_at, Consent.id)
    return coverage(session.scalars(query), use)


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

"""Accounts of the console. Passwords are kept as Argon2id hashes (RFC 9106) and never leave this file otherwise."""

from __future__ import annotations

import secrets
import unicodedata
from datetime import datetime
from enum import StrEnum
from functools import cache
from uuid import uuid4

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from sqlalchemy import select
from sqlalchemy.orm import Mapped, Session, mapped_column

from monitor.base import audit
from monitor.base.database import Base, insert_if_absent, locked
from monitor.base.errors import NotFound, RequestRefused

ADMIN = "admin"
MIN_PASSWORD_CHARS = 12

_hasher = PasswordHasher()


class Role(StrEnum):
    REVIEWER = "reviewer"
    ADMIN = "admin"


class Account(Base):
    """Somebody who may sign in, unless disabled. Names ignore letter case."""

    __tablename__ = "accounts"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    password_hash: Mapped[str]
    role: Mapped[str]
    created_at: Mapped[datetime]
    disabled_at: Mapped[datetime | None]


def create_account(session: Session, name: str, password: str, *, role: Role, actor: str, now: datetime) -> Account:
    """Make an account. Raises `RequestRefused` when the name is empty or taken, or the password is under 12 characters."""
    key = name_key(name)
    if not key:
        raise RequestRefused("The account", "has no name", "Give one")
    created = insert_if_absent(
        session, Account, id=uuid4().hex, name=key, password_hash=_hash(password), role=role, created_at=now, disabled_at=None
    )
    if not created:
        raise RequestRefused(f"Account {key}", "exists already", "Choose another name")
    account = _locked_account(session, key)
    _audit(session, account, "account.created", actor=actor, now=now, role=role)
    return account


def verify_password(session: Session, name: str, password: str) -> Account | None:
    """The account of this name, if it may sign in with this password.

    Costs one Argon2 verification whether or not the name is known, so that time tells nothing about names. It only reads:
    call it in a read-only session, since on SQLite it would keep every writer waiting otherwise.
    """
    account = find_account(session, name)
    try:
        _hasher.verify(account.password_hash if account else _hash_of_nobody(), password)
    except VerifyMismatchError:
        return None
    return account if account and account.disabled_at is None else None


def get_account(session: Session, account_id: str) -> Account | None:
    """The account of somebody signed in; None when it is unknown or was disabled since."""
    return session.scalars(select(Account).filter_by(id=account_id, disabled_at=None)).one_or_none()


def find_account(session: Session, name: str) -> Account | None:
    """The account of this name, a disabled one too; None when there is none."""
    return session.scalars(select(Account).filter_by(name=name_key(name))).one_or_none()


def list_accounts(session: Session) -> list[Account]:
    """All accounts, the disabled ones too, by name."""
    return list(session.scalars(select(Account).order_by(Account.name)))


def set_password(session: Session, name: str, password: str, *, actor: str, now: datetime) -> Account:
    """Give an account another password. Raises `NotFound`, or `RequestRefused` for a password under 12 characters."""
    password_hash = _hash(password)
    account = _locked_account(session, name)
    account.password_hash = password_hash
    _audit(session, account, "account.password_set", actor=actor, now=now)
    return account


def disable_account(session: Session, name: str, *, actor: str, now: datetime) -> Account:
    """Disable an account, so that nobody signs in with it any more. Again: nothing changes. Raises `NotFound`."""
    account = _locked_account(session, name)
    if account.disabled_at is None:
        account.disabled_at = now
        _audit(session, account, "account.disabled", actor=actor, now=now)
    return account


def ensure_admin(session: Session, *, now: datetime) -> str | None:
    """Make the account `admin` with a random password and return the password, once; None when the account exists.

    Safe when two start at once.
    """
    if session.scalars(select(Account.id).filter_by(name=ADMIN)).one_or_none() is not None:
        return None
    password = secrets.token_urlsafe(15)
    created = insert_if_absent(
        session, Account, id=uuid4().hex, name=ADMIN, password_hash=_hash(password), role=Role.ADMIN, created_at=now, disabled_at=None
    )
    if not created:
        return None
    _audit(session, _locked_account(session, ADMIN), "account.created", actor="serve", now=now, role=Role.ADMIN)
    return password


def name_key(name: str) -> str:
    """A name as it is stored and compared: whatever its letter case, its width and the spaces around it."""
    return unicodedata.normalize("NFKC", name.strip()).casefold()


def _hash(password: str) -> str:
    if len(password) < MIN_PASSWORD_CHARS:
        raise RequestRefused(
            "The password", f"is shorter than {MIN_PASSWORD_CHARS} characters", "Choose a longer one; several words will do"
        )
    return _hasher.hash(password)


@cache
def _hash_of_nobody() -> str:
    return _hasher.hash(secrets.token_urlsafe(15))


def _locked_account(session: Session, name: str) -> Account:
    account = locked(session, select(Account).filter_by(name=name_key(name))).one_or_none()
    if account is None:
        raise NotFound(f"Account {name}", "does not exist", "Check the name")
    return account


def _audit(session: Session, account: Account, action: str, *, actor: str, now: datetime, **detail: str) -> None:
    audit.record(session, now=now, actor=actor, action=action, subject_type="account", subject_id=account.id, detail=detail)

"""Accounts: who may sign in, and that no password is kept or said."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from monitor.base import audit
from monitor.base.database import Store
from monitor.base.errors import NotFound, RequestRefused
from monitor.review.accounts import Account, Role, create_account, disable_account, ensure_admin, get_account, set_password, verify_password

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PASSWORD = "correct horse battery"


@pytest.fixture
def account(store: Store) -> Account:
    with store.session() as session:
        return create_account(session, "Ada", PASSWORD, role=Role.REVIEWER, actor="test", now=NOW)


def signs_in(store: Store, name: str, password: str = PASSWORD) -> bool:
    with store.session(read_only=True) as session:
        return verify_password(session, name, password) is not None


def test_only_the_right_password_of_a_known_name_signs_in(store: Store, account: Account) -> None:
    assert signs_in(store, " ADA ")
    assert not signs_in(store, "ada", PASSWORD + "x")
    assert not signs_in(store, "ada", "")
    assert not signs_in(store, "eve")


def test_the_password_is_nowhere_in_the_database(store: Store, account: Account) -> None:
    with store.session(read_only=True) as session:
        stored = session.execute(text("SELECT password_hash FROM accounts")).scalar_one()
        [event] = audit.events(session, subject_type="account", subject_id=account.id)
    assert stored.startswith("$argon2id$")
    assert PASSWORD not in stored
    assert event.detail == {"role": "reviewer"}


def test_a_disabled_account_is_out_at_once(store: Store, account: Account) -> None:
    with store.session(read_only=True) as session:
        assert get_account(session, account.id) is not None
    for _ in range(2):
        with store.session() as session:
            disable_account(session, "ada", actor="test", now=NOW)
    assert not signs_in(store, "ada")
    with store.session(read_only=True) as session:
        assert get_account(session, account.id) is None
        assert len(audit.events(session, subject_type="account", subject_id=account.id)) == 2


def test_a_new_password_replaces_the_old(store: Store, account: Account) -> None:
    with store.session() as session:
        set_password(session, "ada", "another long one", actor="test", now=NOW)
    assert not signs_in(store, "ada")
    assert signs_in(store, "ada", "another long one")


def test_what_cannot_be_an_account_is_refused(store: Store, account: Account) -> None:
    for name, password, said in (
        ("ADA", PASSWORD, "exists already"),
        ("bob", "eleven char", "shorter than 12"),
        (" ", PASSWORD, "no name"),
    ):
        with pytest.raises(RequestRefused, match=said) as caught, store.session() as session:
            create_account(session, name, password, role=Role.REVIEWER, actor="test", now=NOW)
        assert password not in str(caught.value)
    with pytest.raises(NotFound), store.session() as session:
        set_password(session, "bob", PASSWORD, actor="test", now=NOW)


def test_the_admin_is_made_once_and_its_password_said_once(store: Store) -> None:
    said: list[str | None] = []

    def start() -> None:
        with store.session() as session:
            said.append(ensure_admin(session, now=NOW))

    starters = [threading.Thread(target=start) for _ in range(4)]
    for starter in starters:
        starter.start()
    for starter in starters:
        starter.join()
    start()
    [password] = [word for word in said if word is not None]
    assert len(said) == 5
    assert signs_in(store, "admin", password)
    with store.session(read_only=True) as session:
        admin = verify_password(session, "admin", password)
    assert admin is not None
    assert admin.role == Role.ADMIN

"""Who gives a command: the machine's shell, or, where it takes a person, an account with its password."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from monitor.base import audit
from monitor.base.audit import COMMAND_LINE
from monitor.base.errors import RequestRefused
from monitor.cli.output import ask_password
from monitor.review.accounts import Account, Role, verify_password
from monitor.scan.workshop import Workshop

__all__ = ["COMMAND_LINE", "As", "leave_a_trail", "signed_in"]

As = Annotated[str, typer.Option("--as", metavar="ACCOUNT", help="Your account; its password is asked for, or taken from SOSIE_PASSWORD.")]


def leave_a_trail(workshop: Workshop, action: str, subject_type: str, subject_id: str, **detail: object) -> None:
    """Audit an act of the command line that changed a file, after the change. What changes the database audits itself."""
    with workshop.store.session() as session:
        audit.record(
            session,
            now=datetime.now(UTC),
            actor=COMMAND_LINE,
            action=action,
            subject_type=subject_type,
            subject_id=subject_id,
            detail=detail,
        )


def signed_in(workshop: Workshop, name: str, role: Role | None = None) -> Account:
    """The account `name`, once the password for it is right. Raises `RequestRefused`, also for an account without the role."""
    given = workshop.settings.password
    password = ask_password(f"Password of {name}") if given is None else given.get_secret_value()
    with workshop.store.session(read_only=True) as session:
        account = verify_password(session, name, password)
        if account is None:
            raise RequestRefused(f"Account {name}", "does not exist, is disabled, or has another password", "Try again")
        if role is not None and account.role != role:
            raise RequestRefused(f"Account {name}", f"is no {role}", f"Ask an {role} to do it")
        session.expunge(account)
        return account

"""`sosie account add|list|disable|password`"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from monitor.base import settings
from monitor.cli.identity import COMMAND_LINE
from monitor.cli.output import ask_password, out, print_json
from monitor.review import accounts
from monitor.review.accounts import Role
from monitor.scan.workshop import Workshop

app = typer.Typer(help="Accounts of the console, and of commands that take a person.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="The account's name.")]


@app.command()
def add(name: Name, role: Annotated[Role, typer.Option(help="An admin may also activate policies.")] = Role.REVIEWER) -> None:
    """Make an account. Its password is asked for, or taken from SOSIE_PASSWORD."""
    with Workshop(settings.load()) as workshop:
        secret = _new_password(workshop, name)  # before the transaction: a prompt must not keep others waiting
        with workshop.store.session() as session:
            made = accounts.create_account(session, name, secret, role=role, actor=COMMAND_LINE, now=datetime.now(UTC))
            out.print(f"Account {escape(made.name)} may sign in as {made.role}.")


@app.command("list")
def list_(json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """Every account, the disabled ones too."""
    table = Table("Name", "Role", "Made", "State", box=None, pad_edge=False)
    with Workshop(settings.load()) as workshop, workshop.store.session(read_only=True) as session:
        for account in accounts.list_accounts(session):
            row = {
                "name": account.name,
                "role": account.role,
                "made": account.created_at.isoformat(timespec="seconds"),
                "state": "disabled" if account.disabled_at else "enabled",
            }
            if json:
                print_json(row)
            table.add_row(*(escape(cell) for cell in row.values()))
    if not json:
        out.print(table if table.row_count else "There is no account yet; `sosie serve` makes the first.")


@app.command()
def disable(name: Name) -> None:
    """Let nobody sign in with this account any more."""
    with Workshop(settings.load()) as workshop, workshop.store.session() as session:
        ended = accounts.disable_account(session, name, actor=COMMAND_LINE, now=datetime.now(UTC))
        out.print(f"Account {escape(ended.name)} is disabled.")


@app.command()
def password(name: Name) -> None:
    """Give an account another password."""
    with Workshop(settings.load()) as workshop:
        secret = _new_password(workshop, name)
        with workshop.store.session() as session:
            changed = accounts.set_password(session, name, secret, actor=COMMAND_LINE, now=datetime.now(UTC))
            out.print(f"Account {escape(changed.name)} has another password.")


def _new_password(workshop: Workshop, name: str) -> str:
    given = workshop.settings.password
    if given is not None:
        return given.get_secret_value()
    return ask_password(f"Password for {name}", twice=True)

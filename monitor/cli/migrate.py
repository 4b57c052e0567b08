"""`sosie migrate`"""

from __future__ import annotations

from contextlib import closing
from typing import Annotated

import typer
from rich.markup import escape

from monitor.base import settings
from monitor.base.database import Store
from monitor.cli.output import out


def migrate(
    check: Annotated[bool, typer.Option("--check", help="Change nothing; exit with 1 when a migration is needed.")] = False,
) -> None:
    """Bring the database's schema up to date, for a deployment's hook. Again, or several at once: nothing more is done.

    Workers and consoles of the release before may run on meanwhile, and after it.
    """
    with closing(Store(settings.load().effective_database_url)) as store:
        done = store.pending() if check else store.migrate()
        if done.before == done.after:
            out.print(f"The schema of {escape(store.name)} is at version {done.after}: up to date.")
        elif check:
            out.print(f"The schema of {escape(store.name)} is {_at(done.before)}: a migration to {done.after} is needed.")
            raise typer.Exit(1)
        else:
            out.print(f"The schema of {escape(store.name)} was {_at(done.before)}, and is now at version {done.after}.")


def _at(revision: str | None) -> str:
    return "not there" if revision is None else f"at version {revision}"

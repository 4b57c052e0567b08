"""`sosie settings` and `sosie policy show`"""

from __future__ import annotations

from pathlib import Path

import typer
from rich.markup import escape
from rich.table import Table
from sqlalchemy.engine import make_url

from monitor import settings as configuration
from monitor.cli.output import out
from monitor.decision import policy as policies

policy_app = typer.Typer(help="How evidence becomes a risk.", no_args_is_help=True)


def settings() -> None:
    """Every setting, its value in force, and what it does."""
    current = configuration.load()
    table = Table("Variable", "Value", "What it does", box=None, pad_edge=False)
    for name, field in type(current).model_fields.items():
        value = getattr(current, name)
        if name == "database_url":
            value = make_url(current.effective_database_url).render_as_string(hide_password=True)
        elif isinstance(value, tuple):
            value = ":".join(map(str, value))
        table.add_row(configuration.ENV_PREFIX + name.upper(), escape("" if value is None else str(value)), field.description or "")
    out.print(table)
    out.print(f"Set them as variables, or in {escape(str(current.home / 'sosie.toml'))} (lower case, without SOSIE_).")


@policy_app.command("show")
def policy_show() -> None:
    """Print the policy file in force, after checking it."""
    file = configuration.load().policy
    policies.load_policy(file)
    print((file or Path(policies.__file__).with_name("policy.yaml")).read_text(encoding="utf-8"), end="")

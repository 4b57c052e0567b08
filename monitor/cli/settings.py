"""`sosie settings`"""

from __future__ import annotations

from rich.markup import escape
from rich.table import Table
from sqlalchemy.engine import make_url

from monitor.base import settings as configuration
from monitor.base.errors import ConfigError
from monitor.cli.output import out


def settings() -> None:
    """Every setting, its value in force, and what it does. Where one cannot be used, all are listed without values, and it is named."""
    try:
        current = configuration.load()
    except ConfigError:
        table = Table("Variable", "What it does", box=None, pad_edge=False)
        for name, field in configuration.Settings.model_fields.items():
            table.add_row(configuration.ENV_PREFIX + name.upper(), field.description or "")
        out.print(table)
        raise
    table = Table("Variable", "Value", "What it does", box=None, pad_edge=False)
    for name, field in type(current).model_fields.items():
        value = getattr(current, name)
        if name == "database_url":
            value = make_url(current.effective_database_url).render_as_string(hide_password=True)
        elif isinstance(value, tuple):
            value = configuration.SEPARATORS[name].join(map(str, value))
        table.add_row(configuration.ENV_PREFIX + name.upper(), escape("" if value is None else str(value)), field.description or "")
    out.print(table)
    out.print(f"Set them as variables, or in {escape(str(current.home / 'sosie.toml'))} (lower case, without SOSIE_).")

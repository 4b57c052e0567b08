"""The command line's root: options for all commands, and errors told to people.

Exit status: 0 done; 1 refused or failed, with a sentence on stderr; 2 some videos could not be scanned, or the command was
misused; 130 interrupted.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from monitor.base.errors import SosieError
from monitor.cli.output import err, print_error

_INTERRUPTED = 130

COMMANDS = (
    "demo",
    "scan",
    "serve",
    "provenance",
    "migrate",
    "settings",
    "likeness",
    "consent",
    "model",
    "index",
    "storage",
    "policy",
    "case",
    "account",
    "evidence",
    "topics",
    "trust",
    "watermark",
    "probe",
    "dead-letters",
    "worker",
    "reconcile",
    "repeat",
    "submit",
)
"""Each is a file here of that name, which holds `app` (commands of its own) or one function of that name."""


class _Commands(TyperGroup):
    """The commands, each imported when it is asked for: all together take seconds, most need neither database nor index nor web."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        return list(COMMANDS)

    def get_command(self, ctx: typer.Context, cmd_name: str) -> Any:  # type: ignore[override]
        if cmd_name not in COMMANDS:
            return None
        name = cmd_name.replace("-", "_")
        module = importlib.import_module(f"monitor.cli.{name}")
        if isinstance(several := getattr(module, "app", None), typer.Typer):
            command: Any = typer.main.get_group(several)
        else:
            one = typer.Typer(add_completion=False)
            one.command()(getattr(module, name))
            command = typer.main.get_command(one)
        command.name = cmd_name
        return command


app = typer.Typer(name="sosie", cls=_Commands, no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)


@app.callback()
def _sosie() -> None:
    """Finds misuse of protected likenesses in uploaded videos, and puts it before a reviewer."""


def main() -> None:
    """Entry point of the console script."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    if os.environ.get("SOSIE_LOG_LEVEL", "").lower() not in ("debug", "info"):
        logging.getLogger("kafka").setLevel(logging.CRITICAL)  # it tells every try; what they came to is told by our own errors
    try:
        app()
    except SosieError as error:
        print_error(error)
        sys.exit(1)
    except SystemExit as left:
        if left.code == _INTERRUPTED:  # typer ends so on Ctrl+C, without a word
            err.print("interrupted; what was stored stays")
        raise

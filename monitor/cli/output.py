"""What commands print: results on stdout, everything else on stderr."""

from __future__ import annotations

import json
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape

from monitor.base.errors import RequestRefused, SosieError

# As wide as any table: cells are never folded, so that ids can be copied and lines searched. The terminal wraps.
# Without emoji, because `:100:` may be the middle of an id.
out = Console(highlight=False, soft_wrap=True, width=10_000, emoji=False)
err = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)


def print_json(value: Any) -> None:
    """One JSON object on one line, unstyled."""
    print(json.dumps(value, ensure_ascii=False), flush=True)


def print_error(error: SosieError) -> None:
    err.print(f"[bold red]sosie:[/] {escape(str(error))}")


def go_on(question: str, *, yes: bool) -> None:
    """Ask at a terminal, if there is one, before an act that cannot be undone; `yes` answers in advance. Ends the command for a no."""
    if not yes and err.is_terminal and not typer.confirm(question, err=True):
        err.print("Nothing was changed.")
        raise typer.Exit(1)


def ask_password(question: str, *, twice: bool = False) -> str:
    """A password typed at a terminal. Raises `RequestRefused` where there is none."""
    if not err.is_terminal:
        raise RequestRefused(question, "cannot be asked for: there is no terminal", "Give it in SOSIE_PASSWORD")
    return str(typer.prompt(question, hide_input=True, confirmation_prompt=twice, err=True))

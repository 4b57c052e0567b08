"""What commands print: results on stdout, everything else on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
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
    """Ask, where somebody sits at a terminal, before what cannot be taken back; `yes` says it in advance. Ends the command for a no."""
    if not yes and _somebody_types() and not _answer(lambda to_err: typer.confirm(question, err=to_err)):
        err.print("Nothing was changed.")
        raise typer.Exit(1)


def ask_password(question: str, *, twice: bool = False) -> str:
    """A password typed at a terminal. Raises `RequestRefused` where there is none."""
    if not _somebody_types():
        raise RequestRefused(question, "cannot be asked for: there is no terminal", "Give it in SOSIE_PASSWORD")
    return str(_answer(lambda to_err: typer.prompt(question, hide_input=True, confirmation_prompt=twice, err=to_err)))


def _somebody_types() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


def _answer(ask: Callable[[bool], Any]) -> Any:
    """What was typed. The question is put on stderr unless stdout alone is seen. Raises KeyboardInterrupt for Ctrl+C and Ctrl+D."""
    try:
        return ask(sys.stderr.isatty() or not sys.stdout.isatty())
    except typer.Abort:
        raise KeyboardInterrupt from None

"""`sosie dead-letters list|show|replay|discard`"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.markup import escape
from rich.table import Table

from monitor import settings
from monitor.cli.output import err, out, print_json

if TYPE_CHECKING:
    from streams.messages import DeadLetter

app = typer.Typer(help="Events that can never succeed, kept with their reasons.", no_args_is_help=True)

_SHOWN_BYTES = 2000
_Ids = Annotated[list[str] | None, typer.Argument(metavar="ID…", help="Dead letters by id.", show_default=False)]
_All = Annotated[bool, typer.Option("--all", help="All that wait.")]
_Reason = Annotated[str | None, typer.Option(metavar="CODE", help="All that wait for this reason.")]
_Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
_Force = Annotated[bool, typer.Option("--force", help="Whatever state they are in.")]


@app.command("list")
def list_(
    state: Annotated[Literal["waiting", "replayed", "discarded", "all"], typer.Option(help="Those in this state.")] = "waiting",
    reason: Annotated[str | None, typer.Option(metavar="CODE", help="Those of this reason.")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object per line, without the event's content.")] = False,
) -> None:
    """What was put aside, and why."""
    from streams.dead_letter_box import read_box

    box = read_box(settings.load())
    letters = [each for each in box.values() if state in ("all", each.state) and reason in (None, each.reason)]
    if json:
        for each in letters:
            print_json(each.model_dump(mode="json", exclude={"key", "value"}, exclude_none=True))
        return
    if not letters:
        out.print("No dead letter." if state == "all" and reason is None else f"None among {len(box)} dead letters.")
        return
    table = Table("Id", "Reason", "Tries", "Since", "State", "Post", "Error", box=None, pad_edge=False)
    for each in letters:
        age = _age(datetime.now(UTC) - each.at)
        table.add_row(each.id, each.reason, str(each.attempts), age, each.state, each.post_id or "", escape(_line(each.error)))
    out.print(table)
    out.print(", ".join(f"{count} {code}" for code, count in Counter(each.reason for each in letters).most_common()))


@app.command()
def show(
    id: Annotated[str, typer.Argument(metavar="ID", help="As `list` shows it.")],
    json: Annotated[bool, typer.Option("--json", help="The whole message, the event's content in base64.")] = False,
) -> None:
    """Everything about one: where it stood, its error, its content."""
    from streams.dead_letter_box import chosen, content, read_box

    (letter,) = chosen(read_box(settings.load()), [id])
    if json:
        print_json(letter.model_dump(mode="json", exclude_none=True))
        return
    stood = letter.origin
    out.print(f"[bold]{letter.id}[/]  {letter.state}" + (f" ({escape(letter.note)})" if letter.note else ""))
    out.print(f"  {letter.reason}, {letter.attempts} tries, {letter.at:%Y-%m-%d %H:%M:%S} UTC: {escape(_line(letter.error, 4000))}")
    out.print(
        f"  from {stood.topic}, partition {stood.partition}, offset {stood.offset}" + (f", post {letter.post_id}" if letter.post_id else "")
    )
    data = content(letter)
    if data is None:
        out.print("  its value is null")
        return
    out.print(f"  {'the first ' if letter.truncated else ''}{len(data)} bytes:")
    out.print(escape(_readable(data[:_SHOWN_BYTES])))


@app.command()
def replay(ids: _Ids = None, all: _All = False, reason: _Reason = None, yes: _Yes = False, force: _Force = False) -> None:
    """Have events handled again, under the same identity: one that had worked makes nothing twice."""
    from streams import dead_letter_box as box

    configured = settings.load()
    letters = _asked_for(box.read_box(configured), ids, all, reason)
    _confirm(letters, "replay", yes)
    from streams.publisher import Publisher

    with closing(Publisher(configured)) as publisher:
        box.replay(configured, publisher, letters, force=force)
    out.print(f"{len(letters)} replayed; those that fail again come back to the list.")


@app.command()
def discard(
    why: Annotated[str, typer.Option(metavar="TEXT", help="Why nothing is to be done about them.")],
    ids: _Ids = None,
    all: _All = False,
    reason: _Reason = None,
    yes: _Yes = False,
    force: _Force = False,
) -> None:
    """Say that nothing more will be done about events. They stay readable for a year."""
    from streams import dead_letter_box as box

    configured = settings.load()
    letters = _asked_for(box.read_box(configured), ids, all, reason)
    _confirm(letters, "discard", yes)
    from streams.publisher import Publisher

    with closing(Publisher(configured)) as publisher:
        box.discard(configured, publisher, letters, why=why, force=force)
    out.print(f"{len(letters)} discarded.")


def _asked_for(box: dict[str, DeadLetter], ids: Sequence[str] | None, all: bool, reason: str | None) -> list[DeadLetter]:
    from streams.dead_letter_box import chosen

    if sum((bool(ids), all, reason is not None)) != 1:
        raise typer.BadParameter("give ids, or --all, or --reason CODE")
    if ids:
        return chosen(box, ids)
    return [each for each in box.values() if each.state == "waiting" and reason in (None, each.reason)]


def _confirm(letters: Sequence[DeadLetter], what: str, yes: bool) -> None:
    if not letters:
        out.print(f"Nothing to {what}.")
        raise typer.Exit
    if len(letters) > 1 and not yes and err.is_terminal and not typer.confirm(f"{what.capitalize()} {len(letters)} events?", err=True):
        raise typer.Exit(1)


def _readable(data: bytes) -> str:
    """UTF-8 with control characters escaped; what is no UTF-8, in hex."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return data[:256].hex(" ")
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)


def _line(text: str, length: int = 100) -> str:
    line = _readable(" ".join(text.split()).encode("utf-8", "replace"))
    return line if len(line) <= length else line[: length - 1] + "…"


def _age(since: object) -> str:
    return str(since).split(".")[0]

"""`sosie dead-letters list|show|replay|discard`"""

from __future__ import annotations

import codecs
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.markup import escape
from rich.table import Table

from monitor.base import settings
from monitor.cli.output import go_on, out, print_json

if TYPE_CHECKING:
    from streams.messages import DeadLetter

app = typer.Typer(help="Events that can never succeed, kept with their reasons.", no_args_is_help=True)

_SHOWN_BYTES = 2000
_SHOWN_BINARY_BYTES = 256
_ERROR_CHARACTERS = 100
_Ids = Annotated[list[str] | None, typer.Argument(metavar="ID…", help="Dead letters by id.", show_default=False)]
_All = Annotated[bool, typer.Option("--all", help="All that wait.")]
_Reason = Annotated[str | None, typer.Option(metavar="CODE", help="All that wait for this reason.")]
_Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
_Force = Annotated[bool, typer.Option("--force", help="With ids: those that were replayed or discarded before as well.")]


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
        out.print(_none(len(box), state, reason))
        return
    table = Table("Id", "Reason", "Tries", "State", "For", "Post", "Error", box=None, pad_edge=False)
    now = datetime.now(UTC)
    for each in letters:
        error = escape(_line(each.error, _ERROR_CHARACTERS))
        table.add_row(each.id, each.reason, str(each.attempts), each.state, _age(now - each.at), each.post_id or "", error)
    out.print(table)
    counts = ", ".join(f"{count} {code}" for code, count in Counter(each.reason for each in letters).most_common())
    out.print(f"{counts}. All about one: `sosie dead-letters show ID`.")


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
    out.print(f"[bold]{letter.id}[/]")
    tries = "1 try" if letter.attempts == 1 else f"{letter.attempts} tries"
    note = f": {_line(letter.note)}" if letter.note else ""
    out.print(escape(f"  {letter.state} since {letter.at:%Y-%m-%d %H:%M:%S} UTC, after {tries}{note}"))
    out.print(escape(f"  {letter.reason}: {_line(letter.error)}"))
    when = f", written {stood.timestamp:%Y-%m-%d %H:%M:%S} UTC" if stood.timestamp else ""
    out.print(escape(f"  stood in {_line(stood.topic)}, partition {stood.partition}, offset {stood.offset}{when}"))
    if letter.post_id:
        out.print(f"  post {letter.post_id}")
    for line in _shown(content(letter), letter.truncated):
        out.print(escape(line))


@app.command()
def replay(ids: _Ids = None, all: _All = False, reason: _Reason = None, yes: _Yes = False, force: _Force = False) -> None:
    """Have events handled again, under the same identity: one that had worked makes nothing twice."""
    from streams import dead_letter_box as box

    _require_one_choice(ids, all, reason)
    configured = settings.load()
    letters = _asked_for(box.read_box(configured), ids, all, reason)
    _confirm(letters, "replay", yes)
    from streams.publisher import Publisher

    with closing(Publisher(configured)) as publisher:
        sent = box.replay(configured, publisher, letters, force=force)
    if sent:
        out.print(f"{len(sent)} replayed. One that fails again comes back to `sosie dead-letters list`, under the same id.")
    if before := len(letters) - len(sent):
        out.print(f"{before} left out: replayed before, and perhaps at work now. To send again: --force.")


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

    _require_one_choice(ids, all, reason)
    configured = settings.load()
    letters = _asked_for(box.read_box(configured), ids, all, reason)
    _confirm(letters, "discard", yes)
    from streams.publisher import Publisher

    with closing(Publisher(configured)) as publisher:
        done = box.discard(configured, publisher, letters, why=why, force=force)
    if done:
        out.print(f"{len(done)} discarded.")
    if before := len(letters) - len(done):
        out.print(f"{before} left as it was: discarded before, with its reason.")


def _asked_for(box: dict[str, DeadLetter], ids: Sequence[str] | None, all: bool, reason: str | None) -> list[DeadLetter]:
    from streams.dead_letter_box import chosen

    if ids:
        return chosen(box, ids)
    return [each for each in box.values() if each.state == "waiting" and reason in (None, each.reason)]


def _require_one_choice(ids: Sequence[str] | None, all: bool, reason: str | None) -> None:
    if sum((bool(ids), all, reason is not None)) != 1:
        raise typer.BadParameter("Give ids, or --all, or --reason CODE.")


def _confirm(letters: Sequence[DeadLetter], what: str, yes: bool) -> None:
    if not letters:
        out.print(f"Nothing to {what}: no such dead letter waits.")
        raise typer.Exit
    go_on(f"{what.capitalize()} {len(letters)} events?", yes=yes or len(letters) == 1)


def _none(among: int, state: str, reason: str | None) -> str:
    if not among:
        return "There is no dead letter."
    asked = ("" if state == "all" else f" is {state}") + ("" if reason is None else f" for reason {reason}")
    return escape(f"None of {among} dead letters{asked or ' is listed'}. All: `sosie dead-letters list --state all`.")


def _shown(data: bytes | None, truncated: bool) -> list[str]:
    """Lines that show an event's value on a terminal: text with control characters escaped, or hex."""
    if data is None:
        return ["  its value is null"]
    if not data:
        return ["  its value is empty"]
    part = data[:_SHOWN_BYTES]
    try:
        # A character that was cut at the end is no reason to take text for binary data.
        text = codecs.getincrementaldecoder("utf-8")().decode(part, final=not truncated and part == data)
    except UnicodeDecodeError:
        part = data[:_SHOWN_BINARY_BYTES]
        what, text = "binary", part.hex(" ")
    else:
        what, text = "text", _escaped(text)
    beginning = ", the beginning of a longer one" if truncated else ""
    cut = "" if part == data else f"; the first {len(part)} here, all with --json"
    return [f"  its value, {len(data)} bytes of {what}{beginning}{cut}:", text]


def _escaped(text: str) -> str:
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)


def _line(text: str, length: int | None = None) -> str:
    line = _escaped(" ".join(text.split()))
    return line if length is None or len(line) <= length else line[: length - 1] + "…"


def _age(age: timedelta) -> str:
    seconds = max(0, int(age.total_seconds()))  # another machine's clock may be ahead
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"

"""`sosie trust show|update|remove|verify`"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from cryptography.x509 import Certificate
from rich.markup import escape
from rich.table import Table

from monitor.base import settings
from monitor.base.errors import ConfigError
from monitor.cli.identity import leave_a_trail
from monitor.cli.output import out, print_json
from monitor.provenance.trust import TrustLists
from monitor.provenance.trust_files import Kind
from monitor.scan.rejudge import Reevaluated, reevaluate
from monitor.scan.workshop import Workshop

app = typer.Typer(help="Whose signatures are believed.", no_args_is_help=True)
_JSON = typer.Option("--json", help="JSON instead of text.")
_NOBODY = (
    "No trust list is loaded, so nothing can be trusted: an intact signature is reported as untrusted, which it then is.\n"
    "Download the lists from their publishers and run `sosie trust update FILE…`."
)


@app.command()
def show(json: Annotated[bool, _JSON] = False) -> None:
    """The lists in force, with the SHA-256 of each file, to be compared with its publisher's."""
    with Workshop(settings.load()) as workshop:
        listed, trust, own = workshop.trust_shelf.listed(), workshop.trust, workshop.settings.trust_anchors
    if json:
        files = [asdict(each) for each in listed]
        print_json({"version": trust.version, "files": files, "settings": [str(file) for file in own], "signers": _count(trust)})
        return
    table = Table("Kind", "Name", "Holds", "Added", "SHA-256", box=None, pad_edge=False)
    holds = {item.name: f"{len(item.certificates)} authorities for {item.purpose}" for item in trust.lists}
    holds |= {item.name: f"{len(item.certificates)} signers" for item in trust.allowed}
    for each in listed:
        table.add_row(*map(escape, (each.kind, each.name, holds.get(each.name, ""), each.added_at, each.sha256)))
    for file in own:
        table.add_row(*map(escape, ("settings", file.name, holds.get(file.name, ""), "", str(file))))
    if table.row_count:
        out.print(table)
    out.print(f"Version {trust.version}; verdicts name it, the list that matched, and the certificate on it.")
    if not _count(trust):
        out.print(_NOBODY)


@app.command()
def update(
    files: Annotated[list[Path] | None, typer.Argument(metavar="FILE…", help="Lists as they were published.", show_default=False)] = None,
    kind: Annotated[Kind | None, typer.Option(help="What the files are; default: told by their own words.")] = None,
    name: Annotated[
        str | None, typer.Option(help="What verdicts call the list (one file); default: its common name, or the file's.")
    ] = None,
    sha256: Annotated[str | None, typer.Option(help="What the one file must have, from its publisher.")] = None,
) -> None:
    """Put lists in force, from the next video on, in every process; then judge stored videos by them. Without files: only judge.

    The official list, its time-stamp list and the interim lists replace an older one of their kind.
    """
    with Workshop(settings.load()) as workshop:
        before = workshop.trust.version
        added = workshop.trust_shelf.update(files, kind=kind, name=name, sha256=sha256) if files else []
        for each in added:
            out.print(f"[bold]{each.kind}[/]  {escape(each.name)}, SHA-256 {each.sha256}")
        _follow(workshop, before, "trust.updated", [each.name for each in added])


@app.command()
def remove(name: Annotated[str, typer.Argument(help="The list's name, as `show` has it.")]) -> None:
    """Believe a list no more, and judge stored videos without it."""
    with Workshop(settings.load()) as workshop:
        before = workshop.trust.version
        workshop.trust_shelf.remove(name)
        out.print(f"{escape(name)} is believed no more.")
        _follow(workshop, before, "trust.removed", [name])


@app.command()
def verify() -> None:
    """Check that every list is the file that was put in force. Exits with 1 if one is not."""
    with Workshop(settings.load()) as workshop:
        trust = workshop.trust
        listed = workshop.trust_shelf.listed()
        expired = [item.name for item in trust.lists if _all_expired(item.certificates)]
    for name in expired:
        out.print(f"[bold]{escape(name)}[/]: every authority on it has expired.")
    out.print(f"{len(listed)} files of the bundle are what was put in force; version {trust.version}.")
    if not _count(trust):
        raise ConfigError("The trust bundle", "vouches for nobody: no list of signers is loaded", "`sosie trust update FILE…` takes them")


def _follow(workshop: Workshop, before: str, action: str, names: list[str]) -> None:
    trust = workshop.trust
    if trust.version != before:
        leave_a_trail(workshop, action, "trust", trust.version, lists=names, before=before)
    out.print(f"Trust version {trust.version}{' (unchanged)' if trust.version == before else ''}.")
    _print(reevaluate(workshop.store, workshop.sandbox, workshop.policies, trust))
    if not _count(trust):
        out.print(_NOBODY)


def _print(done: Reevaluated) -> None:
    out.print(
        f"{done.judged} stored videos judged again: {done.states_changed} verdicts changed, "
        f"{done.flags_gained} flags gained, {done.flags_lost} lost."
    )
    if done.unread:
        out.print(f"{done.unread} could not be judged again: their manifests cannot be read any more. Scan them again.")
    if done.of_other_lists:
        out.print(f"{done.of_other_lists} videos keep the verdict of earlier lists until they are scanned again: nobody was found in them.")


def _count(trust: TrustLists) -> int:
    return sum(len(item.certificates) for item in trust.signers) + sum(len(item.certificates) for item in trust.allowed)


def _all_expired(certificates: Sequence[Certificate]) -> bool:
    now = datetime.now(UTC)
    return all(each.not_valid_after_utc < now for each in certificates)

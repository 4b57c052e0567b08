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
from monitor.base.errors import ConfigError, InForceUnreadable
from monitor.cli.output import out, print_json
from monitor.provenance.trust import TrustLists
from monitor.provenance.trust_files import USAGES_MISSING, Kind
from monitor.scan.judged_by import judged_by_others
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
    """The lists in force, with the SHA-256 of each file, to be compared with its publisher's. One that is damaged says what to do."""
    with Workshop(settings.load()) as workshop:
        listed, own = workshop.trust_shelf.listed(), workshop.settings.trust_anchors
        trust, damage = _readable(workshop)
        others = [] if trust is None else judged_by_others(workshop.store, trust)
        lacking = workshop.trust_shelf.lacks_usages()
    if json:
        files = [asdict(each) for each in listed]
        said = {"version": trust and trust.version, "files": files, "settings": [str(file) for file in own]}
        print_json({**said, "signers": trust and _count(trust), "judged_by_others": [asdict(other) for other in others]})
        return
    table = Table("Kind", "Name", "Holds", "Added", "SHA-256", box=None, pad_edge=False)
    holds = {} if trust is None else {item.name: f"{len(item.certificates)} authorities for {item.purpose}" for item in trust.lists}
    holds |= {} if trust is None else {item.name: f"{len(item.certificates)} signers" for item in trust.allowed}
    holds |= {each.name: "damaged" for each in listed if each.damage is not None}
    for each in listed:
        table.add_row(*map(escape, (each.kind, each.name, holds.get(each.name, ""), each.added_at[:10], each.sha256)))
    for file in own:
        table.add_row(*map(escape, ("settings", file.name, holds.get(file.name, ""), "", str(file))))
    if table.row_count:
        out.print(table)
    for each in listed:
        if each.damage is not None:
            out.print(f"[bold]{escape(each.name)}[/]: {escape(each.damage)}")
    if trust is None:
        out.print(f"Nothing is judged until this is mended: {escape(damage)}")
        return
    out.print(f"Version {trust.version}; verdicts name it, the list that matched, and the certificate on it.")
    for other in others:
        out.print(escape(str(other)))
    if lacking:
        out.print(USAGES_MISSING)
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
    replace: Annotated[bool, typer.Option("--replace", help="Let a file take the place of another of its name.")] = False,
) -> None:
    """Put lists in force, from the next video on, on every machine; then judge stored videos by them. Without files: only judge.

    Published lists are called by their common names, so a newer one takes the older one's place: that takes --replace.
    """
    with Workshop(settings.load()) as workshop:
        added = workshop.trust_shelf.update(files, kind=kind, name=name, sha256=sha256, replace=replace) if files else []
        for each in added:
            out.print(f"[bold]{each.kind}[/]  {escape(each.name)}, SHA-256 {each.sha256}")
        _follow(workshop, changed=bool(added))


@app.command()
def remove(name: Annotated[str, typer.Argument(help="The list's name, as `show` has it.")]) -> None:
    """Believe a list no more, and judge stored videos without it."""
    with Workshop(settings.load()) as workshop:
        workshop.trust_shelf.remove(name)
        out.print(f"{escape(name)} is believed no more.")
        _follow(workshop, changed=True)


@app.command()
def verify() -> None:
    """Check that every list is the file that was put in force. Exits with 1 if one is not."""
    with Workshop(settings.load()) as workshop:
        trust = workshop.trust
        listed = workshop.trust_shelf.listed()
        lacking = workshop.trust_shelf.lacks_usages()
        expired = [item.name for item in trust.lists if _all_expired(item.certificates)]
    for name in expired:
        out.print(f"[bold]{escape(name)}[/]: every authority on it has expired.")
    if lacking:
        out.print(USAGES_MISSING)
    out.print(f"{len(listed)} lists are what was put in force; version {trust.version}.")
    if not _count(trust):
        raise ConfigError("The trust lists", "vouch for nobody: no list of signers is in force", "`sosie trust update FILE…` takes them")


def _readable(workshop: Workshop) -> tuple[TrustLists | None, str]:
    """The trust lists in force; None, with what to do, where the lists cannot be read."""
    try:
        return workshop.trust, ""
    except InForceUnreadable as error:
        return None, str(error)


def _follow(workshop: Workshop, *, changed: bool) -> None:
    trust, damage = _readable(workshop)
    if trust is None:
        out.print(f"Stored videos are not judged again until this is mended: {escape(damage)}")
        return
    out.print(f"Trust version {trust.version}{'' if changed else ' (unchanged)'}.")
    _print(reevaluate(workshop.store, workshop.sandbox, workshop.policies, trust))
    if workshop.trust_shelf.lacks_usages():
        out.print(USAGES_MISSING)
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

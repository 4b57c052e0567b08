"""`sosie reconcile`"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from monitor.base import settings
from monitor.cli.output import out, print_json
from monitor.scan.workshop import Workshop

if TYPE_CHECKING:
    from streams.reconcile import Report

_SHOWN = 50


def reconcile(
    since: Annotated[datetime | None, typer.Option(help="Only events from this time on (UTC).")] = None,
    file: Annotated[
        str | None, typer.Option("--from", metavar="FILE.ndjson", help="Also say which posts of this file never reached the topic.")
    ] = None,
    platform: Annotated[str | None, typer.Option(help="As it was given to `sosie submit` with this file.")] = None,
    json: Annotated[bool, typer.Option("--json", help="The report as one JSON object.")] = False,
) -> None:
    """Compare what was submitted with results and dead letters; print what is missing.

    Exits with 1 when something is missing, doubled, lost to retention or never submitted. Changes nothing.
    """
    if since is not None and file is not None:
        raise typer.BadParameter("--from looks at the whole topic; leave --since out.")
    from streams.connection import require_brokers
    from streams.reconcile import reconcile_all
    from streams.submission import ids_of_file

    configured = settings.load()
    require_brokers(configured)
    with Workshop(configured) as workshop:
        wanted = () if file is None else ids_of_file(file, platform)
        report = reconcile_all(workshop.settings, workshop.store, since=None if since is None else since.replace(tzinfo=UTC), wanted=wanted)
    if json:
        print_json(asdict(report) | {"sound": report.sound})
    else:
        _print(report)
    if not report.sound:
        raise typer.Exit(1)


def _print(report: Report) -> None:
    dead = sum(report.dead.values())
    out.print(f"{report.events} events of {report.posts} posts: {report.done} done, {dead} dead letters, {report.waiting} waiting.")
    for reason, count in sorted(report.dead.items()):
        out.print(f"  {count} {reason}")
    if report.resolved:
        out.print(f"{len(report.resolved)} dead letters wait although their posts have a result; they may be discarded:")
        _list("resolved", report.resolved, "bold")
    _list("missing", [f"post {each.post_id or '?'}, partition {each.partition}, offset {each.offset}" for each in report.missing])
    _list("doubled", report.doubled)
    _list("never submitted", [f"post {post}: no event, no result, no dead letter" for post in report.never_submitted])
    if report.missing:
        out.print(
            "Missing events were acknowledged, and nothing came of them. Submit their posts again, and report it: it must never happen."
        )
    if report.doubled:
        out.print("Doubled are things of which there may be one. Nothing is lost; report it: it must never happen.")
    if report.lost:
        out.print(f"[bold red]lost:[/] {report.lost} events, deleted by retention before any worker had done them: see `sosie topics lag`.")
    if report.never_submitted:
        out.print("Submit the file again: what has arrived makes nothing twice.")
    if report.sound:
        later = f" {report.waiting} events wait for workers: see `sosie topics lag`." if report.waiting else ""
        out.print(f"Nothing is missing, nothing is doubled.{later}")


def _list(what: str, found: Sequence[str], style: str = "bold red") -> None:
    for line in found[:_SHOWN]:
        out.print(f"[{style}]{what}:[/] {escape(line)}")
    if len(found) > _SHOWN:
        out.print(f"[{style}]{what}:[/] and {len(found) - _SHOWN} more; --json names all")

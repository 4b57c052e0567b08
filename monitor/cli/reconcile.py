"""`sosie reconcile`"""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from monitor import settings
from monitor.cli.output import out, print_json
from monitor.workshop import Workshop

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
    from streams.reconcile import reconcile_all
    from streams.submission import ids_of_file

    with Workshop(settings.load()) as workshop:
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
        out.print(
            f"{len(report.resolved)} dead letters have a result after all, and may be discarded: {', '.join(report.resolved[:_SHOWN])}"
        )
    if report.lost:
        out.print(f"[bold red]lost:[/] {report.lost} events were deleted by retention before a worker took them")
    for each in report.missing[:_SHOWN]:
        out.print(f"[bold red]missing:[/] partition {each.partition}, offset {each.offset}, post {escape(each.post_id or '?')}")
    for line in report.doubled[:_SHOWN]:
        out.print(f"[bold red]doubled:[/] {escape(line)}")
    for post in report.never_submitted[:_SHOWN]:
        out.print(f"[bold red]never submitted:[/] {escape(post)}")
    more = sum(max(0, len(found) - _SHOWN) for found in (report.missing, report.doubled, report.never_submitted))
    if more:
        out.print(f"and {more} more; --json names all")
    if report.sound:
        out.print("Nothing is missing, nothing is doubled.")

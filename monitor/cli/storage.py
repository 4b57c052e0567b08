"""`sosie storage check|migrate`"""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape

from monitor.base import settings
from monitor.base.errors import RequestRefused
from monitor.base.storage import blobs_at
from monitor.base.storage_key import load_storage_key
from monitor.base.storage_moves import copy_blobs
from monitor.cli.output import err, out, print_json
from monitor.scan.storage_check import check_storage, erase_orphans
from monitor.scan.workshop import Workshop

HOME = "home"

app = typer.Typer(help="Pictures, stills, snapshots and fingerprints: in the home, or in a bucket.", no_args_is_help=True)


@app.command()
def check(
    erase_orphaned: Annotated[
        bool, typer.Option("--erase-orphaned", help="Delete pictures that nothing names and that are older than an hour.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Read every blob that the database names, and every snapshot and fingerprint. Exits with 1 where any is missing or damaged."""
    with Workshop(settings.load()) as workshop:
        place = workshop.blobs.place
        report = check_storage(workshop.blobs, workshop.store, workshop.kept_fingerprints)
        if erase_orphaned:
            erase_orphans(workshop.blobs, report)
    kinds = {"missing": report.missing, "damaged": report.damaged, "orphaned": report.orphaned}
    if json:
        print_json(
            {
                "place": place,
                "read": report.read,
                "erased_orphans": erase_orphaned,
                **{kind: [{"name": each.name, "why": each.why} for each in found] for kind, found in kinds.items()},
            }
        )
    else:
        for kind, found in kinds.items():
            for each in found:
                out.print(f"[bold]{kind}[/]  {escape(each.name)}: {escape(each.why)}")
        erased = " (erased)" if erase_orphaned else ""
        out.print(
            f"{escape(place)}: {report.read} read, {len(report.missing)} missing, {len(report.damaged)} damaged, "
            f"{len(report.orphaned)} orphaned{erased}."
        )
    if not report.sound:
        raise typer.Exit(1)


@app.command()
def migrate(
    to: Annotated[str, typer.Argument(metavar="TO_URL", help="s3://BUCKET/PREFIX, or `home` for the folder.", show_default=False)],
) -> None:
    """Copy all blobs from where they are to TO_URL, and verify each. Deletes nothing; may be broken off and begun again.

    Stop workers and consoles first, or run it once more after they have gone over.
    """
    current = settings.load()
    target_settings = settings.load(storage_url=None if to == HOME else to)
    if current.storage_url == target_settings.storage_url:
        raise RequestRefused(to, "is where the blobs are already", "Name another place, or change SOSIE_STORAGE_URL back first")
    source, target = blobs_at(current, current.storage_url), blobs_at(target_settings, target_settings.storage_url)
    key = load_storage_key(target_settings, shared=target_settings.storage_url is not None)
    moved = copy_blobs(source, target, key, told=lambda name: err.print(escape(name)))
    out.print(
        f"{escape(source.place)} → {escape(target.place)}: {moved.copied} copied ({moved.size_bytes / 1e6:.1f} MB), "
        f"{moved.there} were there already; each was read back and compared."
    )
    if to == HOME:
        out.print("Now unset SOSIE_STORAGE_URL, and leave SOSIE_STORAGE_KEY_FILE as it is.")
    else:
        out.print(f"Now set SOSIE_STORAGE_URL={escape(to)} and SOSIE_STORAGE_KEY_FILE (the same key) on every machine.")
    out.print(
        f"Then run `sosie storage check`, and delete what is left at {escape(source.place)}: a later removal no longer reaches it there."
    )

"""`sosie likeness add|list|show|remove`"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from monitor.base import audit, settings
from monitor.base.errors import SosieError
from monitor.cli.identity import COMMAND_LINE
from monitor.cli.output import err, go_on, out, print_error, print_json
from monitor.registry import consents, erasure, likenesses, references
from monitor.scan.workshop import Workshop

app = typer.Typer(help="Protected persons and their reference pictures.", no_args_is_help=True)


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="The person's name.")],
    pictures: Annotated[
        list[Path], typer.Argument(metavar="PICTURE|VIDEO…", help="Pictures with exactly one face, or videos of the person alone.")
    ],
    deceased: Annotated[datetime | None, typer.Option(metavar="DATE", formats=["%Y-%m-%d"], help="Day of death.")] = None,
    holder: Annotated[str | None, typer.Option(help="Who speaks for the likeness.")] = None,
    territory: Annotated[str | None, typer.Option(help="Where it is protected.")] = None,
) -> None:
    """Register a likeness, or give one more references. The same picture again changes nothing."""
    with Workshop(settings.load()) as workshop:
        prepared, refused = [], 0
        for picture in pictures:
            try:
                prepared += workshop.enrolment.prepare(picture)
            except SosieError as error:
                refused += 1
                print_error(error)
        if not prepared:
            err.print(f"{escape(name)}: nothing was stored, because no picture could be used.")
            raise typer.Exit(1)
        with workshop.store.session() as session:
            likeness, _ = likenesses.add_likeness(
                session,
                name,
                deceased_on=deceased.date() if deceased else None,
                holder=holder,
                territory=territory,
                actor=COMMAND_LINE,
                now=datetime.now(UTC),
            )
            kept = [workshop.enrolment.keep(session, likeness.id, item, actor=COMMAND_LINE) for item in prepared]
        for item, (_, created) in zip(prepared, kept, strict=True):
            out.print(f"{escape(likeness.name)}: {escape(item.source)} {'added' if created else 'was there already; nothing changed'}")
        workshop.gallery.current()
    if refused:
        raise typer.Exit(1)


@app.command("list")
def list_(json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """All protected likenesses."""
    with Workshop(settings.load()) as workshop, workshop.store.session(read_only=True) as session:
        table = Table("Name", "Deceased", "Rights holder", "Territory", "References", box=None, pad_edge=False)
        for likeness in likenesses.list_likenesses(session):
            count = len(references.references(session, likeness.id))
            day = likeness.deceased_on.isoformat() if likeness.deceased_on else None
            if json:
                print_json(
                    {
                        "id": likeness.id,
                        "name": likeness.name,
                        "deceased": day,
                        "holder": likeness.holder,
                        "territory": likeness.territory,
                        "references": count,
                    }
                )
            table.add_row(escape(likeness.name), day or "", escape(likeness.holder or ""), escape(likeness.territory or ""), str(count))
        if not json:
            out.print(table if table.row_count else "No likeness is registered. Add one: sosie likeness add NAME PICTURE…")


@app.command()
def show(name: Annotated[str, typer.Argument(help="Name or id.")]) -> None:
    """One likeness: its facts, references and consents."""
    with Workshop(settings.load()) as workshop, workshop.store.session(read_only=True) as session:
        likeness = likenesses.get_likeness(session, name)
        out.print(f"[bold]{escape(likeness.name)}[/]  ({likeness.id})")
        out.print(f"  {f'deceased {likeness.deceased_on}' if likeness.deceased_on else 'living'}")
        out.print(f"  rights holder: {escape(likeness.holder or 'not stated')}; territory: {escape(likeness.territory or 'not stated')}")
        for reference in references.references(session, likeness.id):
            out.print(f"  reference {reference.id[:8]}  {escape(reference.source)}  added {reference.created_at:%Y-%m-%d}")
        for consent in consents.list_consents(session, likeness_id=likeness.id):
            term = "revoked" if consent.revoked_at else f"until {consent.valid_until:%Y-%m-%d}" if consent.valid_until else "open-ended"
            out.print(f"  consent {consent.id[:8]}  {escape(consent.licensee)}  {term}")


@app.command()
def remove(
    name: Annotated[str, typer.Argument(help="Name or id.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove a likeness with its pictures and vectors, those in the snapshots of the index too. The next search, of any process, no longer
    finds it; its cases stay, with their stills.
    """
    with Workshop(settings.load()) as workshop:
        with workshop.store.session(read_only=True) as session:
            likeness = likenesses.get_likeness(session, name)
            pictures = len(references.references(session, likeness.id))
        go_on(f"Remove {likeness.name}, with {pictures} references, for good?", yes=yes)
        with workshop.store.session() as session:
            likeness = likenesses.get_likeness(session, likeness.id)
            files = likenesses.remove_likeness(session, likeness.id, actor=COMMAND_LINE, now=datetime.now(UTC))
        try:
            for file in files:
                workshop.blobs.delete(file)
            snapshots = erasure.erase_removed(workshop.blobs, workshop.store)
        except SosieError:
            err.print(
                f"{escape(likeness.name)} is not found any more, but not all pictures and snapshots could be erased yet. Once the fault "
                "below is mended, run `sosie storage check --erase-orphaned`; the snapshots follow by themselves."
            )
            raise
        workshop.store.scrub()
        with workshop.store.session() as session:
            audit.record(
                session,
                now=datetime.now(UTC),
                actor=COMMAND_LINE,
                action="likeness.erased",
                subject_type="likeness",
                subject_id=likeness.id,
                detail={"pictures": len(files), "snapshots": snapshots},
            )
        out.print(f"{escape(likeness.name)} was removed, with {len(files)} pictures and {snapshots} snapshots of the index.")
        _, version = workshop.gallery.current()
        out.print(f"Index {version} is in use.")

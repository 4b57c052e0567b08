"""`sosie watermark add|list|remove|look`"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from monitor.base import settings
from monitor.base.errors import RequestRefused
from monitor.cli.output import out, print_json
from monitor.intake.sniff import require_video
from monitor.scan.result import clock_text
from monitor.scan.workshop import Workshop
from monitor.vision.watermark import Sighting

app = typer.Typer(help="Visible marks of generators, looked for in every video.", no_args_is_help=True)
_JSON = typer.Option("--json", help="One JSON object per mark and line.")


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="What to call the mark.")],
    template: Annotated[Path, typer.Argument(metavar="TEMPLATE.png", help="The mark alone, best on transparency.")],
    generator: Annotated[str | None, typer.Option(help="The generator that puts it on its videos; default: the mark's name.")] = None,
) -> None:
    """Look for a mark from now on. A mark is weak evidence: it is cropped away as easily as it is forged."""
    with Workshop(settings.load()) as workshop:
        kept, new = workshop.watermarks.add(name, template, generator)
    out.print(f"{escape(kept.name)} {'is looked for from now on' if new else 'was there already'} ({kept.sha256[:12]}).")


@app.command("list")
def list_(json: Annotated[bool, _JSON] = False) -> None:
    """The marks looked for."""
    with Workshop(settings.load()) as workshop:
        kept = workshop.watermarks.kept()
    if json:
        for mark in kept:
            print_json(asdict(mark))
        return
    if not kept:
        out.print("No mark is looked for. `sosie watermark add NAME TEMPLATE.png` adds one.")
        return
    table = Table("name", "generator", "added", "SHA-256", box=None)
    for mark in kept:
        table.add_row(escape(mark.name), escape(mark.generator or ""), mark.added_at[:10], mark.sha256[:12])
    out.print(table)
    for mark in kept:
        if mark.damage is not None:
            out.print(f"[bold]{escape(mark.name)}[/] is damaged: {escape(mark.damage)}")


@app.command()
def remove(name: Annotated[str, typer.Argument(help="The mark's name.")]) -> None:
    """Look for a mark no more."""
    with Workshop(settings.load()) as workshop:
        workshop.watermarks.remove(name)
    out.print(f"{escape(name)} is looked for no more.")


@app.command()
def look(
    video: Annotated[Path, typer.Argument(help="A video on this machine.")],
    json: Annotated[bool, _JSON] = False,
) -> None:
    """Try the marks on a video: how sure each is, when and where. Nothing is stored."""
    with Workshop(settings.load()) as workshop:
        templates = workshop.watermarks.current().templates
        if not templates:
            raise RequestRefused(video, "there is no mark to look for", "Add one with `sosie watermark add NAME TEMPLATE.png`")
        require_video(video, str(video))
        sightings = workshop.decoding.look_for_marks(video, str(video), templates)
    for sighting in sightings:
        if json:
            print_json(sighting.to_json())
        else:
            out.print(_sentence(sighting))


def _sentence(sighting: Sighting) -> str:
    name = f"[bold]{escape(sighting.name)}[/]"
    if not sighting.ranges:
        return f"{name}  not seen (score {sighting.score:.2f})"
    when = ", ".join(f"{clock_text(start)}–{clock_text(end)}" for start, end in sighting.ranges)
    left, top, right, bottom = (round(100 * edge) for edge in sighting.box)
    where = f"clearest at {clock_text(sighting.at_s)}, from {left} % to {right} % across and {top} % to {bottom} % down"
    return f"{name}  seen (score {sighting.score:.2f}): {when}; {where}"

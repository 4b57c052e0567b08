"""`sosie index show|verify|rebuild`"""

from __future__ import annotations

import typer

from monitor.base import settings
from monitor.cli.output import out
from monitor.scan.workshop import Workshop

app = typer.Typer(help="The search index, a copy of the registry.", no_args_is_help=True)


@app.command()
def show() -> None:
    """The index in use: version, spaces, references."""
    with Workshop(settings.load()) as workshop:
        indexes, version = workshop.gallery.current()
        out.print(f"Version {version}")
        for index in indexes:
            out.print(
                f"  {index.space.model}: {len(index)} references, {index.space.dim} dimensions, cohort of {len(index.background.cohort)}"
            )


@app.command()
def verify() -> None:
    """Read the index files byte for byte against their manifests."""
    with Workshop(settings.load()) as workshop:
        counts = workshop.gallery.verify()
        if not counts:
            out.print("No index has been written yet.")
        for space, count in counts.items():
            out.print(f"{space}: {count} references, every byte as published")


@app.command()
def rebuild() -> None:
    """Embed what the model in use has not embedded yet, and make the index anew from the registry."""
    with Workshop(settings.load()) as workshop:
        embedded = workshop.enrolment.rebuild()
        version = workshop.gallery.rebuild()
        out.print(f"{embedded} references embedded; index {version} is in use.")

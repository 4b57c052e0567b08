"""`sosie model list|show|use`"""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from monitor.base import settings
from monitor.cli.output import out
from monitor.scan.workshop import Workshop
from monitor.vision import models
from monitor.vision.models import ModelDescription

app = typer.Typer(help="The picture encoder: which is in use, and how to change it.", no_args_is_help=True)


@app.command("list")
def list_() -> None:
    """The encoders at hand; the one in use is marked."""
    table = Table("", "Encoder", "Dimensions", "Weights SHA-256", "", box=None, pad_edge=False)
    for model in models.available(settings.load()):
        sha = model.weights_sha256 or ""
        table.add_row("*" if model.in_use else "", escape(model.spec), str(model.dim or ""), sha[:16], escape(model.problem or ""))
    out.print(table)
    out.print("Any open_clip model can be used: sosie model use ViT-B-32/laion2b_s34b_b79k, or a weights file of your own.")


@app.command()
def show(encoder: Annotated[str | None, typer.Argument(help="Default: the one in use.")] = None) -> None:
    """One encoder: its weights, their SHA-256, and what it sees."""
    current = settings.load()
    _print(models.describe(encoder or current.encoder, in_use=encoder in (None, current.encoder)))


@app.command()
def use(encoder: Annotated[str, typer.Argument(help="`bundled`, NAME/PRETRAINED, FILE, or NAME@FILE.")]) -> None:
    """Change the encoder: load it, write it to sosie.toml, and embed the references with it."""
    described = models.use(settings.load().home, encoder)
    _print(described)
    if not described.in_use:
        out.print("[yellow]SOSIE_ENCODER is set and wins over sosie.toml: unset it to use this encoder.[/]")
        return
    with Workshop(settings.load()) as workshop:
        embedded = workshop.enrolment.rebuild()
        version = workshop.gallery.rebuild()
        out.print(f"{embedded} references embedded; index {version} is in use.")


def _print(model: ModelDescription) -> None:
    out.print(f"[bold]{escape(model.model)}[/]{'  (in use)' if model.in_use else ''}")
    facts = {
        "encoder": model.spec,
        "source": model.source.value,
        "weights": model.weights,
        "weights SHA-256": model.weights_sha256,
        "parameters": f"{model.parameters:,}" if model.parameters else None,
        "dimensions": model.dim,
        "picture size": "x".join(map(str, model.image_size_px)) if model.image_size_px else None,
        "problem": model.problem,
    }
    for name, value in facts.items():
        if value is not None:
            out.print(f"  {name}: {escape(str(value))}")

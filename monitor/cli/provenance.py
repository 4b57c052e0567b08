"""`sosie provenance FILE`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from monitor import settings
from monitor.cli.output import out, print_json
from monitor.errors import NotFound
from monitor.provenance.check import check
from monitor.provenance.sentences import sentences
from monitor.workshop import Workshop


def provenance(
    file: Annotated[Path, typer.Argument(help="A video, picture or other file that may carry a C2PA manifest.")],
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """What a file says of its own origin, and how far that can be believed."""
    if not file.is_file():
        raise NotFound(file, "no such file", "Check the path")
    with Workshop(settings.load()) as workshop:
        found = workshop.sandbox.run(check, file, workshop.trust, source=str(file))
    if json:
        print_json({"source": str(file), **found.to_json()})
        return
    out.print(f"[bold]{found.state.value}[/]  {escape(str(file))}")
    for sentence in sentences(found):
        out.print(f"  {escape(sentence)}")

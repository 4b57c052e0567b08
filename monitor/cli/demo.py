"""`sosie demo`"""

from __future__ import annotations

import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from monitor.cast.credentials import Studio
from monitor.cast.posts import POSTS, LabelledPost
from monitor.cli import demonstration
from monitor.cli.output import err, out, print_json
from monitor.cli.serve import serve_console
from monitor.scan.result import ScanResult
from monitor.scan.workshop import Workshop


def demo(
    serve: Annotated[bool, typer.Option(help="Serve the console afterwards.")] = True,
    json: Annotated[bool, typer.Option("--json", help="Print the score as one JSON object.")] = False,
    home: Annotated[Path | None, typer.Option(metavar="DIR", help="Keep the demo's home here; default: a temporary folder.")] = None,
    port: Annotated[int, typer.Option(help="Port of the console; 0 takes a free one.")] = 8000,
) -> None:
    """See Sosie work: fictional people, labelled posts, a review queue. No network, no account, no GPU.

    Exits with 1 if a post was missed or falsely flagged.
    """
    started = time.perf_counter()
    with ExitStack() as stack:
        folder = home or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sosie-demo-")))
        studio = Studio()
        workshop = stack.enter_context(Workshop(demonstration.demo_settings(folder.absolute(), studio, serve_port=port)))
        score = _run(workshop, studio, quiet=json, started=started)
        seconds = round(time.perf_counter() - started, 1)
        if json:
            print_json(
                {
                    "posts": score.posts,
                    "cases": len(score.cases),
                    "expected": score.expected,
                    "missed": score.missed,
                    "false": score.false,
                    "seconds": seconds,
                }
            )
        else:
            out.print(f"\n{score.posts} posts, {len(score.cases)} cases ({score.expected} expected) in {seconds} s.")
        for line in score.missed:
            err.print(f"[bold red]missed:[/] {escape(line)}")
        for line in score.false:
            err.print(f"[bold red]false:[/] {escape(line)}")
        if serve:
            serve_console(workshop)
    if score.missed or score.false:
        raise typer.Exit(1)


def _run(workshop: Workshop, studio: Studio, *, quiet: bool, started: float) -> demonstration.Score:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        task = progress.add_task("Rendering the cast, scanning its posts", total=POSTS)
        first = True

        def tell(post: LabelledPost, result: ScanResult) -> None:
            nonlocal first
            progress.advance(task)
            if quiet:
                return
            mark = "[bold red]FLAGGED[/]" if result.flagged else "[green]clear  [/]"
            out.print(f"{mark} {result.assessment.risk:.2f}  {escape(post.account):<18} {escape(post.label)}")
            if result.flagged and first:
                first = False
                err.print(f"[dim]first flagged case after {time.perf_counter() - started:.1f} s[/]")

        return demonstration.run(workshop, studio, tell)

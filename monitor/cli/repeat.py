"""`sosie repeat POST…`"""

from __future__ import annotations

from collections import Counter
from typing import Annotated

import typer
from rich.markup import escape

from monitor.base import settings
from monitor.cli.output import out, print_json
from monitor.review import assessments
from monitor.scan.repeat import Repeater, Repetition
from monitor.scan.workshop import Workshop


def repeat(
    posts: Annotated[list[str] | None, typer.Argument(metavar="POST…", help="Ids of posts.", show_default=False)] = None,
    last: Annotated[int, typer.Option(min=1, help="Without posts: so many of the latest assessments.")] = 100,
    history: Annotated[bool, typer.Option("--history", help="Those as well that later ones superseded.")] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON object per assessment and line.")] = False,
) -> None:
    """Make stored assessments again, from what they rest on, and compare. Exits with 1 where one says something else.

    The match is made anew while the video's vectors and the index of that version are kept; the weighing always is.
    """
    with Workshop(settings.load()) as workshop:
        with workshop.store.session(read_only=True) as session:
            kept = assessments.latest_assessments(session, posts=posts or None, limit=last, history=history)
        repeater = Repeater(workshop.pipeline, workshop.policies.at)
        repetitions = [repeater.repeat(each) for each in kept]
    for each in repetitions:
        if json:
            print_json(
                {
                    "post": each.post,
                    "likeness": each.likeness,
                    "same": each.same,
                    "anew": list(each.anew),
                    "why_not": list(each.why_not),
                    "differences": list(each.differences),
                }
            )
        elif not each.same:
            out.print(f"[bold red]{'differs' if each.possible else 'cannot be repeated'}[/]  {escape(_told(each))}")
    if not json:
        whole = sum(1 for each in repetitions if each.same and "match" in each.anew)
        same = sum(1 for each in repetitions if each.same)
        out.print(f"{same} of {len(repetitions)} assessments say the same again; of {whole} the match was made anew as well.")
        for why, times in Counter(why for each in repetitions for why in each.why_not).most_common():
            out.print(f"  not made anew in {times}: {escape(why)}")
    if not all(each.same for each in repetitions):
        raise typer.Exit(1)


def _told(each: Repetition) -> str:
    about = f"post {each.post}" + (f", likeness {each.likeness[:8]}" if each.likeness else "")
    return f"{about}: {'; '.join(each.differences or each.why_not)}"

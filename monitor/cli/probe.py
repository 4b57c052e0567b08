"""`sosie probe train|evaluate|activate|list`"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from monitor.base import settings
from monitor.base.errors import InForceUnreadable, RequestRefused
from monitor.cli.output import out, print_json
from monitor.decision.probe import lessons, teaching
from monitor.decision.probe.shelf import NO_PROBE
from monitor.decision.probe.teaching import Lesson, Probe, Taught, Trial
from monitor.scan.workshop import Workshop

app = typer.Typer(help="Recognises generated pictures, weakly, by what provenance and reviewers taught.", no_args_is_help=True)
_JSON = typer.Option("--json", help="One JSON object.")


@app.command()
def train(
    seed: Annotated[int, typer.Option(min=0, help="Decides which accounts are held back together.")] = 0,
    json: Annotated[bool, _JSON] = False,
) -> None:
    """Make a probe of all that is known now. It does not act: `sosie probe activate` lets it.

    Taught by videos whose trusted credential says how they were made, and by reviewers' verdicts, for the encoder in use.
    """
    with Workshop(settings.load()) as workshop:
        space = workshop.models.encoder.space
        probe = teaching.teach(_lessons(workshop, space.id), space, seed=seed)
        workshop.probes.keep(probe)
        acts = _active(workshop)[0] == probe.version
    if json:
        print_json(_told(probe, active=acts))
        return
    out.print(f"[bold]{probe.version}[/]  {_taught_words(probe)}")
    out.print(f"  AUC on held-back accounts, with its 95 % interval: {probe.auc}.")
    if short := probe.shortcomings():
        out.print(f"  It may not act: {'; '.join(short)}.")
    elif acts:
        out.print("  It acts already.")
    else:
        out.print(f"  It does not act yet: `sosie probe activate {probe.version}`.")


@app.command()
def evaluate(
    version: Annotated[str | None, typer.Argument(help="Of the probe; default: the one that acts.", show_default=False)] = None,
    json: Annotated[bool, _JSON] = False,
) -> None:
    """Try a probe on videos that became known since, of accounts it was taught nothing of."""
    with Workshop(settings.load()) as workshop:
        chosen = version or workshop.probes.active_version()
        if chosen == NO_PROBE:
            raise RequestRefused("The probe", "none acts", "Name one: `sosie probe list` shows them")
        probe = workshop.probes.get(chosen)
        tried = teaching.trial(probe, _lessons(workshop, probe.space.id))
    if json:
        print_json({"version": probe.version, **asdict(tried), "held_back": asdict(probe.auc)})
    else:
        out.print(f"[bold]{probe.version}[/]  {_trial_words(tried)}")
        out.print(f"  When it was taught, its held-back AUC was {probe.auc}.")


@app.command()
def activate(
    version: Annotated[str | None, typer.Argument(help="Of the probe.", show_default=False)] = None,
    off: Annotated[bool, typer.Option("--off", help="Let none act.")] = False,
) -> None:
    """Let a probe act, as weak evidence, from the next video on. Refused unless it was taught enough and beats chance."""
    if off == (version is not None):
        raise typer.BadParameter("give the version of a probe, or --off")
    with Workshop(settings.load()) as workshop:
        if version is None:
            said = "No probe acts from now on." if workshop.probes.deactivate() else "No probe acted before, and none does now."
            out.print(said)
            return
        probe = workshop.probes.activate(version)
    out.print(f"[bold]{probe.version}[/] acts from now on, on videos seen by {probe.space.model}.")


@app.command("list")
def list_(json: Annotated[bool, typer.Option("--json", help="One JSON object per probe and line.")] = False) -> None:
    """The probes, oldest first, what each was taught and which one acts."""
    with Workshop(settings.load()) as workshop:
        active, damage = _active(workshop)
        kept = workshop.probes.listed()
    probes = [each.probe for each in kept if each.probe is not None]
    damaged = [each for each in kept if each.probe is None]
    if json:
        for probe in probes:
            print_json(_told(probe, active=probe.version == active))
        for each in damaged:
            print_json({"version": each.version, "active": each.version == active, "damage": each.damage})
        return
    if not kept and not damage:
        out.print("There is no probe. `sosie probe train` makes one.")
        return
    table = Table("probe", "acts", "generated", "captured", "held-back AUC", "taught from", "until", "encoder", box=None)
    for probe in probes:
        acts = "yes" if probe.version == active else "may not" if probe.shortcomings() else "no"
        counts = str(probe.synthetic.videos), str(probe.captured.videos)
        table.add_row(probe.version, acts, *counts, str(probe.auc), probe.first_day, probe.last_day, probe.space.model)
    if probes:
        out.print(table)
    for each in damaged:
        out.print(f"[bold]{each.version}[/] is damaged: {escape(each.damage or '')}")
    if damage:
        out.print(escape(damage))


def _active(workshop: Workshop) -> tuple[str, str | None]:
    """The version of the probe that acts, and what is wrong with that probe."""
    version = NO_PROBE
    try:
        version = workshop.probes.active_version()
        workshop.probes.active()
    except InForceUnreadable as error:
        return version, str(error)
    return version, None


def _lessons(workshop: Workshop, space_id: str) -> Sequence[Lesson]:
    with workshop.store.session(read_only=True) as session:
        return lessons.lessons(session, space_id)


def _told(probe: Probe, *, active: bool) -> dict[str, Any]:
    """A probe for people and programs, without the numbers, which stand in the probe's file."""
    left_out = ("weights", "lessons", "format")
    rest = {name: value for name, value in probe.to_json().items() if name not in left_out}
    return {"version": probe.version, "active": active, "shortcomings": list(probe.shortcomings()), **rest}


def _taught_words(probe: Probe) -> str:
    return f"taught by {_counts(probe.synthetic, 'generated')} and {_counts(probe.captured, 'captured')}, seen {_days(probe)}."


def _trial_words(tried: Trial) -> str:
    return (
        f"tried on {_counts(tried.synthetic, 'generated')} and {_counts(tried.captured, 'captured')}: AUC {tried.auc}; "
        f"it would mark {tried.synthetic_marked:.0%} of the generated and {tried.captured_marked:.0%} of the captured."
    )


def _counts(taught: Taught, word: str) -> str:
    who = f"{taught.by_provenance} by credentials, {taught.by_verdict} by verdicts"
    return f"{taught.videos} {word} videos of {taught.accounts} accounts ({who})"


def _days(probe: Probe) -> str:
    return f"on {probe.first_day}" if probe.first_day == probe.last_day else f"from {probe.first_day} to {probe.last_day}"

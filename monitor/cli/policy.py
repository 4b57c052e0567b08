"""`sosie policy show|schema|check|diff|propose|list|shadow|activate|backtest`"""

from __future__ import annotations

import json as json_text
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from monitor.base import settings
from monitor.base.errors import PolicyUnreadable
from monitor.cli.identity import As, signed_in
from monitor.cli.output import out, print_json
from monitor.decision import policies, shadows
from monitor.decision.backtest import Backtest, Moved, Share, backtest
from monitor.decision.policy import Policy, default_policy, load_policy
from monitor.decision.policy_diff import Change, changes
from monitor.review.accounts import Role
from monitor.scan.backtest import gather
from monitor.scan.workshop import Workshop

app = typer.Typer(help="How evidence becomes a risk, and where cases go.", no_args_is_help=True)
_JSON = typer.Option("--json", help="JSON instead of text.")
Id = Annotated[str, typer.Argument(metavar="ID", help="A stored policy, by its id or the beginning of it.")]
FileOrId = Annotated[str, typer.Argument(metavar="FILE|ID", help="A policy file, or a stored policy.")]


@app.command()
def show(
    policy: Annotated[str | None, typer.Argument(metavar="FILE|ID", help="Default: the one that acts.")] = None,
    shipped: Annotated[bool, typer.Option("--shipped", help="The one Sosie ships; reads no setting.")] = False,
) -> None:
    """Print a policy as it was written, after checking it."""
    if shipped:
        print(default_policy().text, end="")
        return
    with Workshop(settings.load()) as workshop:
        print(_policy(workshop, policy).text, end="")


@app.command()
def schema() -> None:
    """Print the JSON schema of a policy, for editors."""
    print(json_text.dumps(Policy.model_json_schema(), indent=2))


@app.command()
def check(file: Annotated[Path, typer.Argument(help="A policy file.")]) -> None:
    """Check a policy file; a mistake is told with its line. Says what would change."""
    with Workshop(settings.load()) as workshop:
        policy, (acting, unreadable) = load_policy(file), _acting(workshop)
    out.print(f"{escape(str(file))} is a policy: {escape(policy.id)}.")
    if acting is None:
        out.print(f"What would change cannot be said: {escape(unreadable)}")
    else:
        _print_changes(changes(acting, policy), acting)


@app.command()
def diff(
    policy: FileOrId,
    other: Annotated[str | None, typer.Argument(metavar="FILE|ID", help="Compared with the first; default: what acts is compared.")] = None,
    json: Annotated[bool, _JSON] = False,
) -> None:
    """What changes from one policy to another: from the one that acts to POLICY, or from the first to the second."""
    with Workshop(settings.load()) as workshop:
        before, after = (
            (_policy(workshop, None), _policy(workshop, policy)) if other is None else (_policy(workshop, policy), _policy(workshop, other))
        )
    found = changes(before, after)
    if json:
        for change in found:
            print_json(asdict(change))
    else:
        _print_changes(found, before)


@app.command()
def propose(
    file: Annotated[Path, typer.Argument(help="A policy file.")],
    who: As,
    note: Annotated[str | None, typer.Option(help="Why.")] = None,
) -> None:
    """Store a policy. It does nothing until it is a shadow or activated."""
    policy = load_policy(file)
    with Workshop(settings.load()) as workshop:
        actor = signed_in(workshop, who).name
        with workshop.store.session() as session:
            stored = policies.propose(session, policy.text, name=str(file), note=note, actor=actor, now=datetime.now(UTC))
            out.print(f"Policy {escape(stored.id)} is stored; it was proposed by {escape(stored.proposed_by)} and is {stored.standing}.")


@app.command("list")
def list_(json: Annotated[bool, _JSON] = False) -> None:
    """Every stored policy, what it does, and how shadows parted from what was in force."""
    table = Table("Id", "Does", "Proposed", "Activated", "Saw", "Flags gained", "Flags lost", "Note", box=None, pad_edge=False)
    with Workshop(settings.load()) as workshop:
        (acting, unreadable), file = _acting(workshop), workshop.settings.policy
        with workshop.store.session(read_only=True) as session:
            stored, compared = policies.list_policies(session), shadows.comparisons(session)
            for row in stored:
                seen = compared.get(row.id)
                if json:
                    print_json(
                        {
                            "id": row.id,
                            "standing": row.standing,
                            "proposed_by": row.proposed_by,
                            "proposed_at": row.proposed_at.isoformat(timespec="seconds"),
                            "activated_by": row.activated_by,
                            "activated_at": row.activated_at and row.activated_at.isoformat(timespec="seconds"),
                            "note": row.note,
                            "shadow": seen and asdict(seen),
                        }
                    )
                proposed = f"{row.proposed_by}, {row.proposed_at:%Y-%m-%d %H:%M}"
                activated = f"{row.activated_by}, {row.activated_at:%Y-%m-%d %H:%M}" if row.activated_at else ""
                numbers = ("", "", "") if seen is None else (str(seen.seen), f"+{seen.gained}", f"-{seen.lost}")
                table.add_row(*(escape(cell) for cell in (row.id, row.standing, proposed, activated, *numbers, row.note or "")))
    if json:
        return
    if stored:
        out.print(table)
    if acting is None:
        out.print(escape(unreadable))
    elif not any(row.standing == policies.Standing.ACTIVE for row in stored):
        out.print(f"No stored policy was activated: {escape(acting.id)}, read from a file, acts.")
    elif file is not None:
        out.print(f"SOSIE_POLICY names {escape(str(file))}, which does not act: {escape(acting.id)} was activated.")


@app.command()
def shadow(policy: Id, who: As, off: Annotated[bool, typer.Option("--off", help="Assess with it no longer.")] = False) -> None:
    """Have a policy assess every video beside the one that acts. Nothing follows from what it says."""
    with Workshop(settings.load()) as workshop:
        actor = signed_in(workshop, who, Role.ADMIN).name
        with workshop.store.session() as session:
            row = policies.set_shadow(session, policy, not off, actor=actor, now=datetime.now(UTC))
            out.print(f"Policy {escape(row.id)} {'is no shadow' if off else 'assesses every video as a shadow'} from the next scan on.")


@app.command()
def activate(policy: Id, who: As) -> None:
    """Let a policy act from the next scan on. Where it changes more than words, somebody else must have proposed it."""
    with Workshop(settings.load()) as workshop:
        actor = signed_in(workshop, who, Role.ADMIN).name
        with workshop.store.session() as session:
            row = policies.activate(session, policy, instead_of=workshop.policy, actor=actor, now=datetime.now(UTC))
            out.print(f"Policy {escape(row.id)} acts from the next scan on; {escape(str(row.activated_by))} activated it.")


@app.command("backtest")
def backtest_(
    policy: FileOrId,
    limit: Annotated[int, typer.Option(min=1, help="So many of the latest assessments.")] = 100_000,
    json: Annotated[bool, _JSON] = False,
) -> None:
    """Replay stored assessments under a policy: flags gained and lost, and how both stand against reviewers' verdicts."""
    with Workshop(settings.load()) as workshop:
        tried, acting = _policy(workshop, policy), _policy(workshop, None)
        with workshop.store.session(read_only=True) as session:
            gathered = gather(session, limit=limit)
    result = backtest(gathered.kept, tried)
    unseen = [str(change) for change in changes(acting, tried) if change.where in _NOT_IN_FACTS]
    if json:
        left_out = {"without_facts": gathered.without_facts, "nobody_found": gathered.nobody_found, "not_replayed": unseen}
        print_json({"policy": tried.id, **asdict(result), **left_out})
        return
    _print_backtest(result, tried)
    if gathered.without_facts:
        out.print(f"{gathered.without_facts} assessments of release 0.1 kept no facts and are left out.")
    out.print(
        f"Posts in which nobody was found ({gathered.nobody_found}) cannot be replayed: a lower threshold finds more than this shows."
    )
    for change in unseen:
        out.print(f"[bold]Not replayed:[/] {escape(change)}. Facts do not hold what it depends on; try it as a shadow.")


_NOT_IN_FACTS = {"matching.frames", "matching.frame_z", "matching.clip_weight"}


def _policy(workshop: Workshop, name: str | None) -> Policy:
    """The policy by a name: the one that acts for None, a file's if there is a file of that name, else a stored one."""
    if name is None:
        return workshop.policies.current().active
    if Path(name).is_file():
        return load_policy(Path(name))
    with workshop.store.session(read_only=True) as session:
        return policies.read(policies.get(session, name))


def _acting(workshop: Workshop) -> tuple[Policy | None, str]:
    """The policy that acts; None, with what to do, where this release cannot read it."""
    try:
        return workshop.policies.current().active, ""
    except PolicyUnreadable as error:
        return None, str(error)


def _print_changes(found: list[Change], before: Policy) -> None:
    if not found:
        out.print(f"It says the same as {escape(before.id)}.")
        return
    out.print(f"From {escape(before.id)}:")
    for change in found:
        out.print(f"  {escape(str(change))}")
    if any(change.moves for change in found):
        out.print("It changes what is flagged or where cases go: activating it takes a second person.")


def _print_backtest(result: Backtest, tried: Policy) -> None:
    out.print(f"{result.replayed} assessments replayed under {escape(tried.id)}: {result.flags_before} flags became {result.flags_after}.")
    table = Table("", "before", "after", box=None, pad_edge=False)
    table.add_row("Precision (of decided flags)", _share(result.precision_before), _share(result.precision_after))
    table.add_row("Recall (of confirmed misuse)", _share(result.recall_before), _share(result.recall_after))
    out.print(table)
    _print_moved("gained", result.gained_count, result.gained)
    _print_moved("lost", result.lost_count, result.lost)


def _print_moved(word: str, count: int, examples: tuple[Moved, ...]) -> None:
    out.print(f"[bold]Flags {word}: {count}[/]")
    for moved in examples:
        found = {True: "misuse", False: "no misuse", None: "undecided"}[moved.misuse]
        out.print(
            f"  {escape(moved.post)}, {escape(moved.likeness)}: risk {moved.risk_before:.2f} → {moved.risk_after:.2f}"
            f" ({found}); {escape(moved.reason)}"
        )
    if count > len(examples):
        out.print(f"  and {count - len(examples)} more")


def _share(share: Share) -> str:
    return "no verdicts yet" if not share.of else f"{share.share:.2f} ({share.hits} of {share.of}; 95 %: {share.low:.2f}–{share.high:.2f})"

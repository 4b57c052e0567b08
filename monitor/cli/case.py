"""`sosie case list|show|reopen`"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from monitor.base import settings
from monitor.cli.identity import COMMAND_LINE
from monitor.cli.output import out, print_json
from monitor.review import trail, verdicts, words
from monitor.review.cases import CaseState
from monitor.review.vocabulary import Verdict
from monitor.scan.views import CaseView, case_view, queue_view
from monitor.scan.workshop import Workshop

app = typer.Typer(help="Cases: what waits for a reviewer, and what was decided.", no_args_is_help=True)
CaseId = Annotated[str, typer.Argument(metavar="CASE", help="Id of the case.", show_default=False)]


class Shown(StrEnum):
    """The choice of cases to list."""

    OPEN = "open"
    DECIDED = "decided"
    ALL = "all"


@app.command("list")
def list_(
    state: Annotated[Shown, typer.Option(help="Only cases in this state.")] = Shown.OPEN,
    limit: Annotated[int, typer.Option(min=1, max=500, help="At most so many.")] = 50,
    json: Annotated[bool, typer.Option("--json", help="One JSON object per case and line.")] = False,
) -> None:
    """Cases, the most urgent first."""
    now = datetime.now(UTC)
    wanted = None if state is Shown.ALL else CaseState(state)
    with Workshop(settings.load()) as workshop, workshop.store.session(read_only=True) as session:
        view = queue_view(session, state=wanted, likeness_id=None, name=None, after=None, now=now, limit=limit)
    table = Table("Id", "Risk", "Likeness", "Posts", "State", "Since", box=None, pad_edge=False)
    for row in view.rows:
        case = row.case
        if json:
            print_json(_summary(row.case.id, row.likeness.name, case.state, case.verdict, case.risk) | {"posts": row.posts})
        became = Verdict(case.verdict).label.lower() if case.verdict else ("reopened" if case.reopened_at else case.state)
        cells = [case.id, f"{case.risk:.2f}", row.likeness.name, str(row.posts), became, words.moment(case.waiting_since)]
        table.add_row(*map(escape, cells))
    if not json:
        out.print(table if view.rows else "No such case.")


@app.command()
def show(case: CaseId, json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False) -> None:
    """One case: its posts as they stand now, its verdicts, and everything done to it."""
    with Workshop(settings.load()) as workshop, workshop.store.session(read_only=True) as session:
        view = case_view(session, case)
    if json:
        print_json(_json(view))
        return
    found = view.case
    became = f"decided: {Verdict(found.verdict).label.lower()}" if found.verdict else found.state
    out.print(f"Case {found.id}: {escape(view.likeness.name)}, risk {found.risk:.2f}, {escape(became)}")
    if view.no_flag_stands:
        out.print("No post of it is flagged any more.")
    for post in view.posts:
        out.print(f"  {escape(post.id)}  {escape(post.account or 'unknown account')}  {escape(_standing(view, post.id))}")
    for event in view.trail:
        reason = event.detail.get("reason")
        out.print(f"  {words.moment(event.at)}  {escape(trail.told(event))}{escape(f' “{reason}”') if reason else ''}")


@app.command()
def reopen(
    case: CaseId,
    reason: Annotated[str, typer.Option(help="Why it should be looked at again; it stands in the case's history.", show_default=False)],
) -> None:
    """Put a decided case back in the queue. Its verdicts stay on record."""
    with Workshop(settings.load()) as workshop, workshop.store.session() as session:
        found = verdicts.reopen(session, case, reviewer=COMMAND_LINE, reason=reason, now=datetime.now(UTC))
        due = f", due {words.moment(found.due_at)}" if found.due_at else ""
        out.print(f"Case {found.id} is in the queue {escape(found.queue)} again{due}.")


def _standing(view: CaseView, post_id: str) -> str:
    standing = view.standings[post_id]
    said = "not assessed" if standing.risk is None else f"risk {standing.risk:.2f}"
    if standing.flag_lost_at is not None:
        said = f"{'not found' if standing.risk is None else said + ', not flagged'} since {words.moment(standing.flag_lost_at)}"
    if standing.covered_by is not None:
        said += f"; covered by the verdict of {words.moment(standing.covered_by.decided_at)}"
    return said


def _summary(case_id: str, name: str, state: str, verdict: str | None, risk: float) -> dict[str, object]:
    return {"id": case_id, "likeness": name, "state": state, "verdict": verdict, "risk": risk}


def _json(view: CaseView) -> dict[str, object]:
    case = view.case
    return _summary(case.id, view.likeness.name, case.state, case.verdict, case.risk) | {
        "video": case.video_sha256,
        "opened_at": words.iso(case.opened_at),
        "reopened_at": case.reopened_at and words.iso(case.reopened_at),
        "posts": [
            {
                "id": post.id,
                "account": post.account,
                "risk": standing.risk,
                "flagged": standing.flagged,
                "flag_lost_at": standing.flag_lost_at and words.iso(standing.flag_lost_at),
                "covered_by": standing.covered_by and standing.covered_by.verdict,
            }
            for post in view.posts
            for standing in (view.standings[post.id],)
        ],
        "verdicts": [
            {"verdict": each.verdict, "by": each.reviewer, "at": words.iso(each.decided_at), "reason": each.reason}
            for each in view.verdicts
        ],
        "history": [{"at": words.iso(event.at), "text": trail.told(event), "detail": event.detail} for event in view.trail],
    }

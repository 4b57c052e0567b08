"""`sosie consent grant|revoke|list`"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from monitor import settings
from monitor.cli.output import out, print_json
from monitor.registry import consents, likenesses
from monitor.workshop import Workshop

app = typer.Typer(help="Licences that rights holders granted to accounts.", no_args_is_help=True)
_ACTOR = "command line"


@app.command()
def grant(
    likeness: Annotated[str, typer.Argument(help="Name or id of the likeness.")],
    account: Annotated[str, typer.Argument(help="The licensee's account.")],
    platform: Annotated[str | None, typer.Option(help="Only on this platform.")] = None,
    since: Annotated[datetime | None, typer.Option("--from", help="First moment (UTC); default now.")] = None,
    until: Annotated[datetime | None, typer.Option(help="End, not included (UTC); default open.")] = None,
    note: Annotated[str | None, typer.Option(help="What was agreed.")] = None,
) -> None:
    """Allow an account to use a likeness; its posts are cleared from then on."""
    now = datetime.now(UTC)
    with Workshop(settings.load()) as workshop, workshop.store.session() as session:
        found = likenesses.get_likeness(session, likeness)
        consent = consents.grant(
            session,
            found.id,
            account,
            platform=platform,
            valid_from=_utc(since) or now,
            valid_until=_utc(until),
            note=note,
            actor=_ACTOR,
            now=now,
        )
        out.print(f"Consent {consent.id}: {escape(account)} may use {escape(found.name)}.")


@app.command()
def revoke(consent: Annotated[str, typer.Argument(help="Id of the consent, as `list` shows it.")]) -> None:
    """End a consent at once."""
    with Workshop(settings.load()) as workshop, workshop.store.session() as session:
        ended = consents.revoke(session, consent, actor=_ACTOR, now=datetime.now(UTC))
        out.print(f"Consent {ended.id} is revoked; posts of {escape(ended.account)} are assessed without it from now on.")


@app.command("list")
def list_(
    likeness: Annotated[str | None, typer.Argument(help="Only of this likeness.")] = None,
    json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Consents, the revoked ones too."""
    with Workshop(settings.load()) as workshop, workshop.store.session(read_only=True) as session:
        chosen = likenesses.get_likeness(session, likeness).id if likeness else None
        found = consents.list_consents(session, likeness_id=chosen)
        names = likenesses.names(session, {consent.likeness_id for consent in found})
        table = Table("Id", "Likeness", "Account", "Platform", "From", "Until", "State", box=None, pad_edge=False)
        for consent in found:
            row = {
                "id": consent.id,
                "likeness": names[consent.likeness_id],
                "account": consent.account,
                "platform": consent.platform,
                "from": consent.valid_from.isoformat(timespec="seconds"),
                "until": consent.valid_until.isoformat(timespec="seconds") if consent.valid_until else None,
                "revoked": consent.revoked_at.isoformat(timespec="seconds") if consent.revoked_at else None,
            }
            if json:
                print_json(row)
            state = "revoked" if consent.revoked_at else "granted"
            cells = [row["id"], row["likeness"], row["account"], row["platform"] or "any", row["from"], row["until"] or "open", state]
            table.add_row(*(escape(str(cell)) for cell in cells))
        if not json:
            out.print(table if table.row_count else "No consent was granted.")


def _utc(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment

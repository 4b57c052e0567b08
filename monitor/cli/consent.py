"""`sosie consent grant|revoke|list`"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509 import InvalidVersion, load_pem_x509_certificate
from rich.markup import escape
from rich.table import Table

from monitor.base import settings
from monitor.base.errors import RequestRefused
from monitor.cli.identity import COMMAND_LINE
from monitor.cli.output import out, print_json
from monitor.registry import consents, likenesses
from monitor.registry.consents import Consent
from monitor.registry.scope import USES, named
from monitor.registry.territories import canonical
from monitor.scan.workshop import Workshop

app = typer.Typer(help="Licences that rights holders granted to accounts.", no_args_is_help=True)


@app.command()
def grant(
    likeness: Annotated[str, typer.Argument(help="Name or id of the likeness.")],
    account: Annotated[str | None, typer.Argument(help="The licensee's account.")] = None,
    certificate: Annotated[
        str | None,
        typer.Option(metavar="SHA256|FILE", help="Or whoever signs with this certificate: its SHA-256, or a file that holds it."),
    ] = None,
    platform: Annotated[list[str] | None, typer.Option(help="Only on this platform; may be repeated.")] = None,
    use: Annotated[list[str] | None, typer.Option(help=f"Only for this use; may be repeated. Words: {', '.join(USES)}.")] = None,
    territory: Annotated[
        list[str] | None,
        typer.Option(help="Only in this place: DE, US-CA (ISO 3166), 150 (UN M.49), EU; 001 is the world. May be repeated."),
    ] = None,
    since: Annotated[datetime | None, typer.Option("--from", help="First moment (UTC); default now.")] = None,
    until: Annotated[datetime | None, typer.Option(help="End, not included (UTC); default open.")] = None,
    note: Annotated[str | None, typer.Option(help="What was agreed.")] = None,
) -> None:
    """Allow a licensee to use a likeness; posts inside the terms are cleared from then on.

    What a consent limits and a post does not state is outside: such posts are assessed, with the limit as a reason.
    """
    now = datetime.now(UTC)
    with Workshop(settings.load()) as workshop, workshop.store.session() as session:
        found = likenesses.get_likeness(session, likeness)
        consent = consents.grant(
            session,
            found.id,
            account=account,
            certificate=None if certificate is None else _fingerprint(certificate),
            platforms=platform or (),
            uses=use or (),
            territories=territory or (),
            valid_from=_utc(since) or now,
            valid_until=_utc(until),
            note=note,
            actor=COMMAND_LINE,
            now=now,
        )
        out.print(f"Consent {consent.id}: {escape(consent.licensee)} may use {escape(found.name)}{escape(_limits(consent))}.")


@app.command()
def revoke(consent: Annotated[str, typer.Argument(help="Id of the consent, as `list` shows it.")]) -> None:
    """End a consent at once."""
    with Workshop(settings.load()) as workshop, workshop.store.session() as session:
        ended = consents.revoke(session, consent, actor=COMMAND_LINE, now=datetime.now(UTC))
        out.print(f"Consent {ended.id} is revoked; posts of {escape(ended.licensee)} are assessed without it from now on.")


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
        table = Table("Id", "Likeness", "Licensee", "Limits", "From", "Until", "State", box=None, pad_edge=False)
        for consent in found:
            row = {
                "id": consent.id,
                "likeness": names[consent.likeness_id],
                "account": consent.account,
                "certificate": consent.certificate,
                "platforms": consent.platforms,
                "uses": consent.uses,
                "territories": consent.territories,
                "unknown_territories": [code for code in consent.territories or () if canonical(code) is None],
                "from": consent.valid_from.isoformat(timespec="seconds"),
                "until": consent.valid_until.isoformat(timespec="seconds") if consent.valid_until else None,
                "revoked": consent.revoked_at.isoformat(timespec="seconds") if consent.revoked_at else None,
            }
            if json:
                print_json(row)
            state = "revoked" if consent.revoked_at else "granted"
            limits = _limits(consent).lstrip(", ") or "none"
            cells = [row["id"], row["likeness"], consent.licensee, limits, row["from"], row["until"] or "open", state]
            table.add_row(*(escape(str(cell)) for cell in cells))
        if not json:
            out.print(table if table.row_count else "No consent was granted.")


def _limits(consent: Consent) -> str:
    limits = {"on": consent.platforms, "for": consent.uses, "in": [named(code) for code in consent.territories or ()]}
    return "".join(f", {word} {' or '.join(allowed)}" for word, allowed in limits.items() if allowed)


def _fingerprint(text: str) -> str:
    """The SHA-256 of the first certificate in a file of that name; else the text itself, which `grant` judges."""
    if not (file := Path(text)).is_file():
        return text
    try:
        return load_pem_x509_certificate(file.read_bytes()).fingerprint(SHA256()).hex()
    except (OSError, ValueError, InvalidVersion) as error:
        raise RequestRefused(file, f"holds no certificate in PEM ({error})", "Give the licensee's signing certificate") from error


def _utc(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment

"""`sosie evidence CASE --out FILE.zip`, `sosie evidence verify FILE`, `sosie evidence key --out FOLDER`"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from monitor.base import settings
from monitor.cli.identity import COMMAND_LINE
from monitor.cli.output import out, print_json
from monitor.evidence.manifest import Audience
from monitor.evidence.pack import Packer
from monitor.evidence.signing import Signer, make_own_authority
from monitor.evidence.verify import Verification
from monitor.evidence.verify import verify as verify_pack
from monitor.provenance.manifest import plain
from monitor.scan.workshop import Workshop


class _PackByDefault(typer.core.TyperGroup):
    """`sosie evidence CASE …` is `sosie evidence pack CASE …`; no case is named like a command."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in (*self.commands, "--help"):
            args = ["pack", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(cls=_PackByDefault, help="A case as one signed file that anybody can check.", no_args_is_help=True)


@app.command()
def pack(
    case: Annotated[str, typer.Argument(help="Id of the case.", show_default=False)],
    file: Annotated[Path, typer.Option("--out", metavar="FILE.zip", help="Where to write the pack.", show_default=False)],
    audience: Annotated[Audience, typer.Option("--for", help="Who it is for, and so what may stand in it.")] = Audience.RIGHTS_HOLDER,
    video: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The video itself; default: fetched again from the posts that carried it.")
    ] = None,
    kept_stills: Annotated[
        bool, typer.Option("--kept-stills", help="The stills of the scan, scaled down, where the video cannot be had any more.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Pack the evidence of a case: exact stills, references, provenance, assessment, audit, hashes, a page; all of it signed.

    `sosie evidence CASE --out FILE.zip` does the same.
    """
    if kept_stills and video is not None:
        raise typer.BadParameter("it takes the place of the video, which is given", param_hint="--kept-stills")
    current = settings.load()
    signer = Signer.load(current.evidence_key, current.evidence_chain, now=datetime.now(UTC))
    with Workshop(current) as workshop:
        packer = Packer(workshop.blobs, workshop.scratch, workshop.store, workshop.sandbox, workshop.limits, signer)
        packed = packer.pack(case, file, audience=audience, actor=COMMAND_LINE, video=video, kept_stills=kept_stills)
    manifest = packed.manifest
    if json:
        print_json(
            {
                "file": str(file),
                "case": manifest.case_id,
                "for": manifest.audience,
                "stills": len(manifest.stills),
                "exact_stills": not kept_stills,
                "references": packed.references,
                "manifest_sha256": packed.manifest_sha256,
            }
        )
        return
    kind = "kept at the scan" if kept_stills else "exact"
    out.print(f"{escape(str(file))}: case {escape(manifest.case_id)}, for a {manifest.audience.replace('-', ' ')}")
    out.print(f"  {len(manifest.stills)} stills ({kind}), {packed.references} reference pictures, {len(manifest.files)} files in all")
    out.print(f"  Manifest SHA-256 {packed.manifest_sha256}")


@app.command()
def verify(
    file: Annotated[Path, typer.Argument(help="The pack.", show_default=False)],
    anchors: Annotated[Path | None, typer.Option(metavar="PEM", help="Authorities to believe; without any, nobody vouches.")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Check a pack: its signature, every file, every still's C2PA manifest. Exits with 1 where anything is wrong, and names it."""
    with Workshop(settings.load()) as workshop:
        found = verify_pack(file, workshop.sandbox, anchors, now=datetime.now(UTC))
    if json:
        print_json({"file": str(file), **found.to_json()})
    else:
        _print(file, found)
    if not found.intact:
        raise typer.Exit(1)


@app.command()
def key(
    folder: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Where to put the files.", show_default=False)],
    name: Annotated[str, typer.Option(help="Your organisation, as it stands on the certificates.")] = "Self-signed Sosie",
) -> None:
    """Make a key to sign packs with, certified by an authority of your own: nobody believes it but those you give its certificate to."""
    make_own_authority(folder, name, now=datetime.now(UTC))
    made = escape(str(folder.absolute()))
    out.print(f"Made in {made}, by an authority of its own that no one else vouches for:")
    out.print("  key.pem        the private key; keep it secret")
    out.print("  chain.pem      its certificate, valid for ten years")
    out.print("  authority.pem  the authority's certificate: give it to those who are to verify packs, by a way they trust")
    out.print(f"Set SOSIE_EVIDENCE_KEY={made}/key.pem and SOSIE_EVIDENCE_CHAIN={made}/chain.pem.")


def _print(file: Path, found: Verification) -> None:
    out.print(f"[bold]{'[green]intact[/]' if found.intact else '[red]NOT INTACT[/]'}[/]  {escape(str(file))}")
    for problem in found.problems:
        out.print(f"  [red]{problem.fault.value}[/]  {escape(problem.text)}")
    if found.manifest is not None:
        manifest = found.manifest
        kind = "exact" if all(still.exact for still in manifest.stills) else "kept at the scan"
        out.print(f"  Case {escape(plain(manifest.case_id))}, video {escape(plain(manifest.video_sha256))}, {len(manifest.files)} files")
        out.print(f"  Made {escape(plain(manifest.created_at))} by its own account; {len(manifest.stills)} stills ({kind})")
    if found.by is not None:
        out.print(f"  {_WORDS[found.by.vouched].format(subject=escape(found.by.subject), issuer=escape(found.by.issuer))}")
        out.print(f"  Certificate SHA-256 {found.by.certificate_sha256}")


_WORDS = {
    "trusted": "Signed by {subject}; an authority that you gave vouches for that.",
    "expired": "Signed by {subject}, whom an authority that you gave vouched for until the certificate ended.",
    "untrusted": "The signature names {subject}, certified by {issuer}: no authority that you gave.",
    "unknown": "The signature names {subject}, certified by {issuer}. Nobody vouches for that: give authorities with --anchors.",
}

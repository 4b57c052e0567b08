"""The pack's `index.html`: opens from a folder, from within a zip, without a network. Pure.

It holds small copies of the pictures as `data:` addresses and links to the files beside it. Everything that came from a file or a
post is escaped, and a Content-Security-Policy in the page forbids scripts and any other address, should that ever fail.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

import jinja2

from monitor.evidence.manifest import PackedFile, PackedStill
from monitor.evidence.view import CaseEvidence
from monitor.review import words
from monitor.review.trail import verdict_label

_TEMPLATE = "page.html"


def render(
    evidence: CaseEvidence,
    *,
    audience: str,
    now: datetime,
    sosie: str,
    signer: str,
    stills: Sequence[PackedStill],
    previews: Mapping[str, bytes],
    files: Sequence[PackedFile],
) -> bytes:
    """The page of a pack. `previews` are JPEGs by the file they stand for; `files` are those that the page lists with their SHA-256."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= words.FILTERS | {"data_url": _data_url, "verdict_label": verdict_label}
    html = environment.get_template(_TEMPLATE).render(
        evidence=evidence,
        case=evidence.case,
        audience=audience,
        now=now,
        sosie=sosie,
        signer=signer,
        stills=stills,
        previews=previews,
        files=files,
    )
    return html.encode("utf-8", "replace")


def _data_url(jpeg: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")

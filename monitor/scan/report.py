"""The report of a scan as one HTML file that needs nothing else: no script, no network, no folder beside it.

Stills and references stand in it as `data:` addresses. Everything that came from a file (names, signers, captions) is escaped,
and a Content-Security-Policy in the file itself forbids scripts, should that ever fail.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jinja2

from monitor.base.errors import ConfigError
from monitor.base.files import write_atomically
from monitor.review import words

TEMPLATE = "report.html"


def write_report(path: Path, results: Sequence[Mapping[str, Any]], *, now: datetime | None = None) -> None:
    """Write `results` (what `sosie scan --json` prints, with the pictures' bytes) to `path`, replacing it whole or not at all.

    Flagged videos come first, by risk; those that could not be scanned come last. Raises `StorageFull` when the disk is full,
    `ConfigError` when the place cannot be written to.
    """
    html = render(results, now=now or datetime.now(UTC))
    try:
        write_atomically(path, html.encode("utf-8", "replace"), mode=0o644)
    except OSError as error:
        raise ConfigError(
            path, f"the report cannot be written: {error.strerror}", "Name a file in a folder that exists and is yours"
        ) from error


def render(results: Sequence[Mapping[str, Any]], *, now: datetime) -> str:
    """The report as text. Pure: the same results and time give the same bytes."""
    scanned = sorted((result for result in results if "error" not in result), key=lambda result: -result["assessment"]["risk"])
    flagged = [result for result in scanned if result["assessment"]["flagged"]]
    return (
        _environment()
        .get_template(TEMPLATE)
        .render(
            now=now,
            flagged=flagged,
            clear=[result for result in scanned if not result["assessment"]["flagged"]],
            failed=[result for result in results if "error" in result],
        )
    )


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= words.FILTERS | {"data_url": _data_url}
    return environment


def _data_url(jpeg: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")

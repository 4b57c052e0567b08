"""Scan results → the plain entries a report is made of."""

from __future__ import annotations

from typing import Any

from monitor.base.errors import SosieError
from monitor.provenance.sentences import sentences
from monitor.registry import references
from monitor.scan.result import Finding, Posted, ScanResult, Still, error_json
from monitor.scan.workshop import Workshop


def report_entry(workshop: Workshop, posted: Posted, outcome: ScanResult | SosieError) -> dict[str, Any]:
    """What `monitor.scan.report.write_report` takes for one video: the public JSON, with sentences and pictures."""
    if isinstance(outcome, SosieError):
        return error_json(posted.source, outcome)
    entry = outcome.to_json()
    entry["provenance"]["sentences"] = sentences(outcome.provenance)
    for match, finding in zip(entry["matches"], outcome.findings, strict=True):
        match["name"] = finding.name
        match["moments"] = [_moment(workshop, finding, still) for still in finding.stills]
    return entry


def _moment(workshop: Workshop, finding: Finding, still: Still) -> dict[str, Any]:
    with workshop.store.session(read_only=True) as session:
        file = references.get_reference(session, still.moment.reference).file
    return {
        "time_s": still.moment.time_s,
        "score": still.moment.score,
        "box": still.moment.box,
        "still_jpeg": still.jpeg,
        "reference_jpeg": workshop.blobs.get(file),
    }

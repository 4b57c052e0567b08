"""What one video's way through the pipeline ended in, and its public JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from monitor.base.errors import SosieError
from monitor.decision.facts import Facts
from monitor.decision.policy import Assessment
from monitor.provenance.types import Provenance
from monitor.review.assessments import Versions
from monitor.review.videos import Posted
from monitor.review.vocabulary import Difference
from monitor.scan.matching import Match, Moment
from monitor.vision.watermark import Sighting

__all__ = ["CoveredBy", "Finding", "Posted", "ScanResult", "Still", "Versions", "clock_text", "error_json", "ranges_text"]


@dataclass(frozen=True, slots=True)
class Still:
    """An exact frame of the video at a moment of a match, as JPEG, and the reference it matched."""

    moment: Moment
    jpeg: bytes


@dataclass(frozen=True, slots=True)
class CoveredBy:
    """The verdict that was given on earlier posts of these bytes, and says what this post is as well."""

    verdict: str
    decided_at: datetime


@dataclass(frozen=True, slots=True)
class Finding:
    """One likeness found, what follows from that, and the case of the finding (None when it is not flagged).

    `covered_by`: the case is decided, and its verdict covers this post. `case_reopened`: wherein this post is unlike those the verdict was
    given on, so that the case is open again.
    """

    name: str
    match: Match
    facts: Facts
    assessment: Assessment
    stills: tuple[Still, ...] = ()
    case_id: str | None = None
    case_opened: bool = False
    covered_by: CoveredBy | None = None
    case_reopened: tuple[Difference, ...] = ()


@dataclass(frozen=True, slots=True)
class ScanResult:
    """A video that was scanned. `assessment` is that of the riskiest finding, or of nobody."""

    posted: Posted
    sha256: str
    duration_s: float
    truncated_at_s: float | None
    provenance: Provenance
    marks: tuple[Sighting, ...]
    findings: tuple[Finding, ...]
    assessment: Assessment
    versions: Versions
    seconds: float
    reused: bool

    @property
    def flagged(self) -> bool:
        return self.assessment.flagged

    @property
    def covered(self) -> bool:
        """Whether all that flags the post was decided before, so that nobody is asked to look."""
        flagging = [finding for finding in self.findings if finding.assessment.flagged]
        return bool(flagging) and all(finding.covered_by is not None for finding in flagging)

    def to_json(self) -> dict[str, Any]:
        """The line `sosie scan --json` prints."""
        out: dict[str, Any] = {
            "source": self.posted.source,
            "sha256": self.sha256,
            "duration": self.duration_s,
            "provenance": {
                "state": self.provenance.state.value,
                "trust_list": self.provenance.trust_list,
                "ai": self.provenance.ai.value,
                "signals": [{"code": s.code, "where": s.where, "text": s.text} for s in self.provenance.signals],
            },
            "watermarks": [mark.to_json() for mark in self.marks],
            "matches": [
                {
                    "likeness": finding.name,
                    "score": finding.match.score,
                    "frames": finding.match.frames,
                    "ranges": [list(span) for span in finding.match.ranges],
                }
                | _case_json(finding)
                for finding in self.findings
            ],
            "assessment": {
                "risk": self.assessment.risk,
                "flagged": self.assessment.flagged,
                "reasons": [{"code": r.code, "weight": r.weight, "text": r.text} for r in self.assessment.reasons],
                "policy": self.versions.policy,
                "index": self.versions.index,
                "model": self.versions.model,
                "watermarks": self.versions.watermarks,
                "probe": self.versions.probe,
            },
            "seconds": round(self.seconds, 3),
        }
        if self.truncated_at_s is not None:
            out["truncated_at"] = self.truncated_at_s
        return out


def _case_json(finding: Finding) -> dict[str, Any]:
    """What became of the case, where the post met a verdict."""
    if finding.covered_by is not None:
        covered = {"verdict": finding.covered_by.verdict, "decided_at": finding.covered_by.decided_at.isoformat(timespec="seconds")}
        return {"case": finding.case_id, "covered_by": covered}
    if finding.case_reopened:
        return {"case": finding.case_id, "reopened": [str(each) for each in finding.case_reopened]}
    return {}


def error_json(source: str, error: SosieError) -> dict[str, Any]:
    """The line `sosie scan --json` prints for a video that could not be scanned."""
    return {"source": source, "error": {"code": error.code, "text": str(error)}}


def ranges_text(ranges: Sequence[tuple[float, float]]) -> str:
    """Time ranges for people: 0:01.0 to 0:03.5, …"""
    return ", ".join(f"{clock_text(start)} to {clock_text(end)}" for start, end in ranges)


def clock_text(seconds: float) -> str:
    """1:05.3 for 65.3 seconds, 1:00:05.3 above an hour."""
    tenths = round(seconds * 10)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    tail = f"{minutes}:{rest / 10:04.1f}" if not hours else f"{minutes:02d}:{rest / 10:04.1f}"
    return f"{hours}:{tail}" if hours else tail

"""What a scan leaves in the database, in one transaction; its stills are stored before it.

A crash between the two leaves stills that the next try overwrites. Recording the same scan again makes nothing twice.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta

from sqlalchemy.orm import Session

from monitor.base.blobs import Blobs
from monitor.base.database import Store
from monitor.decision import policies, shadows
from monitor.decision.policy import Assessment, Policy, assess_nobody
from monitor.decision.probe import lessons
from monitor.review import assessments, cases, joining, videos
from monitor.review.assessments import Judged, Versions
from monitor.review.joining import Found, Place
from monitor.review.videos import Posted, SeenVideo
from monitor.scan.fingerprint import Fingerprint
from monitor.scan.result import CoveredBy, Finding, Still


@dataclass(frozen=True, slots=True)
class Beside:
    """One likeness in one post as a shadow policy and the policy in force assess it."""

    likeness: str
    shadow: Assessment
    live: Assessment


@dataclass(frozen=True, slots=True)
class Scanned:
    """The result of one scan, before it is recorded. `manifests`: the manifest store of a video in which somebody was found."""

    posted: Posted
    fingerprint: Fingerprint
    findings: tuple[Finding, ...]
    beside: tuple[Beside, ...]
    manifests: bytes | None
    policy: Policy
    versions: Versions


def record(store: Store, blobs: Blobs, scanned: Scanned, *, space_id: str) -> tuple[Finding, ...]:
    """Record all of a scan in one transaction, or nothing; return the findings with the cases they went to.

    Stills are kept before; those of a transaction that failed are orphans (`sosie storage check`). `space_id` is that of the frame vectors.

    Raises what writing the stills and the database raises.
    """
    shown = {
        finding.match.likeness: tuple(_kept_still(blobs, scanned.fingerprint.sha256, finding, still) for still in finding.stills)
        for finding in scanned.findings
        if finding.assessment.flagged
    }
    now = datetime.now(UTC)
    with store.session() as session:
        _record_video(session, scanned, space_id, taught=bool(shown), now=now)
        videos.record_post(session, scanned.posted, video_sha256=scanned.fingerprint.sha256, now=now)
        _record_assessments(session, scanned, now)
        # In one order for all, or two transactions could deadlock.
        ordered = sorted(scanned.findings, key=lambda finding: finding.match.likeness)
        return tuple(_record_finding(session, scanned, finding, shown, now) for finding in ordered)


def _record_video(session: Session, scanned: Scanned, space_id: str, *, taught: bool, now: datetime) -> None:
    fingerprint = scanned.fingerprint
    seen = SeenVideo(
        sha256=fingerprint.sha256,
        size_bytes=fingerprint.size_bytes,
        duration_s=fingerprint.duration_s,
        truncated_at_s=fingerprint.truncated_at_s,
        provenance=fingerprint.provenance.to_json(),
        marks=tuple(mark.to_json() for mark in fingerprint.marks),
    )
    videos.record_video(session, seen, now=now)
    if scanned.manifests is not None:
        videos.keep_manifest_store(session, video_sha256=fingerprint.sha256, content=scanned.manifests)
    if taught or lessons.teaches(fingerprint.provenance):
        lessons.keep(session, video_sha256=fingerprint.sha256, space_id=space_id, frames=fingerprint.frame_vectors, now=now)


def _record_assessments(session: Session, scanned: Scanned, now: datetime) -> None:
    policies.keep(session, scanned.policy, now=now)
    post_id, video_sha256 = scanned.posted.id, scanned.fingerprint.sha256
    judged = [_judged(finding) for finding in scanned.findings] or [_judged_nobody(scanned.policy)]
    ceased = assessments.record_scan(session, judged, post_id=post_id, video_sha256=video_sha256, versions=scanned.versions, now=now)
    joining.note_flags_lost(session, ceased, now=now)
    for each in scanned.beside:
        shadows.record(session, post_id=post_id, likeness_id=each.likeness, shadow=each.shadow, live=each.live, now=now)


def _judged(finding: Finding) -> Judged:
    said = finding.assessment
    return Judged(
        likeness_id=finding.match.likeness,
        risk=said.risk,
        flagged=said.flagged,
        reasons=_reasons(said),
        matches=(asdict(finding.match),),
        facts=finding.facts.to_json(),
    )


def _judged_nobody(policy: Policy) -> Judged:
    said = assess_nobody(policy)
    return Judged(likeness_id=None, risk=said.risk, flagged=said.flagged, reasons=_reasons(said))


def _reasons(said: Assessment) -> tuple[dict[str, object], ...]:
    return tuple(asdict(reason) for reason in said.reasons)


def _record_finding(
    session: Session, scanned: Scanned, finding: Finding, shown: dict[str, tuple[cases.Moment, ...]], now: datetime
) -> Finding:
    if not finding.assessment.flagged:
        return finding
    found = Found(
        post_id=scanned.posted.id,
        likeness_id=finding.match.likeness,
        video_sha256=scanned.fingerprint.sha256,
        risk=finding.assessment.risk,
        reasons=_reasons(finding.assessment),
        moments=shown[finding.match.likeness],
        versions=asdict(scanned.versions),
    )
    route = scanned.policy.route(finding.facts)
    place = Place(route.queue, route.priority, now + timedelta(hours=route.sla_hours))
    joined = joining.open_or_join(session, found, place=place, reopens=scanned.policy.after_verdict, now=now)
    given = joined.covered_by
    return replace(
        finding,
        case_id=joined.case.id,
        case_opened=joined.opened,
        covered_by=None if given is None else CoveredBy(given.verdict, given.decided_at),
        case_reopened=joined.reopened,
    )


def _kept_still(blobs: Blobs, sha256: str, finding: Finding, still: Still) -> cases.Moment:
    file = f"evidence/{sha256}/{finding.match.likeness}/{round(still.moment.time_s * 1000):010d}.jpg"
    blobs.put(file, still.jpeg)
    return cases.Moment(
        time_s=still.moment.time_s, score=still.moment.score, reference_id=still.moment.reference, still=file, box=still.moment.box
    )

"""The order of the steps, once, for the command line and for streams.

    fetch → fingerprint (provenance, frames, faces, vectors) → match → decide → stills → review

What a caller may rely on:
- `scan` returns only after everything it found is durable: video, post, assessments, cases and audit in one transaction,
  stills on disk before it. An exception means that nothing of this post was recorded (stills of a failed try are overwritten).
- The same post id scanned again makes nothing twice; the same bytes in another post join the same case.
- Thread-safe: fetching and decoding of several videos overlap, the networks serve one video at a time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from monitor.base.database import Store
from monitor.base.errors import ConfigError, InForceUnreadable, SosieError
from monitor.base.files import write_atomically
from monitor.base.metrics import Metrics
from monitor.decision import policies, shadows
from monitor.decision.policies import Policies
from monitor.decision.policy import Assessment, Policy, assess_nobody
from monitor.decision.probe import lessons
from monitor.decision.probe.shelf import Probes
from monitor.intake.fetch import Fetched, FetchLimits, fetch
from monitor.intake.sandbox import Sandbox
from monitor.intake.sniff import require_video
from monitor.provenance.check import manifest_store
from monitor.provenance.trust_shelf import TrustShelf
from monitor.registry.gallery import Gallery
from monitor.review import cases, videos
from monitor.scan.basis import Basis
from monitor.scan.deciding import Beside, Decider
from monitor.scan.exact_stills import with_stills
from monitor.scan.fingerprint import Fingerprint
from monitor.scan.fingerprinter import Decoding, Fingerprinter
from monitor.scan.kept_fingerprints import FingerprintStore
from monitor.scan.matching import match, voices
from monitor.scan.result import Finding, Posted, ScanResult, Still, Versions
from monitor.vision.frames import SampleOptions
from monitor.vision.marks import Watermarks
from monitor.vision.networks import Models

T = TypeVar("T")


@dataclass(frozen=True)
class Pipeline:
    """Everything a scan needs, and `scan` itself. The parts are made, and closed, by `monitor.scan.workshop`."""

    home: Path
    store: Store
    sandbox: Sandbox
    models: Models
    gallery: Gallery
    policies: Policies
    trust: TrustShelf
    limits: FetchLimits
    sampling: SampleOptions
    kept: FingerprintStore
    metrics: Metrics
    watermarks: Watermarks
    probes: Probes

    fingerprinter: Fingerprinter = field(init=False)
    decider: Decider = field(init=False)

    def __post_init__(self) -> None:
        decoding = Decoding(self.sandbox, self.sampling, self.metrics)
        object.__setattr__(self, "fingerprinter", Fingerprinter(decoding, self.models))
        object.__setattr__(self, "decider", Decider(self.store, self.models, self.metrics))

    def scan(self, posted: Posted, *, keep_stills: bool = False) -> ScanResult:
        """Take one post the whole way. `keep_stills` makes stills of matches that are not flagged as well, for a report.

        Raises a `SosieError`: permanent for the video's own faults, transient for the world's.
        """
        started = time.perf_counter()
        try:
            result = self._scan(posted, keep_stills, started)
        except SosieError as error:
            self.metrics.videos.labels(error.code).inc()
            raise
        self.metrics.videos.labels("flagged" if result.flagged else "clear").inc()
        self.metrics.video_seconds.inc(result.duration_s)
        for finding in result.findings:
            if finding.case_opened:
                self.metrics.cases.labels(finding.assessment.reasons[0].code).inc()
        return result

    def has_scanned(self, posted: Posted) -> bool:
        """Whether this post's result is on record, scanned from this address: a repeated event need not fetch it again."""
        with self.store.session(read_only=True) as session:
            return videos.is_recorded(session, id=posted.id, source=posted.source)

    def _scan(self, posted: Posted, keep_stills: bool, started: float) -> ScanResult:
        with ExitStack() as stack:
            with self.metrics.stage("fetch"):
                fetched = stack.enter_context(fetch(posted.source, scratch=self.home / "scratch", limits=self.limits))
            self.metrics.video_bytes.inc(fetched.size_bytes)
            fingerprint, reused = self._fingerprint(fetched)
            with self.metrics.stage("match"):
                basis = self._basis()
                matches = match(fingerprint, voices(basis.indexes, self.models, basis.policy), basis.policy.matching)
            with self.metrics.stage("decide"):
                findings = self.decider.decide(posted, fingerprint, matches, basis.policy, basis)
                beside = self.decider.beside(posted, fingerprint, findings, basis)
            with self.metrics.stage("stills"):
                shown = (finding.assessment.flagged or keep_stills for finding in findings)
                findings = tuple(with_stills(f, fetched, self.sandbox) if show else f for f, show in zip(findings, shown, strict=True))
                manifests = self._manifest_store(fingerprint, fetched) if findings else None
            with self.metrics.stage("review"):
                versions = basis.versions(fingerprint)
                findings = self._record(posted, fingerprint, findings, beside, manifests, basis.policy, versions)
        riskiest = max((f.assessment for f in findings), key=lambda a: a.risk, default=assess_nobody(basis.policy))
        return ScanResult(
            posted=posted,
            sha256=fingerprint.sha256,
            duration_s=fingerprint.duration_s,
            truncated_at_s=fingerprint.truncated_at_s,
            provenance=fingerprint.provenance,
            marks=fingerprint.marks,
            findings=findings,
            assessment=riskiest,
            versions=versions,
            seconds=time.perf_counter() - started,
            reused=reused,
        )

    def _fingerprint(self, fetched: Fetched) -> tuple[Fingerprint, bool]:
        """The fingerprint under the lists and marks in force, and whether a kept one served."""
        trust, watermarks = _in_force(self.trust.current), _in_force(self.watermarks.current)
        held = self.kept.get(fetched.sha256, self.models.id)
        if held is None:
            require_video(fetched.path, fetched.source)
            made = self.fingerprinter.take(fetched, trust, watermarks)
        else:
            self.metrics.reused.inc()
            made = self.fingerprinter.brought_up_to_date(held, fetched, trust, watermarks)
        if held is None or made.watermarks != held.watermarks:
            self.kept.put(made)
        return made, held is not None

    def _basis(self) -> Basis:
        """What this scan goes by from here to its end, read once."""
        in_force = self.policies.current()
        indexes, version = self.gallery.current()
        probe = _in_force(self.probes.active)
        fitting = probe is not None and probe.space == self.models.encoder.space  # under another encoder the probe waits
        return Basis(in_force, probe if fitting else None, tuple(indexes), version, self.models.version)

    def _manifest_store(self, fingerprint: Fingerprint, fetched: Fetched) -> bytes | None:
        """Of a video in which somebody was found, so that its verdict can follow the trust lists. Of others nothing is kept."""
        if not fingerprint.provenance.manifests:
            return None
        return self.sandbox.run(manifest_store, fetched.path, source=fetched.source)

    def _record(
        self,
        posted: Posted,
        fingerprint: Fingerprint,
        findings: Sequence[Finding],
        beside: Sequence[Beside],
        manifests: bytes | None,
        policy: Policy,
        versions: Versions,
    ) -> tuple[Finding, ...]:
        """Stills first, then one transaction. A crash between them leaves files that the next try overwrites."""
        shown = {
            finding.match.likeness: tuple(self._kept_still(fingerprint, finding, still) for still in finding.stills)
            for finding in findings
            if finding.assessment.flagged
        }
        now = datetime.now(UTC)
        recorded = []
        with self.store.session() as session:
            videos.record_video(
                session,
                sha256=fingerprint.sha256,
                size_bytes=fingerprint.size_bytes,
                duration_s=fingerprint.duration_s,
                truncated_at_s=fingerprint.truncated_at_s,
                provenance=fingerprint.provenance.to_json(),
                marks=[mark.to_json() for mark in fingerprint.marks],
                now=now,
            )
            if manifests is not None:
                videos.keep_manifest_store(session, video_sha256=fingerprint.sha256, content=manifests)
            if shown or lessons.teaches(fingerprint.provenance):
                space_id = self.models.encoder.space.id
                lessons.keep(session, video_sha256=fingerprint.sha256, space_id=space_id, frames=fingerprint.frame_vectors, now=now)
            videos.record_post(session, video_sha256=fingerprint.sha256, now=now, **asdict(posted))
            policies.keep(session, policy, now=now)
            rows: list[tuple[Assessment, Finding | None]] = [(f.assessment, f) for f in findings]
            for assessment, found in rows or [(assess_nobody(policy), None)]:
                videos.record_assessment(
                    session,
                    post_id=posted.id,
                    video_sha256=fingerprint.sha256,
                    likeness_id=None if found is None else found.match.likeness,
                    risk=assessment.risk,
                    flagged=assessment.flagged,
                    reasons=[asdict(reason) for reason in assessment.reasons],
                    matches=[] if found is None else [asdict(found.match)],
                    facts=None if found is None else found.facts.to_json(),
                    policy_version=versions.policy,
                    index_version=versions.index,
                    model_version=versions.model,
                    trust_version=versions.trust,
                    watermarks_version=versions.watermarks,
                    probe_version=versions.probe,
                    now=now,
                )
            for each in beside:
                shadows.record(session, post_id=posted.id, likeness_id=each.likeness, shadow=each.shadow, live=each.live, now=now)
            for finding in sorted(findings, key=lambda f: f.match.likeness):  # one order for all, or two transactions could deadlock
                if not finding.assessment.flagged:
                    recorded.append(finding)
                    continue
                case, opened = cases.open_or_join(
                    session,
                    likeness_id=finding.match.likeness,
                    video_sha256=fingerprint.sha256,
                    post_id=posted.id,
                    risk=finding.assessment.risk,
                    reasons=[asdict(reason) for reason in finding.assessment.reasons],
                    moments=shown[finding.match.likeness],
                    versions=asdict(versions),
                    now=now,
                    queue=(route := policy.route(finding.facts)).queue,
                    priority=route.priority,
                    due_at=now + timedelta(hours=route.sla_hours),
                )
                recorded.append(replace(finding, case_id=case.id, case_opened=opened))
        return tuple(recorded)

    def _kept_still(self, fingerprint: Fingerprint, finding: Finding, still: Still) -> cases.Moment:
        file = f"evidence/{fingerprint.sha256}/{finding.match.likeness}/{round(still.moment.time_s * 1000):010d}.jpg"
        write_atomically(self.home / file, still.jpeg)
        return cases.Moment(
            time_s=still.moment.time_s, score=still.moment.score, reference_id=still.moment.reference, still=file, box=still.moment.box
        )


def _in_force(read: Callable[[], T]) -> T:
    """What an operator put in force. Where it is damaged every post would fail alike, so it is the world's fault: waited out."""
    try:
        return read()
    except ConfigError as error:
        raise InForceUnreadable(error.thing, error.reason, error.next_step) from error

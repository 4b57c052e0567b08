"""The order of the steps, once, for the command line and for streams.

    fetch → fingerprint (provenance, frames, faces, vectors) → match → decide → stills → review

What a caller may rely on:
- `scan` returns only after everything it found is durable: video, post, assessments, cases and audit in one transaction,
  stills on disk before it. An exception means that nothing of this post was recorded (stills of a failed try are overwritten).
- The same post id scanned again makes nothing twice; the same bytes in another post join the same case.
- Thread-safe: fetching and decoding of several videos overlap, the networks serve one video at a time.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from indexes.likeness import LikenessIndex
from monitor.base.blobs import Blobs
from monitor.base.database import Store
from monitor.base.errors import ConfigError, InForceUnreadable, SosieError
from monitor.base.metrics import Metrics
from monitor.decision import policies, shadows
from monitor.decision.facts import Facts
from monitor.decision.policies import InForce, Policies
from monitor.decision.policy import Assessment, Policy, assess, assess_nobody
from monitor.decision.probe import lessons
from monitor.decision.probe.shelf import NO_PROBE, Probes
from monitor.decision.probe.teaching import Probe
from monitor.intake.fetch import Fetched, FetchLimits, fetch
from monitor.intake.sandbox import Sandbox
from monitor.intake.sniff import require_video
from monitor.provenance.check import manifest_store
from monitor.provenance.confined import check_confined
from monitor.provenance.metadata import RULES
from monitor.provenance.trust import TrustLists
from monitor.provenance.trust_shelf import TrustShelf
from monitor.registry import consents, likenesses
from monitor.registry.gallery import Gallery
from monitor.registry.likenesses import Likeness
from monitor.registry.scope import Use
from monitor.review import cases, verdicts, videos
from monitor.scan import fingerprint as fingerprints
from monitor.scan.fingerprint import Fingerprint
from monitor.scan.kept_fingerprints import FingerprintStore
from monitor.scan.matching import Match, Moment, Voice, match
from monitor.scan.result import Finding, Posted, ScanResult, Still, Versions, ranges_text
from monitor.vision.frames import SampleOptions, stills
from monitor.vision.marks import Watermarks
from monitor.vision.networks import Models
from monitor.vision.pictures import jpeg_bytes
from monitor.vision.recipes import BUNDLED_NAME

T = TypeVar("T")

_log = logging.getLogger(__name__)

_STILLS = 6  # per likeness and video, the best moments
_STILL_SIDE_PX = 1280
_STILL_QUALITY = 90
_STILL_SPACING_S = 0.5  # two stills closer than this show the same


@dataclass(frozen=True)
class Pipeline:
    """Everything a scan needs, and `scan` itself. The parts are made, and closed, by `monitor.scan.workshop`."""

    blobs: Blobs
    scratch: Path
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
    _looking: threading.Lock = field(default_factory=threading.Lock)

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
                fetched = stack.enter_context(fetch(posted.source, scratch=self.scratch, limits=self.limits))
            self.metrics.video_bytes.inc(fetched.size_bytes)
            trust = _in_force(self.trust.current)
            fingerprint, reused = self._fingerprint(fetched, trust)
            in_force = self.policies.current()  # once: one scan goes by one policy from its start to its end
            policy = in_force.active
            with self.metrics.stage("match"):
                indexes, index_version = self.gallery.current()
                matches = match(fingerprint, voices(indexes, self.models, policy), policy.matching)
            probe = self._probe()
            versions = Versions(
                policy=policy.id,
                index=index_version,
                model=self.models.version,
                trust=trust.version,
                watermarks=fingerprint.watermarks,
                probe=NO_PROBE if probe is None else probe.version,
            )
            with self.metrics.stage("decide"):
                findings = self._decide(posted, fingerprint, matches, policy, probe)
                beside = self._shadow(posted, fingerprint, indexes, findings, in_force, probe)
            with self.metrics.stage("stills"):
                findings = tuple(self._with_stills(f, fetched) if f.assessment.flagged or keep_stills else f for f in findings)
                store = self._manifest_store(fingerprint, fetched) if findings else None
            with self.metrics.stage("review"):
                findings = self._record(posted, fingerprint, findings, beside, store, policy, versions)
        riskiest = max((f.assessment for f in findings), key=lambda a: a.risk, default=assess_nobody(policy))
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

    def _fingerprint(self, fetched: Fetched, trust: TrustLists) -> tuple[Fingerprint, bool]:
        watermarks = _in_force(self.watermarks.current)
        if (held := self.kept.get(fetched.sha256, self.models.id)) is not None:
            self.metrics.reused.inc()
            if (held.provenance.trust_version, held.provenance.rules) != (trust.version, RULES):
                held = replace(held, provenance=check_confined(self.sandbox, fetched.path, trust, source=fetched.source))
            if held.watermarks != watermarks.version:
                held = fingerprints.with_marks(
                    held,
                    fetched.path,
                    watermarks,
                    source=fetched.source,
                    sandbox=self.sandbox,
                    options=self.sampling,
                    metrics=self.metrics,
                )
                self.kept.put(held)
            return held, True
        require_video(fetched.path, fetched.source)
        made = fingerprints.take(
            fetched.path,
            sha256=fetched.sha256,
            size_bytes=fetched.size_bytes,
            source=fetched.source,
            sandbox=self.sandbox,
            models=self.models,
            looking=self._looking,
            trust=trust,
            options=self.sampling,
            metrics=self.metrics,
            watermarks=watermarks,
        )
        self.kept.put(made)
        return made, False

    def _probe(self) -> Probe | None:
        """The probe that acts, if it is of the encoder in use: under another encoder it waits."""
        probe = _in_force(self.probes.active)
        return probe if probe is not None and probe.space == self.models.encoder.space else None

    def _decide(
        self, posted: Posted, fingerprint: Fingerprint, matches: Sequence[Match], policy: Policy, probe: Probe | None
    ) -> tuple[Finding, ...]:
        findings = []
        synthetic = None if probe is None else probe.probability(fingerprint.frame_vectors)
        at = posted.posted_at or datetime.now(UTC)
        mark = fingerprint.marks[0] if fingerprint.marks else None
        with self.store.session(read_only=True) as session:
            known: Mapping[str, Likeness] = {likeness.id: likeness for likeness in likenesses.list_likenesses(session)}
            for found in matches:
                if (likeness := known.get(found.likeness)) is None:
                    continue  # removed since the search
                use = Use(at, posted.platform, posted.purpose, posted.territory)
                licence = consents.covering(session, likeness.id, use, account=posted.account, certificate=fingerprint.provenance.signed_by)
                facts = Facts(
                    name=likeness.name,
                    deceased_on=likeness.deceased_on,
                    score=found.score,
                    z=found.z,
                    frames=found.frames,
                    seconds=found.seconds,
                    ranges=ranges_text(found.ranges),
                    state=fingerprint.provenance.state.value,
                    ai=fingerprint.provenance.ai.value,
                    signer=fingerprint.provenance.signer,
                    trust_list=fingerprint.provenance.trust_list,
                    account=posted.account,
                    consent=None if licence.consent is None else f"consent {licence.consent[:8]}",
                    breach=licence.breach,
                    metadata_ai=fingerprint.provenance.metadata_ai.value,
                    metadata_where=fingerprint.provenance.metadata_where,
                    stripped=fingerprint.provenance.stripped,
                    watermark=None if mark is None else mark.shown_as,
                    mark_score=0.0 if mark is None else mark.score,
                    synthetic=synthetic,
                    probe_basis=None if probe is None else probe.basis,
                    recorded=verdicts.held_recorded(session, likeness_id=likeness.id, video_sha256=fingerprint.sha256),
                )
                findings.append(Finding(likeness.name, found, facts, assess(facts, policy)))
        return tuple(findings)

    def _shadow(
        self,
        posted: Posted,
        fingerprint: Fingerprint,
        indexes: Sequence[LikenessIndex],
        findings: Sequence[Finding],
        in_force: InForce,
        probe: Probe | None,
    ) -> tuple[_Beside, ...]:
        """What the shadow policies say. A fault of one is logged and counted, and hurts nobody: it acts on nothing."""
        live = {finding.match.likeness: finding.assessment for finding in findings}
        said = []
        for shadow in in_force.shadows:
            try:
                if shadow.matching == in_force.active.matching:
                    its = {finding.match.likeness: assess(finding.facts, shadow) for finding in findings}
                else:
                    matches = match(fingerprint, voices(indexes, self.models, shadow), shadow.matching)
                    found = self._decide(posted, fingerprint, matches, shadow, probe)
                    its = {finding.match.likeness: finding.assessment for finding in found}
            except Exception:  # noqa: BLE001 - whatever it is, the post goes its way
                _log.exception("shadow policy %s failed on post %s; the policy in force is not concerned", shadow.id, posted.id)
                self.metrics.shadow_failures.inc()
                continue
            nobody, nobody_live = assess_nobody(shadow), assess_nobody(in_force.active)
            said += [
                _Beside(likeness, its.get(likeness, nobody), live.get(likeness, nobody_live))
                for likeness in sorted(live.keys() | its.keys())
            ]
        return tuple(said)

    def _manifest_store(self, fingerprint: Fingerprint, fetched: Fetched) -> bytes | None:
        """Of a video in which somebody was found, so that its verdict can follow the trust lists. Of others nothing is kept."""
        if not fingerprint.provenance.manifests:
            return None
        return self.sandbox.run(manifest_store, fetched.path, source=fetched.source)

    def _with_stills(self, finding: Finding, fetched: Fetched) -> Finding:
        chosen: list[Moment] = []
        for moment in finding.match.moments:
            if all(abs(moment.time_s - other.time_s) >= _STILL_SPACING_S for other in chosen):
                chosen.append(moment)
            if len(chosen) == _STILLS:
                break
        chosen.sort(key=lambda moment: moment.time_s)
        frames = self.sandbox.run(stills, fetched.path, [m.time_s for m in chosen], _STILL_SIDE_PX, source=fetched.source)
        return replace(
            finding,
            stills=tuple(Still(moment, jpeg_bytes(frame.image, _STILL_QUALITY)) for moment, frame in zip(chosen, frames, strict=True)),
        )

    def _record(
        self,
        posted: Posted,
        fingerprint: Fingerprint,
        findings: Sequence[Finding],
        beside: Sequence[_Beside],
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
        self.blobs.put(file, still.jpeg)
        return cases.Moment(
            time_s=still.moment.time_s, score=still.moment.score, reference_id=still.moment.reference, still=file, box=still.moment.box
        )


@dataclass(frozen=True, slots=True)
class _Beside:
    """One likeness in one post as a shadow policy and the policy in force assess it."""

    likeness: str
    shadow: Assessment
    live: Assessment


def _in_force(read: Callable[[], T]) -> T:
    """What an operator put in force. Where it is damaged every post would fail alike, so it is the world's fault: waited out."""
    try:
        return read()
    except ConfigError as error:
        raise InForceUnreadable(error.thing, error.reason, error.next_step) from error


def voices(indexes: Sequence[LikenessIndex], models: Models, policy: Policy) -> tuple[Voice, ...]:
    """What each space weighs. Beside a face encoder CLIP is a second opinion; the bundled encoder knows only drawings, so it has none."""
    if len(indexes) == 1:
        return (Voice(indexes[0], 1.0),)
    second = 0.0 if models.encoder.space.model == BUNDLED_NAME else policy.matching.clip_weight
    return tuple(voice for voice in (Voice(indexes[0], second), Voice(indexes[1], 1.0)) if voice.weight)

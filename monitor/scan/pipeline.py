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
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from monitor.base.blobs import Blobs
from monitor.base.database import Store
from monitor.base.errors import SosieError
from monitor.base.files import storage_errors
from monitor.base.metrics import Metrics
from monitor.decision.policies import Policies
from monitor.decision.policy import assess_nobody
from monitor.decision.probe.shelf import Probes
from monitor.intake.fetch import Fetched, FetchLimits, fetch
from monitor.intake.sandbox import Sandbox
from monitor.intake.sniff import require_video
from monitor.provenance.check import manifest_store
from monitor.provenance.trust_shelf import TrustShelf
from monitor.registry.gallery import Gallery
from monitor.review import videos
from monitor.scan.basis import Basis
from monitor.scan.deciding import Decider
from monitor.scan.exact_stills import with_stills
from monitor.scan.fingerprint import Fingerprint
from monitor.scan.fingerprinter import Decoding, Fingerprinter
from monitor.scan.kept_fingerprints import FingerprintStore
from monitor.scan.matching import match, voices
from monitor.scan.record import Scanned, record
from monitor.scan.result import Posted, ScanResult
from monitor.vision.frames import SampleOptions
from monitor.vision.marks import Watermarks
from monitor.vision.networks import Models


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

    fingerprinter: Fingerprinter = field(init=False)
    decider: Decider = field(init=False)

    def __post_init__(self) -> None:
        decoding = Decoding(self.sandbox, self.sampling, self.metrics)
        object.__setattr__(self, "fingerprinter", Fingerprinter(decoding, self.models))
        object.__setattr__(self, "decider", Decider(self.store, self.models, self.metrics))

    def scan(self, posted: Posted, *, keep_stills: bool = False) -> ScanResult:
        """Take one post the whole way. `keep_stills` makes stills of matches that are not flagged as well, for a report.

        Raises a `SosieError` that says whose fault it is: the post's, its source's, or Sosie's own.
        """
        started = time.perf_counter()
        try:
            with storage_errors(self.scratch):  # a disk that fails where nobody looked for it is no fault of the video's
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
                scanned = Scanned(posted, fingerprint, findings, beside, manifests, basis.policy, versions)
                findings = record(self.store, self.blobs, scanned, space_id=self.models.encoder.space.id)
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
        trust, watermarks = self.trust.current(), self.watermarks.current()
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
        """The basis of this scan from here to its end, read once."""
        in_force = self.policies.current()
        indexes, version = self.gallery.current()
        probe = self.probes.active()
        fitting = probe is not None and probe.space == self.models.encoder.space  # under another encoder the probe waits
        return Basis(in_force, probe if fitting else None, tuple(indexes), version, self.models.version)

    def _manifest_store(self, fingerprint: Fingerprint, fetched: Fetched) -> bytes | None:
        """The manifest store of a video in which somebody was found, so that the verdict can follow the trust lists; None without any."""
        if not fingerprint.provenance.manifests:
            return None
        return self.sandbox.run(manifest_store, fetched.path, source=fetched.source)

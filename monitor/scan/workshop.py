"""Settings → the parts of Sosie, each made when first asked for and closed together.

A command that only lists consents opens the database and nothing else; one that scans gets the whole pipeline.
"""

from __future__ import annotations

import logging
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

from monitor.base.blobs import Blobs
from monitor.base.database import Store
from monitor.base.errors import ConfigError
from monitor.base.files import storage_errors
from monitor.base.metrics import Metrics
from monitor.base.settings import Settings
from monitor.base.storage import open_blobs, storage_key
from monitor.decision.policies import Policies
from monitor.decision.policy import Policy, load_policy
from monitor.decision.probe.shelf import Probes
from monitor.intake.fetch import FetchLimits
from monitor.intake.sandbox import Sandbox
from monitor.provenance.trust import TrustLists
from monitor.provenance.trust_shelf import TrustShelf
from monitor.registry.cohort import backgrounds
from monitor.registry.enrolment import Enrolment
from monitor.registry.gallery import Gallery
from monitor.scan.fingerprinter import Decoding
from monitor.scan.kept_fingerprints import FingerprintStore
from monitor.scan.pipeline import Pipeline
from monitor.vision.detectors import load_detector
from monitor.vision.encoder import load_encoder
from monitor.vision.face_encoder import load_face_encoder
from monitor.vision.frames import SampleOptions
from monitor.vision.marks import Watermarks
from monitor.vision.networks import Models


class Workshop:
    """The parts under one roof; a context manager. Not thread-safe while parts are being made."""

    def __init__(self, settings: Settings, metrics: Metrics | None = None) -> None:
        self.settings = settings
        logging.getLogger("monitor").setLevel(settings.log_level.upper())
        self.metrics = metrics or Metrics()
        self._closing = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._closing.close()

    @cached_property
    def store(self) -> Store:
        """The database, at the schema of this code: brought there, or with SOSIE_MIGRATE=never refused where it is not."""
        home = self.settings.home
        try:
            with storage_errors(home):
                home.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise ConfigError(
                "SOSIE_HOME", f"{home} cannot be made: {error.strerror}", "Name a folder that is, or can be, yours"
            ) from error
        store = Store(self.settings.effective_database_url)
        self._closing.callback(store.close)
        if self.settings.migrate == "auto":
            store.migrate()
        else:
            store.require_current()
        return store

    @cached_property
    def blobs(self) -> Blobs:
        """The blobs: pictures, stills, snapshots and fingerprints."""
        return open_blobs(self.settings)

    @property
    def scratch(self) -> Path:
        """The folder of this machine's short-lived files."""
        return self.settings.home / "scratch"

    @cached_property
    def kept_fingerprints(self) -> FingerprintStore:
        return FingerprintStore(self.blobs, storage_key(self.settings), self.settings.fingerprint_days, self.sampling)

    @cached_property
    def sandbox(self) -> Sandbox:
        settings = self.settings
        made = self._closing.enter_context(Sandbox(settings.decode_workers, settings.decode_memory_bytes, settings.decode_timeout_s))
        self.metrics.sandbox_isolated.set_function(lambda: float(bool(made.network_isolated)))
        return made

    @cached_property
    def models(self) -> Models:
        settings = self.settings
        face_encoder = None if settings.face_encoder is None else load_face_encoder(settings.face_encoder, settings.threads)
        return Models(
            load_detector(settings.face_detector), load_encoder(settings.encoder, settings.threads, settings.precision), face_encoder
        )

    @cached_property
    def gallery(self) -> Gallery:
        grounds = backgrounds(self.settings.cohort, self.models, self.sandbox, self.blobs)
        return Gallery(self.blobs, self.store, self.models.face_spaces, grounds, self.metrics)

    @cached_property
    def enrolment(self) -> Enrolment:
        return Enrolment(self.blobs, self.scratch, self.store, self.sandbox, self.models)

    @cached_property
    def policy(self) -> Policy:
        """The policy of the settings' file, or the shipped one, which acts while no policy was activated."""
        return load_policy(self.settings.policy)

    @cached_property
    def policies(self) -> Policies:
        return Policies(self.store, self.policy)

    @cached_property
    def trust_shelf(self) -> TrustShelf:
        own = TrustLists.load(self.settings.trust_anchors, self.settings.trust_config)
        return TrustShelf(self.store, own, self.settings.home)

    @property
    def trust(self) -> TrustLists:
        """The lists in force at this moment."""
        return self.trust_shelf.current()

    @cached_property
    def watermarks(self) -> Watermarks:
        return Watermarks(self.store, lambda: self.sandbox, self.settings.home)

    @cached_property
    def probes(self) -> Probes:
        return Probes(self.store, self.settings.home)

    @property
    def sampling(self) -> SampleOptions:
        return SampleOptions(gap_s=self.settings.sample_gap_s, max_s=self.settings.max_hours * 3600)

    @property
    def decoding(self) -> Decoding:
        return Decoding(self.sandbox, self.sampling, self.metrics)

    @property
    def limits(self) -> FetchLimits:
        settings = self.settings
        return FetchLimits(
            max_bytes=settings.fetch_max_bytes,
            timeout_s=settings.fetch_timeout_s,
            min_bytes_per_s=settings.fetch_min_bytes_per_s,
            max_redirects=settings.fetch_max_redirects,
            allow_private=settings.fetch_allow_private,
        )

    @cached_property
    def pipeline(self) -> Pipeline:
        policies, shelf = self.policies, self.trust_shelf  # cheap, and their mistakes should show before a model is loaded
        shelf.current()
        policies.current()  # one that this release cannot read should show now, not with the first video
        self.probes.active()  # likewise
        sampling = self.sampling
        kept = self.kept_fingerprints
        kept.expire()
        return Pipeline(
            blobs=self.blobs,
            scratch=self.scratch,
            store=self.store,
            sandbox=self.sandbox,
            models=self.models,
            gallery=self.gallery,
            policies=policies,
            trust=shelf,
            limits=self.limits,
            sampling=sampling,
            kept=kept,
            metrics=self.metrics,
            watermarks=self.watermarks,
            probes=self.probes,
        )

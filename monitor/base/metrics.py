"""Every metric of Sosie, named and explained in one file. Seconds and bytes; no person's name in a label.

One `Metrics` per process, made with the registry it reports to; parts receive it, none keeps a global.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_STAGE_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
STAGES = ("fetch", "provenance", "decode", "marks", "faces", "embed", "match", "decide", "stills", "review")


class Metrics:
    """The metrics of Sosie, made in one registry. Thread-safe, as prometheus-client is. Label values come from fixed sets: stages, error
    codes, signal codes."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self.stage_seconds = Histogram(
            "sosie_stage_seconds",
            "Wall-clock seconds of one step for one video.",
            ["stage"],
            buckets=_STAGE_BUCKETS,
            registry=self.registry,
        )
        for stage in STAGES:
            self.stage_seconds.labels(stage)
        self.videos = Counter(
            "sosie_videos_total",
            "Videos by outcome: clear, flagged, or the code of the error that ended them.",
            ["outcome"],
            registry=self.registry,
        )
        self.video_bytes = Counter("sosie_video_bytes_total", "Bytes of the videos taken in.", registry=self.registry)
        self.video_seconds = Counter("sosie_video_seconds_total", "Playing time of the videos scanned.", registry=self.registry)
        self.reused = Counter(
            "sosie_fingerprints_reused_total", "Videos whose bytes were seen before, so that nothing was decoded.", registry=self.registry
        )
        self.cases = Counter(
            "sosie_cases_opened_total", "Cases opened, by the code of their heaviest reason.", ["reason"], registry=self.registry
        )
        self.shadow_failures = Counter(
            "sosie_shadow_failures_total",
            "Posts a shadow policy could not assess; the policy in force is not concerned.",
            registry=self.registry,
        )
        self.index_references = Gauge("sosie_index_references", "References in the index in use.", ["space"], registry=self.registry)
        self.index_loaded = Gauge(
            "sosie_index_loaded_timestamp_seconds",
            "When the index in use was last brought up to date: its age is the time since.",
            ["space"],
            registry=self.registry,
        )
        self.queue_depth = Gauge("sosie_queue_open_cases", "Open cases, claimed ones included.", registry=self.registry)
        self.queue_claimed = Gauge("sosie_queue_claimed_cases", "Open cases under a live claim.", registry=self.registry)
        self.queue_oldest = Gauge(
            "sosie_queue_oldest_case_seconds", "Age of the oldest open case; 0 when there is none.", registry=self.registry
        )
        self.queue_overdue = Gauge(
            "sosie_queue_overdue_cases", "Open cases past the time by which their route wants them decided.", registry=self.registry
        )
        self.outbox_waiting = Gauge(
            "sosie_outbox_waiting_events", "Case events not yet published; without Kafka they wait for ever.", registry=self.registry
        )
        self.outbox_oldest = Gauge(
            "sosie_outbox_oldest_event_seconds",
            "Age of the oldest case event not yet published; 0 when there is none.",
            registry=self.registry,
        )
        self.sandbox_isolated = Gauge(
            "sosie_sandbox_network_isolated",
            "1 when decoding workers run without a network, 0 when the platform does not allow that.",
            registry=self.registry,
        )

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a step; a step that fails is timed as well."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.stage_seconds.labels(name).observe(time.perf_counter() - start)

"""Every metric of a stream worker, named and explained in one file. Seconds; label values are partitions and error codes."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_HANDLER_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900, 3600)
_DELAY_BUCKETS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 14_400, 86_400)


class LagMetrics:
    """Gauges of how far the workers are behind, at each worker and at the console, so that they are there when no worker is."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.events = Gauge("sosie_stream_lag_events", "End offset minus committed offset.", ["partition"], registry=registry)
        self.seconds = Gauge(
            "sosie_stream_lag_seconds",
            "Age of the first event that is not committed; 0 when there is none.",
            ["partition"],
            registry=registry,
        )
        self.lost = Gauge(
            "sosie_stream_lost_events", "Events that retention deleted before they were committed.", ["partition"], registry=registry
        )


class StreamMetrics:
    """A stream worker's metrics. Thread-safe. `partition` is a number of the videos topic, `reason` a code of `monitor.base.errors`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.events = Counter("sosie_stream_events_total", "Events ended, by how: done or dead_letter.", ["outcome"], registry=registry)
        for outcome in ("done", "dead_letter"):
            self.events.labels(outcome)
        self.in_flight = Gauge(
            "sosie_stream_in_flight_events", "Events taken and not yet acknowledged, waiting ones included.", registry=registry
        )
        self.at_work = Gauge("sosie_stream_at_work_events", "Events that occupy a slot right now.", registry=registry)
        self.retries = Counter(
            "sosie_stream_retries_total",
            "Tries that failed and will be repeated, by the code of their error.",
            ["reason"],
            registry=registry,
        )
        self.dead_letters = Counter(
            "sosie_stream_dead_letters_total", "Events put aside, by the code of their error.", ["reason"], registry=registry
        )
        self.handler_seconds = Histogram(
            "sosie_stream_handler_seconds", "Wall-clock seconds of one try.", buckets=_HANDLER_BUCKETS, registry=registry
        )
        self.delay_seconds = Histogram(
            "sosie_stream_delay_seconds",
            "From an event's time stamp at the broker to its acknowledgement.",
            buckets=_DELAY_BUCKETS,
            registry=registry,
        )
        self.oldest_event = Gauge(
            "sosie_stream_oldest_event_seconds",
            "Age of the oldest event this worker has not acknowledged; 0 when there is none.",
            registry=registry,
        )
        self.commit_age = Gauge(
            "sosie_stream_commit_age_seconds", "Since the last commit, while acknowledgements wait for one; else 0.", registry=registry
        )
        self.rebalances = Counter("sosie_stream_rebalances_total", "Times that partitions were given out anew.", registry=registry)
        self.partitions = Gauge("sosie_stream_assigned_partitions", "Partitions this worker holds.", registry=registry)
        self.outage = Gauge(
            "sosie_stream_outage", "1 while Sosie itself, or what it stands on, fails, so that work waits; else 0.", registry=registry
        )
        self.waiting = Gauge(
            "sosie_stream_waiting_events",
            "Events that wait for a fault of Sosie's own to be mended; /health/ready names it.",
            registry=registry,
        )
        self.paused = Gauge(
            "sosie_stream_paused_partitions",
            "Partitions of which nothing is taken, because nearly all their messages are wrong; /health/ready says what to do.",
            registry=registry,
        )
        self.suspects = Gauge(
            "sosie_stream_suspect_events", "Events that were at work when a worker died, to be tried one by one.", registry=registry
        )

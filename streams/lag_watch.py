"""The lag as a metric: read every few seconds in a thread of its own, while there is somebody to tell."""

from __future__ import annotations

import contextlib
import logging
import threading
import time

from prometheus_client import CollectorRegistry

from monitor.base.errors import SosieError
from monitor.base.settings import Settings
from streams.lag import LagReader, PartitionLag
from streams.metrics import LagMetrics

EVERY_S = 10.0
_log = logging.getLogger(__name__)


class LagWatch:
    """Watches the lag. `lag` is the last one read (empty before), `moved_at` when a committed offset was last seen to move (monotonic)."""

    def __init__(self, settings: Settings, registry: CollectorRegistry) -> None:
        self._settings = settings
        self._metrics = LagMetrics(registry)
        self.lag: tuple[PartitionLag, ...] = ()
        self.moved_at = time.monotonic()

    def start(self, over: threading.Event) -> None:
        """Watch until `over` is set; the process does not wait for the thread."""
        threading.Thread(target=self._run, args=(over,), name="sosie-lag", daemon=True).start()

    def _run(self, over: threading.Event) -> None:
        with contextlib.closing(LagReader(self._settings)) as reader:
            failing = False
            while not over.is_set():
                try:
                    self._note(tuple(reader.read()))
                    failing = False
                except SosieError as error:
                    if not failing:
                        _log.warning("the lag cannot be read: %s", error)
                    failing = True
                over.wait(EVERY_S)

    def _note(self, lag: tuple[PartitionLag, ...]) -> None:
        if [each.committed for each in lag] != [each.committed for each in self.lag]:
            self.moved_at = time.monotonic()
        self.lag = lag
        for each in lag:
            self._metrics.events.labels(each.partition).set(each.events)
            self._metrics.seconds.labels(each.partition).set(each.seconds)
            self._metrics.lost.labels(each.partition).set(each.lost)

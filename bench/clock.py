"""CPU-seconds per stage, of this process and of the workers it started."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

import psutil


class StageClock:
    """Adds up what each stage costs: user and system time, all threads, living and finished children included.

    The kernel tells other processes' time in ticks of 10 ms, one's own exactly. Stages may not overlap.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        workers, own = _workers(), time.process_time()  # in this order, and back: asking for the workers is not the stage's work
        try:
            yield
        finally:
            own = time.process_time() - own
            self.seconds[name] += own + _workers() - workers


def _workers() -> float:
    me = psutil.Process()
    finished = me.cpu_times()
    total = finished.children_user + finished.children_system
    for child in me.children(recursive=True):
        try:
            times = child.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return float(total)

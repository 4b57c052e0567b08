"""How often a stranger may try: attempts counted in a sliding window, in memory."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from datetime import datetime
from typing import ClassVar


class Throttle:
    """Counts attempts per key in a sliding window. Thread-safe; holds at most `MAX_KEYS` keys."""

    LIMIT: ClassVar[int] = 5
    LIMIT_PER_ADDRESS: ClassVar[int] = 20
    WINDOW_S: ClassVar[float] = 300.0
    MAX_KEYS: ClassVar[int] = 10_000

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._attempts: dict[str, deque[float]] = {}

    def enter(self, key: str, limit: int) -> int:
        """Count one attempt. Returns 0, or the seconds to wait when `key` had `limit` attempts in the window (not counted then)."""
        now = self._clock().timestamp()
        with self._lock:
            times = self._attempts.pop(key, deque())
            while times and times[0] <= now - self.WINDOW_S:
                times.popleft()
            self._attempts[key] = times  # re-inserted last: the first key is the longest unused
            if len(self._attempts) > self.MAX_KEYS:
                del self._attempts[next(iter(self._attempts))]
            if len(times) >= limit:
                return int(times[0] + self.WINDOW_S - now) + 1
            times.append(now)
            return 0

    def forget(self, key: str) -> None:
        with self._lock:
            self._attempts.pop(key, None)

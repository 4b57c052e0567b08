"""How often a stranger may try: failed attempts counted in a sliding window, in memory."""

from __future__ import annotations

import ipaddress
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refusal of any attempt for `wait_s` seconds. `first`: nobody was refused by this limit since it was last kept."""

    wait_s: int
    first: bool


@dataclass(slots=True)
class _Tries:
    times: deque[float] = field(default_factory=deque)
    refused: bool = False


class Throttle:
    """Counts attempts per key in a sliding window. Thread-safe; holds at most `MAX_KEYS` keys.

    An attempt counts from its beginning, so that many at once are no way around the limit; one that succeeds is taken back.
    """

    WINDOW_S: ClassVar[float] = 300.0
    MAX_KEYS: ClassVar[int] = 10_000

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._tries: dict[str, _Tries] = {}

    def enter(self, limits: Mapping[str, int]) -> Refusal | None:
        """Count one attempt under every key, or refuse and count none when one key had as many attempts in the window as its limit."""
        now = self._clock().timestamp()
        with self._lock:
            tries = {key: self._recent(key, now) for key in limits}
            full = [each for key, each in tries.items() if len(each.times) >= limits[key]]
            if full:
                first = any(not each.refused for each in full)
                for each in full:
                    each.refused = True
                return Refusal(int(max(each.times[0] for each in full) + self.WINDOW_S - now) + 1, first)
            for each in tries.values():
                each.refused = False
                each.times.append(now)
            return None

    def take_back(self, key: str) -> None:
        """Take back the latest attempt under a key, because it was none that counts."""
        with self._lock:
            if (tries := self._tries.get(key)) and tries.times:
                tries.times.pop()

    def forget(self, key: str) -> None:
        """Forget all attempts under a key."""
        with self._lock:
            self._tries.pop(key, None)

    def _recent(self, key: str, now: float) -> _Tries:
        tries = self._tries.pop(key, None) or _Tries()
        while tries.times and tries.times[0] <= now - self.WINDOW_S:
            tries.times.popleft()
        self._tries[key] = tries  # re-inserted last: the first key is the longest unused
        if len(self._tries) > self.MAX_KEYS:
            del self._tries[next(iter(self._tries))]
        return tries


def origin_of(address: str) -> str:
    """The origin that an address counts as: an IPv4 address, or the /64 network of an IPv6 address, of which one household has 2**64."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    return address if parsed.version == 4 else str(ipaddress.ip_network((parsed, 64), strict=False))

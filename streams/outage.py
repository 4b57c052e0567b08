"""While the world fails (database, disk, broker), one event at a time tries, after a growing pause; the others wait.

Without it every event in flight would fetch and decode its video again and again, to fail at the same closed door.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from streams.retry import RetryRule

_QUIET_S = 60.0


class Outage:
    """Whether Sosie itself fails, and which event may try meanwhile. Belongs to one event loop."""

    def __init__(self, rule: RetryRule, rng: random.Random) -> None:
        self._rule = rule
        self._rng = rng
        self._failures = 0
        self._turn = asyncio.Lock()
        self._told_at = -_QUIET_S

    def lasts(self) -> bool:
        """Whether the last try met a closed door."""
        return self._failures > 0

    @asynccontextmanager
    async def passage(self) -> AsyncIterator[None]:
        """A passage that is open to all in good times; else one at a time, after the pause."""
        async with AsyncExitStack() as stack:
            if self.lasts():
                await self._turn.acquire()
                if self.lasts():
                    stack.callback(self._turn.release)
                    await asyncio.sleep(self._rule.pause_s(self._failures, self._rng))
                else:
                    self._turn.release()
            yield

    def goes_on(self) -> bool:
        """Note that a try met the closed door; say whether that is worth a line in the log (the first, then one a minute)."""
        self._failures += 1
        if time.monotonic() - self._told_at < _QUIET_S:
            return False
        self._told_at = time.monotonic()
        return True

    def over(self) -> None:
        """Note that a try got through."""
        self._failures = 0
        self._told_at = -_QUIET_S

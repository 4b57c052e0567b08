"""Whether an event follows directly on the one before it; where it does not, the log is asked, and read again from what is missing.

Client libraries lose, repeat and reorder events around a rebalance; asked here, that costs time and no event. Belongs to one event loop.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time

from monitor.base.errors import SosieError
from streams.broker import Broker
from streams.event import Event, Place
from streams.ledger import Ledger
from streams.retry import RetryRule

_SEEK_AGAIN_S = 5.0
_log = logging.getLogger(__name__)


class Order:
    """The order of events on the partitions that a ledger holds."""

    def __init__(self, broker: Broker, ledger: Ledger, rule: RetryRule, rng: random.Random) -> None:
        self._broker = broker
        self._ledger = ledger
        self._rule = rule
        self._rng = rng
        self._sought: dict[Place, tuple[int, int, float]] = {}

    async def holds(self, event: Event, epoch: int) -> bool:
        """Whether the event may be entered; waits while the log cannot be asked. False as well when the partition went away."""
        while True:
            try:
                expected = self._ledger.expected(event.place)
                if expected is None:
                    expected = await self._broker.start_of(event.place)
                    if self._ledger.epoch(event.place) != epoch:
                        return False
                if event.offset < expected:
                    # Read again from further back: from what was begun in this epoch, or from before it.
                    return self._ledger.expected(event.place) is not None and not self._ledger.is_acknowledged(event)
                if event.offset == expected:
                    return True
                first = await self._broker.first_at(event.place, expected)
                if self._ledger.epoch(event.place) != epoch:
                    return False
                if first is not None and first >= event.offset:
                    return True  # nothing lies between: offsets skip transaction markers and what was compacted away
                await self._go_back(event, expected, epoch)
            except SosieError as error:
                _log.warning("the order of %s cannot be checked now: %s", event, error)
                await asyncio.sleep(self._rule.pause_s(3, self._rng))
                if self._ledger.epoch(event.place) != epoch:
                    return False
            else:
                return False

    async def _go_back(self, event: Event, expected: int, epoch: int) -> None:
        """Read again from `expected`; the events fetched already come first, so asking once in a while is enough."""
        now = time.monotonic()
        before = self._sought.get(event.place)
        if before is not None and before[:2] == (epoch, expected) and now - before[2] < _SEEK_AGAIN_S:
            return
        self._sought[event.place] = (epoch, expected, now)
        _log.warning("%s came before offset %s, which was not delivered; reading goes back to it", event, expected)
        await self._broker.seek(event.place, expected)

    async def read_again(self, place: Place) -> None:
        """Have the dropped events of a partition delivered once more. Waits while the broker does not take it."""
        epoch, pauses = self._ledger.epoch(place), 0
        while epoch is not None and self._ledger.epoch(place) == epoch and (offset := self._ledger.expected(place)) is not None:
            try:
                await self._broker.seek(place, offset)
            except SosieError as error:
                pauses += 1
                _log.warning("%s cannot be read again now: %s", place, error)
                await asyncio.sleep(self._rule.pause_s(pauses, self._rng))
            else:
                return

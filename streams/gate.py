"""Which events may begin: a bounded number at once, one at a time while Sosie itself fails, and quite alone what may have ended a worker.

An event that somebody began and did not end is a **suspect**: its worker died while it was at work, by it, by a neighbour, or by
somebody who pulled the plug. The rule that tells these apart:

- A suspect waits until another event has got through in this process, so that the worker is known to be sound. Where nobody else
  is left to try, it begins after its pause, and that try proves nothing, unless others were seen to get through at an earlier one.
- It begins alone: everything at work ends first, nothing begins beside it. If the process dies now, it is this event or the plug.
- One that died DEATHS times in such tries is refused as `Quarantined`. Any end of its own clears it.

A restart, a rebalance or a kill -9 in the midst of work makes suspects, and their next try clears them. Plugs pulled at random must
hit one event DEATHS times in the moments in which it is tried alone: where each try has a chance of 1 in 10 to be hit, that is 1 in
100,000. While every event ends its worker nobody gets through, so nothing is refused; pauses grow instead, up to
`RetryRule.longest_s`.

Belongs to one event loop.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

from monitor.base.errors import Quarantined
from streams.attempts import Attempts, Left
from streams.event import Event, Place
from streams.outage import Outage
from streams.retry import RetryRule

DEATHS = 5

_Key = tuple[Place, int]


class Gate:
    """Lets events begin, `slots` at once at most. `outage` is whether Sosie itself fails just now."""

    def __init__(self, slots: int, rule: RetryRule, rng: random.Random, attempts: Attempts) -> None:
        self.outage = Outage(rule, rng)
        self._slots = asyncio.Semaphore(slots)
        self._count = slots
        self._rule = rule
        self._rng = rng
        self._attempts = attempts
        self._suspects: dict[_Key, Left] = {}
        self._asked: set[Place] = set()
        self._fresh: set[_Key] = set()  # never tried in this process, no suspect, and nothing keeps it from being tried
        self._alone = asyncio.Lock()
        self._stir = asyncio.Event()
        self._begun = 0
        self._through = 0  # which try it was, counted in their order, that got through last

    @property
    def suspects(self) -> int:
        """How many events of our partitions may have ended a worker."""
        return len(self._suspects)

    @property
    def begun(self) -> int:
        """Tries begun so far."""
        return self._begun

    def got_through_since(self, begun: int) -> bool:
        """Whether a try that began after the first `begun` tries got through."""
        return self._through > begun

    def left(self, event: Event) -> Left | None:
        """What is known of a suspect; None where the event is no suspect."""
        return self._suspects.get(_key(event))

    def assigned(self, places: Iterable[Place]) -> None:
        """Begin these partitions anew: others may have left something behind on them, and what is not ours is theirs to judge."""
        places = frozenset(places)
        self._suspects = {key: left for key, left in self._suspects.items() if key[0] in places}
        self._asked.clear()
        self._stirred()

    def revoked(self, at_work: Iterable[Event]) -> None:
        """Note that events at work here go to somebody else: that is no reason for suspicion, and takes none away."""
        for event in at_work:
            self._attempts.hand_back(*_key(event))

    @asynccontextmanager
    async def passage(self, event: Event) -> AsyncIterator[int]:
        """Wait for leave to try the event; yields the number of the try, and within the event is on record as begun.

        Raises `Quarantined`, and what the record raises.
        """
        if event.place not in self._asked:
            async with self._slots, self.outage.passage():
                await self._ask(event.place)
        async with AsyncExitStack() as stack:
            if (left := self.left(event)) is None:
                self._fresh.add(_key(event))
                stack.callback(self._tried, event)
                await stack.enter_async_context(self._slots)
                proof = False
            else:
                if left.alone >= DEATHS:
                    raise _quarantined(event, left)
                await self._turn_of_a_suspect(left)
                await stack.enter_async_context(self._alone)
                for _ in range(self._count):
                    await self._slots.acquire()
                    stack.callback(self._slots.release)
                proof = self._through > 0 or left.alone > 0
            await stack.enter_async_context(self.outage.passage())
            await self._attempts.begin(event, alone=proof)
            self._begun += 1
            try:
                yield self._begun
            except asyncio.CancelledError:  # broken off from outside, which says nothing of the event
                self._attempts.hand_back(*_key(event))
                raise
            except BaseException:
                self._ended(event)
                raise
            self._ended(event)

    def got_through(self, number: int) -> None:
        """Note that try `number` did its work, and succeeded."""
        self._through = max(self._through, number)
        self.outage.over()
        self._stirred()

    def committed(self, offsets: Mapping[Place, int]) -> None:
        """Forget events below these offsets, which will not come again: refused ones, and those whose end could not be recorded."""
        for key in list(self._suspects):
            if key[1] < offsets.get(key[0], 0):
                del self._suspects[key]
                self._attempts.end(*key)

    def _ended(self, event: Event) -> None:
        self._attempts.end(*_key(event))
        self._suspects.pop(_key(event), None)

    async def _ask(self, place: Place) -> None:
        if place not in self._asked:
            left = await self._attempts.left(place)
            self._suspects |= {(place, offset): what for offset, what in left.items()}
            self._asked.add(place)

    async def _turn_of_a_suspect(self, left: Left) -> None:
        await asyncio.sleep(self._rule.pause_s(left.tries, self._rng))
        while not self._through and self._fresh:
            self._stir.clear()
            await self._stir.wait()

    def _tried(self, event: Event) -> None:
        self._fresh.discard(_key(event))
        self._stirred()

    def _stirred(self) -> None:
        self._stir.set()


def _key(event: Event) -> _Key:
    return event.place, event.offset


def _quarantined(event: Event, left: Left) -> Quarantined:
    return Quarantined(
        event,
        f"its worker died {left.alone} times while this event alone was at work, and others got through in between",
        "Find out what it does to the worker (the kernel's log, the lines before each restart), update Sosie, then replay it",
    )

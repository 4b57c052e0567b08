"""When nearly everything fails, the fault is ours: a worker stops instead of shovelling a topic into dead letters.

Two limits per partition, either of which stops the worker, after sentry-arroyo's `DlqLimit`: so many dead letters in a row,
and their share among the last 200 events (not judged before there are 100). Counts start anew with the process.

Pure bookkeeping; belongs to the event loop.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from monitor.base.errors import DeadLettersExceeded
from streams.event import Place

WINDOW = 200
ENOUGH = 100


@dataclass(slots=True)
class _Tally:
    run: int
    recent: deque[bool]


class DeadLetterLimit:
    """`run`: this many in a row are too many. `share`: more than this share of the recent ones is too much."""

    def __init__(self, run: int, share: float) -> None:
        self._run = run
        self._share = share
        self._tallies: dict[Place, _Tally] = {}

    def done(self, place: Place) -> None:
        """An event ended as it should."""
        tally = self._tally(place)
        tally.run = 0
        tally.recent.append(False)

    def check(self, place: Place, reason: str) -> None:
        """Ask before an event is made a dead letter. Raises `DeadLettersExceeded` when that would be one too many."""
        tally = self._tally(place)
        tally.run += 1
        tally.recent.append(True)
        share = sum(tally.recent) / len(tally.recent)
        if tally.run > self._run:
            raise _exceeded(place, f"{tally.run} events in a row failed for good, the last with {reason!r}", "SOSIE_DEAD_LETTER_RUN")
        if len(tally.recent) >= ENOUGH and share > self._share:
            raise _exceeded(
                place,
                f"{share:.0%} of the last {len(tally.recent)} events failed for good, the last with {reason!r}",
                "SOSIE_DEAD_LETTER_SHARE",
            )

    def _tally(self, place: Place) -> _Tally:
        return self._tallies.setdefault(place, _Tally(0, deque(maxlen=WINDOW)))


def _exceeded(place: Place, reason: str, setting: str) -> DeadLettersExceeded:
    return DeadLettersExceeded(
        place,
        f"{reason}; the worker stops, and has not acknowledged the last",
        f"Read `sosie dead-letters list`, mend the cause, start the worker again; if the events are to blame, raise {setting}",
    )

"""When nearly every message of a partition is wrong, no uploader did that: the partition is paused before all are dead letters.

Counted is only what no uploader can cause: messages that are none, versions that are not known, events put into quarantine. A
video that is gone, damaged or forbidden is its post's fault, and any number of those in a row stops nothing.

Two limits per partition, either of which pauses it, after sentry-arroyo's `DlqLimit`: so many in a row, and their share among the
last 200 events (not judged before there are 100). Counts start anew with the process, so that a restart goes on.

Pure bookkeeping; belongs to the event loop.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from monitor.base.errors import DeadLettersExceeded, MessageRefused, Quarantined, SosieError
from streams.event import Place

WINDOW = 200
ENOUGH = 100


@dataclass(slots=True)
class _Tally:
    run: int
    recent: deque[bool]


class DeadLetterLimit:
    """A limit on dead letters: more than `run` in a row are too many, and more than the `share` of recent events is too much."""

    def __init__(self, run: int, share: float) -> None:
        self._run = run
        self._share = share
        self._tallies: dict[Place, _Tally] = {}

    def passed(self, place: Place) -> None:
        """Note an event that ended as it should, or as a dead letter by its post's or its source's fault."""
        tally = self._tally(place)
        tally.run = 0
        tally.recent.append(False)

    def refuses(self, place: Place, error: SosieError) -> DeadLettersExceeded | None:
        """Ask before an event is made a dead letter for `error`. None: it may be, and is counted. Else why it may not be."""
        if not isinstance(error, MessageRefused | Quarantined):
            self.passed(place)
            return None
        tally = self._tally(place)
        recent = [*tally.recent, True][-WINDOW:]
        share = sum(recent) / len(recent)
        if tally.run + 1 > self._run:
            return _exceeded(place, f"{tally.run + 1} events in a row are wrong, the last with {error.code!r}", "SOSIE_DEAD_LETTER_RUN")
        if len(recent) >= ENOUGH and share > self._share:
            reason = f"{share:.0%} of the last {len(recent)} events are wrong, the last with {error.code!r}"
            return _exceeded(place, reason, "SOSIE_DEAD_LETTER_SHARE")
        tally.run += 1
        tally.recent.append(True)
        return None

    def _tally(self, place: Place) -> _Tally:
        return self._tallies.setdefault(place, _Tally(0, deque(maxlen=WINDOW)))


def _exceeded(place: Place, reason: str, setting: str) -> DeadLettersExceeded:
    return DeadLettersExceeded(
        place,
        f"{reason}; the partition is paused before the last, other partitions go on",
        f"Read `sosie dead-letters list` and mend the cause (a producer, or an update of Sosie that is due), then restart the worker: "
        f"it goes on from there, and counts anew. If the events are to blame, raise {setting} as well",
    )

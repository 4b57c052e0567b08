"""What follows from a failed try: pure decisions. Whose fault an error is, its type says (`monitor.base.errors`).

| fault of | then |
|---|---|
| the post | dead letter at once |
| its source | again after a pause, `attempts` times in all; then dead letter |
| Sosie, or what it stands on (database, disk, index, model) | again after a pause, without end: nothing is given up for it |
| Sosie, as nobody foresaw (a bug) | again, `attempts` times; then quarantine if others got through since, else as above |

So a bug that only one event meets costs that event, and one that every event meets costs time. Pauses double from `first_s` to
`longest_s` and are shortened by up to half at random, so that workers do not try in step.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import Enum

from monitor.base import disk_errors
from monitor.base.errors import PostFault, Quarantined, SosieError, SosieFault, SourceFault, UnforeseenFault

INTERNAL = "internal"


class Verdict(Enum):
    """What to do with an event whose try failed."""

    RETRY = "retry"
    WAIT_OUT = "wait out"
    DEAD_LETTER = "dead letter"
    QUARANTINE = "quarantine"


@dataclass(frozen=True, slots=True)
class RetryRule:
    """The rule of retrying. `attempts` counts all tries of one event, the first included."""

    attempts: int = 4
    first_s: float = 0.5
    longest_s: float = 30.0

    def judge(self, error: Exception, attempt: int, *, others_get_through: bool = False) -> Verdict:
        """What follows when try number `attempt` (from 1) ended in `error`.

        `others_get_through`: since this event first failed so, another one was begun and succeeded.
        """
        if isinstance(error, Quarantined):
            return Verdict.QUARANTINE
        if isinstance(error, PostFault):
            return Verdict.DEAD_LETTER
        if isinstance(error, SourceFault):
            return Verdict.RETRY if attempt < self.attempts else Verdict.DEAD_LETTER
        if of_sosie(error):
            return Verdict.WAIT_OUT
        if attempt < self.attempts:
            return Verdict.RETRY
        return Verdict.QUARANTINE if others_get_through else Verdict.WAIT_OUT

    def pause_s(self, failures: int, rng: random.Random) -> float:
        """How long to wait after so many failures in a row (from 1)."""
        return min(self.longest_s, self.first_s * 2.0 ** min(failures - 1, 30)) * rng.uniform(0.5, 1.0)


def of_sosie(error: Exception) -> bool:
    """Whether every event would meet this error: a fault of Sosie's that no single event brings about."""
    if isinstance(error, OSError):
        return disk_errors.named(error, "") is not None
    return isinstance(error, SosieFault) and not isinstance(error, UnforeseenFault)


def unforeseen(error: Exception) -> bool:
    """Whether nobody knows yet if every event meets this error, or one alone."""
    return not isinstance(error, PostFault | SourceFault) and not of_sosie(error)


def code_of(error: Exception) -> str:
    """The error's stable code, for metrics and dead letters."""
    return error.code if isinstance(error, SosieError) else INTERNAL


def text_of(error: Exception) -> str:
    """What a dead letter says of an error. Of a bug only its type: its text may hold anything."""
    return str(error) if isinstance(error, SosieError) else f"{type(error).__name__}: a fault in Sosie itself. The log has the traceback."

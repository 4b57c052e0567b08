"""What follows from a failed try: pure decisions.

| the error says                                | then                                                                     |
|---|---|
| fault of the post                             | dead letter at once                                                      |
| fault of its source                           | again after a pause, `attempts` times in all; then dead letter           |
| fault of Sosie (database, disk, broker, model…)  | again after a pause, without end: nothing is given up for an outage   |
| no error of ours (a bug)                      | as for this input's own source, with the code `internal`                 |

Pauses double from `first_s` to `longest_s` and are shortened by up to half at random, so that workers do not try in step.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import Enum

from monitor.base.errors import PostFault, SosieError, SosieFault

INTERNAL = "internal"


class Verdict(Enum):
    """What to do with an event whose try failed."""

    RETRY = "retry"
    WAIT_OUT = "wait out"
    DEAD_LETTER = "dead letter"


@dataclass(frozen=True, slots=True)
class RetryRule:
    """`attempts` counts all tries of one event, the first included."""

    attempts: int = 4
    first_s: float = 0.5
    longest_s: float = 30.0

    def judge(self, error: Exception, attempt: int) -> Verdict:
        """What follows when try number `attempt` (from 1) ended in `error`."""
        if isinstance(error, PostFault):
            return Verdict.DEAD_LETTER
        if isinstance(error, SosieFault):
            return Verdict.WAIT_OUT
        return Verdict.RETRY if attempt < self.attempts else Verdict.DEAD_LETTER

    def pause_s(self, failures: int, rng: random.Random) -> float:
        """How long to wait after so many failures in a row (from 1)."""
        return min(self.longest_s, self.first_s * 2.0 ** min(failures - 1, 30)) * rng.uniform(0.5, 1.0)


def code_of(error: Exception) -> str:
    """The error's stable code, for metrics and dead letters."""
    return error.code if isinstance(error, SosieError) else INTERNAL


def text_of(error: Exception) -> str:
    """What a dead letter says of it. Of a bug only its type: its text may hold anything."""
    return str(error) if isinstance(error, SosieError) else f"{type(error).__name__}: a fault in Sosie itself. The log has the traceback."

"""Whether a worker lives (else replace it), and whether it is ready: pure.

Alive is a matter of progress, not of answering: a worker that answers and moves no offset is hung. It is alive while an event
was acknowledged within the limit, or nothing waits, or it tries in vain and says what for. Ready is another question: are the models,
the index and the broker there, and does nothing of Sosie's own keep the work waiting?
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """A worker's progress. `idle_s`: for how long something has waited and nothing was acknowledged; `waiting`: events not acknowledged."""

    idle_s: float
    waiting: int


@dataclass(slots=True)
class Idleness:
    """Counts idle time from the last acknowledgement, or from when there was last nothing to do: a night without a post is no hang."""

    quiet_at: float

    def seen(self, *, now: float, moved_at: float, waiting: int) -> Progress:
        """The progress at `now` (monotonic seconds); to be told often, since it remembers when nothing waited."""
        if not waiting:
            self.quiet_at = now
        return Progress(now - max(moved_at, self.quiet_at), waiting)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a probe is told: yes or no, and why, in a sentence."""

    ok: bool
    reason: str


def live(progress: Progress, limit_s: float) -> Answer:
    """Whether the worker makes progress."""
    if not progress.waiting:
        return Answer(True, "nothing waits")
    if progress.idle_s <= limit_s:
        return Answer(True, f"the last acknowledgement is {progress.idle_s:.0f} s ago, {progress.waiting} events are in flight")
    return Answer(
        False,
        f"nothing was acknowledged for {progress.idle_s:.0f} s although {progress.waiting} events are in flight (limit {limit_s:.0f} s)",
    )


@dataclass(frozen=True, slots=True)
class Parts:
    """What a worker needs before it can do its work; a reason where one is missing."""

    index: str | None = "the index is not loaded yet"
    broker: str | None = "the broker has not been reached yet"
    work: str | None = None
    stopping: bool = False


def ready(parts: Parts) -> Answer:
    """Whether the worker can do its work now."""
    if parts.stopping:
        return Answer(False, "the worker is stopping")
    missing = [reason for reason in (parts.index, parts.broker, parts.work) if reason is not None]
    return Answer(not missing, "; ".join(missing) or "the index is loaded and current, the broker is there")

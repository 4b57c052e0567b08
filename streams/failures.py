"""An event that will never succeed, on its way to becoming a dead letter."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from monitor.base.errors import PostFault, Quarantined, SosieError, SourceFault
from streams.event import Event


@dataclass(frozen=True, slots=True)
class Failure:
    """An event that is given up. `attempts`: tries made in this process; those before a replay stand in the event's headers."""

    event: Event
    error: SosieError
    attempts: int
    at: datetime

    @property
    def code(self) -> str:
        return self.error.code

    @property
    def text(self) -> str:
        return str(self.error)


def failure_of(event: Event, error: Exception, attempts: int) -> Failure:
    """The failure of an event that is given up now. Of a bug only its type is told: its text may hold anything."""
    if isinstance(error, PostFault | SourceFault | Quarantined):
        return Failure(event, error, attempts, datetime.now(UTC))
    reason = str(error) if isinstance(error, SosieError) else f"{type(error).__name__}, a fault in Sosie itself"
    told = Quarantined(
        event,
        f"failed {attempts} times while others got through: {reason}",
        "The worker's log has the traceback: report it, update Sosie, then replay the event",
    )
    return Failure(event, told, attempts, datetime.now(UTC))

"""An event that will never succeed, on its way to becoming a dead letter."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from streams.event import Event
from streams.retry import code_of, text_of


@dataclass(frozen=True, slots=True)
class Failure:
    """`attempts`: tries made in this process; those before a replay stand in the event's headers."""

    event: Event
    error: Exception
    attempts: int
    at: datetime

    @property
    def code(self) -> str:
        return code_of(self.error)

    @property
    def text(self) -> str:
        return text_of(self.error)

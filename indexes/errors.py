"""The root of Sosie's one error hierarchy, and the faults of an index.

It lives here because `indexes` is the lowest package; `monitor.base.errors` adds the rest.
"""

from __future__ import annotations

from typing import ClassVar


class SosieError(Exception):
    """An error that names the thing, the reason and the next step.

    `code` is stable and safe as a metric label; the text may name paths, never secrets or persons.
    Exactly one of the subclasses `PermanentError` and `TransientError` says whether trying again can help.
    """

    code: ClassVar[str] = "error"

    def __init__(self, thing: object, reason: str, next_step: str) -> None:
        super().__init__(thing, reason, next_step)
        self.thing = str(thing)
        self.reason = reason.rstrip(". ")
        self.next_step = next_step.rstrip(". ")

    def __str__(self) -> str:
        return f"{self.thing}: {self.reason}. {self.next_step}."


class PermanentError(SosieError):
    """The same input will fail again: report it, do not retry."""


class TransientError(SosieError):
    """The input may be fine; the same call may succeed later.

    `of_one_input` says whose fault it is: True where only this input's own source fails (its server), so that giving up on
    it after some tries is right; False where everything would fail alike (the database, the disk), so that waiting is.
    """

    of_one_input: ClassVar[bool] = False


class IndexCorrupt(PermanentError):
    """A file of an index is missing, cut short or altered."""

    code = "index_corrupt"


class SpaceMismatch(PermanentError):
    """Vectors of two different makers met; nothing was compared."""

    code = "space_mismatch"

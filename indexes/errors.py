"""The root of Sosie's one error hierarchy, and the faults of an index.

It lives here because `indexes` is the lowest package; `monitor.base.errors` adds the rest, and has the table of all.

Every error answers two questions by its type:

- Whose fault is it? Exactly one of `PostFault`, `SourceFault` and `SosieFault`. Only what is not Sosie's may cost a post its result.
- Can the same call succeed later, with nobody lifting a hand? Exactly one of `PermanentError` and `TransientError`.
"""

from __future__ import annotations

from typing import ClassVar


class SosieError(Exception):
    """An error that names the thing, the reason and the next step.

    `code` is stable and safe as a metric label; the text may name paths, never secrets or persons.
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
    """The same call fails again until somebody changes something: the input, or Sosie's surroundings."""


class TransientError(SosieError):
    """The same call may succeed later by itself."""


class PostFault(SosieError):
    """The fault of what was given: a post, its file, a message, a person's request. Report it; do not retry."""


class SourceFault(SosieError):
    """The fault of the server that one post's video comes from. Try a few times, then give that post up."""


class SosieFault(SosieError):
    """The fault of Sosie or of what it stands on (database, disk, broker, model, settings): every post would fail alike.

    Wait and try again, however long it takes; give nothing up for it. A `PermanentError` as well where somebody must mend it.
    """


class UnforeseenFault(SosieFault):
    """A fault of Sosie's that one input may have caused; it is Sosie's until other inputs get through and this one does not."""


class IndexCorrupt(SosieFault, PermanentError):
    """A file of an index is missing, cut short or altered."""

    code = "index_corrupt"


class SpaceMismatch(SosieFault, PermanentError):
    """Vectors of two different makers met; nothing was compared."""

    code = "space_mismatch"

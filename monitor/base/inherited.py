"""Items that release 0.1 kept in a folder of the home, to be taken over into the database once.

The first machine that asks takes over; another whose folder held something else is told so, and what to do. The folder stays as it is.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from monitor.base.errors import InForceUnreadable

__all__ = ["Inheritance", "Inherited", "content_of", "day"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Inherited:
    """One item as a folder names it. `content` need not be what `sha256` says: what was damaged is taken over as damaged."""

    name: str
    sha256: str
    content: bytes
    detail: Mapping[str, Any]
    added_at: datetime


@dataclass(frozen=True, slots=True)
class Inheritance:
    """The items of a folder of release 0.1. `file` names the items, `parse` reads `file`, and `command` says how one that was not taken
    over is put in force.

    `parse` may raise ValueError, KeyError, TypeError or OSError for a file that is not what it should be; `instead` is what to do then.
    `additive`: what this folder holds besides is taken over too, because an item more changes nothing that acts.
    """

    file: Path
    parse: Callable[[Path], Sequence[Inherited]]
    command: Callable[[Inherited], str]
    instead: str
    additive: bool = False

    def read(self) -> Sequence[Inherited]:
        """The items that the folder names; none where there is no such file. Raises `InForceUnreadable`."""
        try:
            return self.parse(self.file) if self.file.exists() else ()
        except (ValueError, KeyError, TypeError, OSError) as error:
            raise InForceUnreadable(
                self.file, f"is of release 0.1 and cannot be taken over ({error})", f"Mend it, move it away, or {self.instead}"
            ) from None

    def warn_of_others(self, ever: Collection[tuple[str, str]]) -> None:
        """Log each item that the folder names and the database never had in force, by name and SHA-256."""
        try:
            others = [each for each in self.read() if (each.name, each.sha256) not in ever]
        except InForceUnreadable:
            return  # nothing is lost by it: what is in force stands in the database
        for each in others:
            _log.warning(
                "%s names %s (SHA-256 %s), which is not in force: the database holds what another machine had. "
                "If it should be, run `%s`; if not, move the file away.",
                self.file,
                each.name,
                each.sha256[:12],
                self.command(each),
            )


def content_of(file: Path) -> bytes:
    """The bytes of a file that may be missing: none then, which fit no digest."""
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return b""


def day(text: str) -> datetime:
    """The instant at which a day of release 0.1's records begins, in UTC. Raises ValueError."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)

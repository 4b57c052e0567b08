"""Where snapshots lie: named bytes, in a folder, a bucket or anything else that keeps these promises."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Listed:
    """One name in a listing. `modified_s` counts seconds since 1970 by the storage's own clock."""

    name: str
    size_bytes: int
    modified_s: float


class Storage(Protocol):
    """Bytes under names like `index/ab12/CURRENT`. Thread-safe, and shared by several processes or machines.

    What was written is what every later call of anybody sees. A write is whole or not there.
    """

    @property
    def place(self) -> str:
        """The place of the bytes, as an error may name it: without keys."""

    def get(self, name: str) -> bytes | None:
        """The bytes, or None where there is nothing by that name."""

    def tagged(self, name: str) -> tuple[bytes, str] | None:
        """The bytes, and a tag that stands for exactly these bytes; for `replace`."""

    def put(self, name: str, data: bytes) -> None:
        """Store the bytes, in place of any before."""

    def replace(self, name: str, data: bytes, tag: str | None) -> bool:
        """Store the bytes if the bytes there still have that tag (None: if there are none); else False, and nothing changed."""

    def exists(self, name: str) -> bool:
        """Whether there is something by that name."""

    def listed(self, prefix: str) -> Iterator[Listed]:
        """Everything below the folder `prefix`, by name."""

    def folders(self, prefix: str) -> list[str]:
        """The names of the folders directly below the folder `prefix` that hold something, sorted."""

    def delete(self, name: str) -> None:
        """Forget the bytes by this name; a name without bytes is no error."""

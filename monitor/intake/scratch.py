"""Files of a download, gone when it ends; and what a killed process left behind.

A live download holds a lock on its file, which the kernel lets go of with the process, so that nobody has to guess from a
file's age whether it is still wanted. A file is locked before it gets the name that `clear` looks at.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PREFIX = "fetch-"


@contextmanager
def scratch_file(folder: Path) -> Iterator[Path]:
    """A new empty file in `folder`, which is made where it is missing; unlinked when the context ends."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor, draft = tempfile.mkstemp(prefix="new-", dir=folder)
    path = Path(draft)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        path = path.rename(folder / f"{_PREFIX}{path.name.removeprefix('new-')}")
        yield path
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def clear(folder: Path) -> int:
    """Remove the files of processes that are gone; returns how many. Safe beside live downloads of this and other processes."""
    cleared = 0
    for path in folder.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError), path.open("rb") as file:  # it went by itself, or somebody holds it
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
            cleared += 1
    return cleared

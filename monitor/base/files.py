"""Files under SOSIE_HOME, written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from indexes import lock
from monitor.base import disk_errors


@contextmanager
def storage_errors(place: Path) -> Iterator[None]:
    """Turn the system's errors about a disk into `StorageFull` or `StorageUnavailable`; other errors pass."""
    try:
        yield
    except OSError as error:
        if (named := disk_errors.named(error, place)) is None:
            raise
        raise named from error


def write_atomically(file: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Replace `file` by `data` durably: a crash leaves the old content or the new, never a part. Raises `StorageFull`."""
    with storage_errors(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{file.name[:40]}-", dir=file.parent)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            Path(name).chmod(mode)
            Path(name).replace(file)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Make the folder if there is none, and hold it alone, of all processes that ask for it. Raises `StorageFull`."""
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with lock.exclusive(folder):
        yield


def make_once(file: Path, data: bytes) -> bytes:
    """The content of `file`, which is made of `data` where it is missing; processes that start at once agree on one content. Mode 0600."""
    if not file.exists():
        draft = file.with_name(f".{file.name}-{secrets.token_hex(8)}")
        write_atomically(draft, data)
        with contextlib.suppress(FileExistsError):  # another process was first: its content counts
            os.link(draft, file)
        draft.unlink()
    return file.read_bytes()

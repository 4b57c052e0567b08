"""Blobs in a folder: one file each, at its name below the home."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from monitor.base.blobs import Listed, require_name, require_prefix
from monitor.base.errors import StorageUnavailable
from monitor.base.files import exclusive, storage_errors, write_atomically

T = TypeVar("T")

_TURNS = 100


class FolderBlobs:
    """Blobs under `root`; see `monitor.base.blobs.Blobs`. Processes on one machine may share it.

    Links that lead out of a blob's area are not followed: what they name is not there. Files whose names begin with a dot are drafts
    and locks, and no blobs.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    @property
    def place(self) -> str:
        return str(self._root)

    def get(self, name: str) -> bytes | None:
        path = self._path(name)
        with _faults(path), contextlib.suppress(FileNotFoundError):
            return path.read_bytes() if self._holds(path, name) else None
        return None

    def tagged(self, name: str) -> tuple[bytes, str] | None:
        data = self.get(name)
        return None if data is None else (data, _tag(data))

    def exists(self, name: str) -> bool:
        path = self._path(name)
        with _faults(path):
            return self._holds(path, name)

    def put(self, name: str, data: bytes) -> None:
        path = self._path(name)
        with _faults(path):
            _in_its_folder(lambda: write_atomically(path, data))

    def put_new(self, name: str, data: bytes) -> bool:
        path = self._path(name)
        if self.exists(name):
            return False
        draft = path.with_name(f".{path.name}-{secrets.token_hex(8)}")
        with _faults(path):
            _in_its_folder(lambda: write_atomically(draft, data))
            try:
                os.link(draft, path)
            except FileExistsError:
                return False
            finally:
                draft.unlink()
        return True

    def replace(self, name: str, data: bytes, tag: str | None) -> bool:
        path = self._path(name)

        def replaced() -> bool:
            with exclusive(path.parent):
                held = path.read_bytes() if self._holds(path, name) else None
                if (None if held is None else _tag(held)) != tag:
                    return False
                write_atomically(path, data)
                return True

        with _faults(path):
            return _in_its_folder(replaced)

    def listed(self, prefix: str) -> Iterator[Listed]:
        root = self._root / require_prefix(prefix)
        with _faults(root):
            for path in sorted(_files(root)):
                name = path.relative_to(self._root).as_posix()
                with contextlib.suppress(FileNotFoundError):  # deleted meanwhile
                    if self._holds(path, name):
                        state = path.stat()
                        yield Listed(name, state.st_size, state.st_mtime)

    def folders(self, prefix: str) -> list[str]:
        root = self._root / require_prefix(prefix)
        with _faults(root):
            return sorted(path.name for path in root.glob("[!.]*/") if any(_files(path)))

    def delete(self, name: str) -> None:
        path = self._path(name)
        with _faults(path):
            path.unlink(missing_ok=True)
            for folder in path.parents:
                if folder.parent == self._root:  # the area itself stays
                    return
                try:
                    folder.rmdir()
                except OSError:
                    return  # not empty, or gone already

    def _path(self, name: str) -> Path:
        return self._root / require_name(name)

    def _holds(self, path: Path, name: str) -> bool:
        area = (self._root / name.split("/", 1)[0]).resolve()
        return path.is_file() and path.resolve().is_relative_to(area)


def _files(folder: Path) -> Iterator[Path]:
    """The files of a folder that are not hidden, at any depth; folders that others delete meanwhile are passed over."""
    for parent, folders, names in os.walk(folder, onerror=_but_gone):
        folders[:] = [name for name in folders if not name.startswith(".")]
        paths = (Path(parent, name) for name in names if not name.startswith("."))
        yield from (path for path in paths if path.is_file())


def _but_gone(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def _in_its_folder(write: Callable[[], T]) -> T:
    """Call `write`, which makes its folder; again if others deleted that folder, with its last blob, in between."""
    for _ in range(_TURNS):
        with contextlib.suppress(FileNotFoundError, FileExistsError):  # the latter: mkdir's, where it vanished in between
            return write()
    return write()


def _tag(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@contextmanager
def _faults(path: Path) -> Iterator[None]:
    """Turn a file system's errors into Sosie's own; that of a missing file passes."""
    try:
        with storage_errors(path):
            yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise StorageUnavailable(path, f"the folder of blobs refuses: {error.strerror}", "Check the disk and its mount") from error

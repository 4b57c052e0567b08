"""The operator's trust bundle: which lists are in force, each pinned by its SHA-256.

    HOME/trust/bundle.json     kind, name, SHA-256 and day of each file
    HOME/trust/<sha256>        the file as it was downloaded; never changed, never deleted

The bundle is replaced whole, under a lock; a worker that runs sees a change with its next video. Lists named by SOSIE_TRUST_ANCHORS are in
force beside it. A file whose bytes are not those in the bundle is refused: nothing is judged by a list nobody chose.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock

from monitor.base.errors import ConfigError, NotFound, RequestRefused
from monitor.base.files import exclusive, write_atomically
from monitor.provenance.trust import TrustLists
from monitor.provenance.trust_files import Kind, TrustFile, bundle, named, recognise

_MAX_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Listed:
    """A file of the bundle."""

    kind: Kind
    name: str
    sha256: str
    added_at: str


class TrustShelf:
    """The bundle of one home, and the lists of the settings (`own`). Thread-safe; several processes may share the home."""

    def __init__(self, home: Path, own: TrustLists) -> None:
        self._folder = home / "trust"
        self._file = self._folder / "bundle.json"
        self._own = own
        self._lock = Lock()
        self._read: tuple[tuple[Listed, ...], TrustLists] = ((), own)

    def listed(self) -> tuple[Listed, ...]:
        """What is in the bundle. Raises `ConfigError` for a bundle that is none."""
        try:
            files = json.loads(self._file.read_bytes())["files"]
            return tuple(Listed(Kind(file["kind"]), str(file["name"]), str(file["sha256"]), str(file["added_at"])) for file in files)
        except FileNotFoundError:
            return ()
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(self._file, f"is no trust bundle ({error})", "Restore it, or remove it and update the lists again") from None

    def current(self) -> TrustLists:
        """The lists in force now, read once for each change. Raises `ConfigError` for a list that is missing or was changed."""
        with self._lock:
            listed = self.listed()
            if listed != self._read[0]:
                self._read = (listed, self._bundle(listed))
            return self._read[1]

    def update(
        self, files: Sequence[Path], *, kind: Kind | None = None, name: str | None = None, sha256: str | None = None
    ) -> list[Listed]:
        """Put lists in the bundle, all or none. One of a kind of which there is one, or of a name that is known, takes that one's place.

        `kind` and `name` state what is recognised otherwise; `sha256` is what the one file must have. Raises `ConfigError` for what is
        no trust list, `RequestRefused` for other bytes than `sha256` says.
        """
        if len(files) != 1 and (name or sha256):
            raise RequestRefused("A name or a SHA-256", "is that of one file", "Update one list at a time")
        read = [(file, _content(file)) for file in files]
        added: list[tuple[Listed, bytes]] = []
        for file, content in read:
            digest = hashlib.sha256(content).hexdigest()
            if sha256 is not None and digest != sha256.strip().lower():
                raise RequestRefused(
                    file, f"has the SHA-256 {digest}, not the one given", "Download it again, and compare with its publisher"
                )
            what = kind or recognise(content, file)
            added.append((Listed(what, name or named(what, file), digest, datetime.now(UTC).date().isoformat()), content))
        bundle([TrustFile(each.kind, each.name, content) for each, content in added], TrustLists())  # every mistake shows before a change
        for each, content in added:
            write_atomically(self._folder / each.sha256, content)
        with self._changing() as listed:
            for each, _ in added:
                listed[:] = [other for other in listed if not _replaces(each, other)] + [each]
        return [each for each, _ in added]

    def remove(self, name: str) -> Listed:
        """Believe this list no more. Raises `NotFound`."""
        with self._changing() as listed:
            for each in listed:
                if each.name == name:
                    listed.remove(each)
                    return each
        raise NotFound(f"Trust list {name!r}", "is not in the bundle", "`sosie trust show` names those that are")

    @contextmanager
    def _changing(self) -> Iterator[list[Listed]]:
        with exclusive(self._folder):
            listed = [*self.listed()]
            yield listed
            self._bundle(listed)  # two lists of one name, with those of the settings
            text = json.dumps({"files": [asdict(each) for each in sorted(listed, key=lambda each: (each.kind, each.name))]}, indent=2)
            write_atomically(self._file, text.encode() + b"\n")

    def _bundle(self, listed: Sequence[Listed]) -> TrustLists:
        made = bundle([TrustFile(each.kind, each.name, self._content(each)) for each in listed], self._own)
        names = [item.name for item in made.lists] + [item.name for item in made.allowed]
        for name in names:
            if names.count(name) > 1:
                raise ConfigError(name, "two trust lists have this name", "Give one another: verdicts name the list that matched")
        return made

    def _content(self, each: Listed) -> bytes:
        file = self._folder / each.sha256
        try:
            content = file.read_bytes()
        except FileNotFoundError:
            content = b""
        if hashlib.sha256(content).hexdigest() != each.sha256:
            raise ConfigError(file, f"the {each.name} is missing or was changed", "Update it from its publisher again, or remove it")
        return content


def _replaces(new: Listed, old: Listed) -> bool:
    return new.name == old.name or (new.kind is old.kind and new.kind.of_one)


def _content(file: Path) -> bytes:
    try:
        if file.stat().st_size > _MAX_BYTES:
            raise ConfigError(file, f"has more than {_MAX_BYTES // 1024**2} MiB: no trust list is so large", "Check the path")
        return file.read_bytes()
    except OSError as error:
        raise ConfigError(file, f"cannot be read ({error.strerror})", "Check the path and the permissions") from error

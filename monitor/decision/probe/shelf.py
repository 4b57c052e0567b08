"""Probes as files, and which of them acts.

    HOME/probes/<version>.json     one probe; the name is twelve digits of its content's SHA-256
    HOME/probes/active.json        names the one that acts; without it none does

No probe acts until somebody activates it. Files are replaced whole and hold one thing each, so several processes may share a home, and
a worker that runs sees a change with its next video. Probes are never deleted: assessments that rest on them can be made again.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from threading import Lock

from monitor.base.errors import ConfigError, NotFound, RequestRefused
from monitor.base.files import write_atomically
from monitor.decision.probe.teaching import Probe

NO_PROBE = "none"
"""The version while none acts."""

_VERSION = re.compile(r"[0-9a-f]{12}")


class Probes:
    """The probes of one home. Thread-safe."""

    def __init__(self, home: Path) -> None:
        self._folder = home / "probes"
        self._active = self._folder / "active.json"
        self._lock = Lock()
        self._read: dict[str, Probe] = {}

    def keep(self, probe: Probe) -> None:
        """Put a probe on the shelf; again changes nothing. It does not act by that. Raises `StorageFull`."""
        write_atomically(self._file(probe.version), json.dumps(probe.to_json(), indent=2, sort_keys=True).encode() + b"\n")

    def versions(self) -> tuple[str, ...]:
        """Of all probes kept, the oldest first."""
        files = [file for file in self._folder.glob("*.json") if _VERSION.fullmatch(file.stem)]
        return tuple(file.stem for file in sorted(files, key=lambda file: (file.stat().st_mtime, file.stem)))

    def get(self, version: str) -> Probe:
        """Raises `NotFound`, and `ConfigError` for a file that is not what it was."""
        with self._lock:
            if version not in self._read:
                self._read[version] = self._load(version)
            return self._read[version]

    def active_version(self) -> str:
        """`NO_PROBE` while none acts. Raises `ConfigError` for an `active.json` that names none."""
        try:
            version = json.loads(self._active.read_bytes())["version"]
        except FileNotFoundError:
            return NO_PROBE
        except (ValueError, KeyError, TypeError):
            version = None
        if not isinstance(version, str) or not _VERSION.fullmatch(version):
            raise ConfigError(self._active, "names no probe", "`sosie probe activate` writes it anew; `--off` removes it")
        return version

    def active(self) -> Probe | None:
        """The probe that acts, read once for each change. Raises `ConfigError` for one that is missing or was changed."""
        if (version := self.active_version()) == NO_PROBE:
            return None
        try:
            return self.get(version)
        except NotFound as error:
            raise ConfigError(self._active, f"the probe {version} is missing", "Restore it, or `sosie probe activate --off`") from error

    def activate(self, version: str) -> Probe:
        """Let a probe act from the next video on. Raises `RequestRefused` for one that may not, `NotFound`, `ConfigError`."""
        probe = self.get(version)
        if short := probe.shortcomings():
            next_step = "Scan more videos with trusted credentials, or decide more cases, then run `sosie probe train`"
            raise RequestRefused(f"Probe {version}", f"may not act: {'; '.join(short)}", next_step)
        write_atomically(self._active, json.dumps({"version": version}).encode() + b"\n")
        return probe

    def deactivate(self) -> bool:
        """Let none act from the next video on; whether one did."""
        try:
            self._active.unlink()
        except FileNotFoundError:
            return False
        return True

    def _file(self, version: str) -> Path:
        return self._folder / f"{version}.json"

    def _load(self, version: str) -> Probe:
        file = self._file(version)
        if not _VERSION.fullmatch(version) or not file.is_file():
            raise NotFound(f"Probe {version}", "is not kept", "`sosie probe list` names those that are")
        try:
            probe = Probe.from_json(json.loads(file.read_bytes()))
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(file, f"is no probe ({error})", "Restore it, or train and activate another") from None
        if probe.version != version:
            raise ConfigError(file, f"was changed: its content is that of {probe.version}", "Restore it, or train and activate another")
        return probe

"""Probes as they are kept, and which of them acts, for every machine of the database (`monitor.base.in_force`).

No probe acts until somebody activates it. Probes are never deleted: assessments that rest on them can be made again. The one that acts
is in force on its own, with its bytes, so that letting another act, or none, reads nothing of what acted before.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock

from monitor.base.audit import COMMAND_LINE
from monitor.base.database import Store
from monitor.base.errors import InForceUnreadable, NotFound, RequestRefused
from monitor.base.in_force import DAMAGED, Item, Shelf
from monitor.base.inherited import Inheritance, Inherited, content_of
from monitor.decision.probe.teaching import Probe

NO_PROBE = "none"
"""The version while none acts."""

_VERSION = re.compile(r"[0-9a-f]{12}")
_INSTEAD = "let none act: `sosie probe activate --off`"


@dataclass(frozen=True, slots=True)
class KeptProbe:
    """A probe that is kept, or what to do about one that cannot be read (`damage`)."""

    version: str
    probe: Probe | None
    damage: str | None = None


class Probes:
    """The probes of one database. Thread-safe; any number of machines may share it.

    `home`: its folder `probes`, where release 0.1 kept probes, is taken over: which one acts once, the probes of each machine.
    """

    def __init__(self, store: Store, home: Path) -> None:
        folder = home / "probes"
        kept = Inheritance(folder, _probes_of_before, _command, _INSTEAD, additive=True)
        acting = Inheritance(folder / "active.json", _acting_of_before, _command, _INSTEAD)
        self._kept: Shelf[None] = Shelf(store, "probe.kept", lambda _: None, _damaged, kept)
        self._acting: Shelf[Probe | None] = Shelf(store, "probe", _made, _acting_damaged, acting)
        self._lock = Lock()
        self._read: dict[str, Probe] = {}

    def keep(self, probe: Probe) -> None:
        """Put a probe on the shelf; again changes nothing, or mends a damaged one. It does not act by that."""
        with self._kept.changing(actor=COMMAND_LINE) as change:
            if change.put(probe.version, probe.canonical(), {}):
                change.record("kept", probe.version)

    def versions(self) -> tuple[str, ...]:
        """The versions of all kept probes, the oldest first."""
        return tuple(item.name for item in sorted(self._kept.items(), key=_age))

    def listed(self) -> tuple[KeptProbe, ...]:
        """All kept probes, damaged or not, the oldest first."""
        return tuple(_listed(item) for item in sorted(self._kept.held(), key=_age))

    def get(self, version: str) -> Probe:
        """The kept probe of a version. Raises `NotFound`, and `InForceUnreadable` for a probe that is not what it was."""
        with self._lock:
            if version not in self._read:
                held = self._kept.held(version)
                if not held:
                    raise NotFound(f"Probe {version}", "is not kept", "`sosie probe list` names those that are")
                self._read[version] = _probe(held[0])
            return self._read[version]

    def active_version(self) -> str:
        """The version of the probe that acts, damaged or not; `NO_PROBE` while none acts."""
        return next((item.name for item in self._acting.items()), NO_PROBE)

    def active(self) -> Probe | None:
        """The probe that acts, read once for each change. Raises `InForceUnreadable` for one that was changed."""
        return self._acting.current()

    def activate(self, version: str, *, actor: str = COMMAND_LINE) -> Probe:
        """Let a probe act from the next video on. Raises `RequestRefused` for one that may not, `NotFound`, `InForceUnreadable`."""
        probe = self.get(version)
        if short := probe.shortcomings():
            next_step = "Scan more videos with trusted credentials, or decide more cases, then run `sosie probe train`"
            raise RequestRefused(f"Probe {version}", f"may not act: {'; '.join(short)}", next_step)
        with self._acting.changing(actor=actor) as change:
            before = change.items()
            for item in before:
                if item.name != version:
                    change.end(item)
            if change.put(version, probe.canonical(), {}):
                change.record("activated", version, instead_of=next((item.name for item in before), NO_PROBE))
        return probe

    def deactivate(self, *, actor: str = COMMAND_LINE) -> bool:
        """Let no probe act from the next video on; say whether one did."""
        with self._acting.changing(actor=actor) as change:
            acting = change.items()
            for item in acting:
                change.end(item)
                change.record("deactivated", item.name)
            return bool(acting)


def _made(items: Sequence[Item]) -> Probe | None:
    return _probe(items[0]) if items else None


def _probe(item: Item) -> Probe:
    if item.damaged:
        raise _damaged(item)
    try:
        return Probe.from_json(json.loads(item.content or b""))
    except (ValueError, KeyError, TypeError) as error:
        raise InForceUnreadable(
            f"Probe {item.name}", f"this release cannot read it ({error})", f"Run one release everywhere, or {_INSTEAD}"
        ) from error


def _listed(item: Item) -> KeptProbe:
    try:
        return KeptProbe(item.name, _probe(item))
    except InForceUnreadable as error:
        return KeptProbe(item.name, None, f"{error.reason}. {error.next_step}.")


def _damaged(item: Item) -> InForceUnreadable:
    """The error for a damaged kept probe: the same lessons and seed make the same probe, which takes its place."""
    return InForceUnreadable(f"Probe {item.name}", DAMAGED, "`sosie probe train` makes one of all that is known now")


def _acting_damaged(item: Item) -> InForceUnreadable:
    next_step = f"Let it act anew: `sosie probe activate {item.name}`; or {_INSTEAD}"
    return InForceUnreadable(f"The probe that acts, {item.name}", DAMAGED, next_step)


def _age(item: Item) -> tuple[object, int]:
    return item.added_at, item.id


def _probes_of_before(folder: Path) -> list[Inherited]:
    """The probes in HOME/probes of release 0.1, each under its version."""
    files = [file for file in folder.glob("*.json") if _VERSION.fullmatch(file.stem)]
    return [_inherited(file) for file in sorted(files)]


def _acting_of_before(file: Path) -> list[Inherited]:
    """The acting probe of release 0.1, by its version in `active.json`. Raises ValueError where that names none."""
    version = json.loads(file.read_bytes())["version"]
    if not isinstance(version, str) or not _VERSION.fullmatch(version):
        raise ValueError("names no probe")
    return [_inherited(file.with_name(f"{version}.json"))]


def _inherited(file: Path) -> Inherited:
    """A probe of release 0.1, damaged if it is not what its name says: twelve digits are all that was known of it, and fit nothing."""
    content = content_of(file)
    added_at = datetime.fromtimestamp(file.stat().st_mtime if content else 0, UTC)
    try:
        probe = Probe.from_json(json.loads(content))
    except (ValueError, KeyError, TypeError):
        return Inherited(file.stem, file.stem, content, {}, added_at)
    canonical = probe.canonical()
    digest = hashlib.sha256(canonical).hexdigest()
    return Inherited(file.stem, digest if digest.startswith(file.stem) else file.stem, canonical, {}, added_at)


def _command(each: Inherited) -> str:
    return f"sosie probe activate {each.name}"

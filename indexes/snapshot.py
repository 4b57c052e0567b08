"""Snapshots of an index: published whole or not at all, verified before use.

    ROOT/CURRENT          the name of the snapshot in use, replaced only by one that holds a later generation
    ROOT/<version>/       immutable; manifest.json, written last, lists every file with its SHA-256

A crash at any moment leaves the former snapshot in use. Processes and machines may publish and read at once: equal content has an equal
version, and of two that differ the later generation stays in use, whoever is slower.
Failures: a missing, cut or altered file is `IndexCorrupt`; nothing of it is used.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from indexes.errors import IndexCorrupt
from indexes.storage import Storage

_CURRENT = "CURRENT"
_MANIFEST = "manifest.json"
_VERSION = re.compile(r"[0-9a-f]{16}")
_KEEP = 3  # a reader that has just read CURRENT may still open the one before
_ABANDONED_S = 3600.0  # files without a manifest: a publisher that has been at it for so long has died
_TURNS = 100  # each lost turn means that somebody else published
_REBUILD = "Run `sosie index rebuild`: it makes the index anew from the registry, where nothing is lost"


@dataclass(frozen=True, slots=True)
class Snapshots:
    """The snapshots of one index, under the folder `root` of a storage. Thread-safe. What the storage raises passes through."""

    storage: Storage
    root: str

    def publish(self, files: Mapping[str, bytes], facts: Mapping[str, Any], generation: int) -> str:
        """Publish `files` and `facts` as a snapshot, current unless the current one is of a later generation; return the snapshot's
        version.

        Files are written in the order given, before the manifest. Publishing equal content again changes nothing.
        """
        digests = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
        manifest = {"facts": {**facts, "generation": generation}, "files": digests}
        text = json.dumps(manifest, sort_keys=True, indent=1).encode()
        version = hashlib.sha256(text).hexdigest()[:16]
        if not self.holds(version):
            for name, data in files.items():
                self.storage.put(self._name(version, name), data)
        self.storage.put(self._name(version, _MANIFEST), text)  # again too: else it would be the first to be pruned
        self._point(version, generation)
        self._prune()
        return version

    def current(self) -> str | None:
        """The version in use, or None where nothing was ever published. Raises `IndexCorrupt` where the pointer is damaged."""
        if (text := self.storage.get(f"{self.root}/{_CURRENT}")) is None:
            return None
        if (version := _version(text)) is None:
            raise IndexCorrupt(f"{self.storage.place}/{self.root}/{_CURRENT}", "it names no snapshot", _REBUILD)
        return version

    def moved_s(self) -> float | None:
        """When CURRENT was last replaced, in seconds since 1970; None where nothing was ever published."""
        name = f"{self.root}/{_CURRENT}"
        return next((each.modified_s for each in self.storage.listed(self.root) if each.name == name), None)

    def holds(self, version: str) -> bool:
        """Whether the snapshot of this version was published and is still there."""
        return _VERSION.fullmatch(version) is not None and self.storage.exists(self._name(version, _MANIFEST))

    def versions(self) -> list[str]:
        """The names of all snapshot folders, those of publishers at work or dead included."""
        return self.storage.folders(self.root)

    def facts(self, version: str) -> dict[str, Any]:
        """The facts that were published with a snapshot. Raises `IndexCorrupt`."""
        return dict(self._manifest(version)["facts"])

    def read(self, version: str) -> tuple[dict[str, bytes], dict[str, Any]]:
        """Files and facts of a snapshot, every byte checked. Raises `IndexCorrupt` naming the file that is not as published."""
        manifest = self._manifest(version)
        return {name: self._checked(version, name, digest) for name, digest in manifest["files"].items()}, manifest["facts"]

    def part(self, version: str, name: str) -> bytes | None:
        """The unchecked content of one file of a snapshot, None where it is missing; for callers that may meet a half-written snapshot."""
        return self.storage.get(self._name(version, name))

    def erase(self, version: str) -> None:
        """Delete a snapshot, current or not: from its first step on nobody can load it. What names it as current names nothing then."""
        self.storage.delete(self._name(version, _MANIFEST))
        for each in list(self.storage.listed(f"{self.root}/{version}")):
            self.storage.delete(each.name)

    def discard_damaged(self) -> None:
        """Erase damaged snapshots: equal content is published under an equal version, and would be taken for the damaged one."""
        for version in self.versions():
            try:
                self.read(version)
            except IndexCorrupt:
                self.erase(version)

    def _manifest(self, version: str) -> dict[str, Any]:
        text = self._bytes_of(version, _MANIFEST)
        if hashlib.sha256(text).hexdigest()[:16] != version:
            raise IndexCorrupt(self._shown(version, _MANIFEST), "the manifest was altered after it was published", _REBUILD)
        manifest: dict[str, Any] = json.loads(text)
        return manifest

    def _checked(self, version: str, name: str, digest: str) -> bytes:
        data = self._bytes_of(version, name)
        if hashlib.sha256(data).hexdigest() != digest:
            raise IndexCorrupt(self._shown(version, name), f"its SHA-256 is not the one in the manifest ({len(data)} bytes read)", _REBUILD)
        return data

    def _bytes_of(self, version: str, name: str) -> bytes:
        if (data := self.storage.get(self._name(version, name))) is None:
            raise IndexCorrupt(self._shown(version, name), "the file is missing", _REBUILD)
        return data

    def _name(self, version: str, name: str) -> str:
        return f"{self.root}/{version}/{name}"

    def _shown(self, version: str, name: str) -> str:
        return f"{self.storage.place}/{self._name(version, name)}"

    def _point(self, version: str, generation: int) -> None:
        for _ in range(_TURNS):
            held = self.storage.tagged(f"{self.root}/{_CURRENT}")
            named = None if held is None else _version(held[0])
            if named == version or (named is not None and self._generation(named) > generation):
                return
            if self.storage.replace(f"{self.root}/{_CURRENT}", version.encode(), None if held is None else held[1]):
                return

    def _generation(self, version: str) -> int:
        try:
            return int(self.facts(version)["generation"])
        except (IndexCorrupt, KeyError):
            return -1  # erased or damaged: whatever comes is better

    def _prune(self) -> None:
        """Erase all snapshots but the latest few, and what dead publishers left. The snapshot in use is never erased."""
        listed = [each for each in self.storage.listed(self.root) if each.name.count("/") > self.root.count("/") + 1]
        latest = max((each.modified_s for each in listed), default=0.0)
        published: dict[str, float] = {}
        begun: dict[str, float] = {}
        for each in listed:
            version, _, name = each.name.removeprefix(f"{self.root}/").partition("/")
            begun[version] = max(begun.get(version, 0.0), each.modified_s)
            if name == _MANIFEST:
                published[version] = each.modified_s
        pointer = self.storage.get(f"{self.root}/{_CURRENT}")
        in_use = None if pointer is None else _version(pointer)
        others = sorted((version for version in published if version != in_use), key=published.__getitem__)
        abandoned = [version for version in begun if version not in published and begun[version] < latest - _ABANDONED_S]
        for version in [*others[: -(_KEEP - 1)], *abandoned]:
            self.erase(version)


def _version(pointer: bytes) -> str | None:
    text = pointer.decode("ascii", "replace").strip()
    return text if _VERSION.fullmatch(text) else None

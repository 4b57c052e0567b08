"""An index on disk: published whole or not at all, verified before use.

    ROOT/CURRENT          the name of the snapshot in use, replaced atomically
    ROOT/<version>/       immutable; manifest.json lists every file with its SHA-256

A crash at any moment leaves the former snapshot in use. Readers may load while a writer publishes; writers take turns.
Failures: a missing, cut or altered file is `IndexCorrupt`; nothing of it is used.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from indexes.errors import IndexCorrupt
from indexes.lock import exclusive

_CURRENT = "CURRENT"
_MANIFEST = "manifest.json"
_KEEP = 3  # a reader that has just read CURRENT may still open the one before
_REBUILD = "Run `sosie index rebuild`: it makes the index anew from the registry, where nothing is lost"


def publish(root: Path, files: Mapping[str, bytes], facts: Mapping[str, Any]) -> str:
    """Write `files` and a manifest with `facts` as a new snapshot, make it current, return its version.

    Equal content has an equal version; publishing it twice changes nothing. `OSError` passes through, and the
    former snapshot stays in use.
    """
    manifest = {"facts": dict(facts), "files": {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}}
    text = json.dumps(manifest, sort_keys=True, indent=1).encode()
    version = hashlib.sha256(text).hexdigest()[:16]
    root.mkdir(parents=True, exist_ok=True)
    with exclusive(root):  # what one publisher prunes, another may be naming; readers wait for nobody
        if (root / version / _MANIFEST).is_file():
            os.utime(root / version)  # else it would be the first to be pruned
        else:
            _stage(root, version, {**files, _MANIFEST: text})
        pointer = root / f".{_CURRENT}-{os.getpid()}-{version}"
        _write_durably(pointer, version.encode())
        pointer.replace(root / _CURRENT)
        _prune(root, keep=version)
    return version


def _stage(root: Path, version: str, files: Mapping[str, bytes]) -> None:
    staging = Path(tempfile.mkdtemp(prefix=".staging-", dir=root))
    try:
        for name, data in files.items():
            _write_durably(staging / name, data)
        staging.rename(root / version)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def current(root: Path) -> str | None:
    """The version in use, or None where nothing was ever published."""
    try:
        return (root / _CURRENT).read_text(errors="replace").strip()
    except FileNotFoundError:
        return None


def read(root: Path, version: str) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Files and facts of a snapshot, every byte checked. Raises `IndexCorrupt` naming the file that is not as published."""
    folder = root / version
    text = _bytes_of(folder / _MANIFEST)
    if hashlib.sha256(text).hexdigest()[:16] != version:
        raise IndexCorrupt(folder / _MANIFEST, "the manifest was altered after it was published", _REBUILD)
    manifest = json.loads(text)
    files = {}
    for name, digest in manifest["files"].items():
        data = _bytes_of(folder / name)
        if hashlib.sha256(data).hexdigest() != digest:
            raise IndexCorrupt(folder / name, f"its SHA-256 is not the one in the manifest ({len(data)} bytes read)", _REBUILD)
        files[name] = data
    return files, manifest["facts"]


def _bytes_of(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        raise IndexCorrupt(file, "the file is missing", _REBUILD) from None


def _write_durably(file: Path, data: bytes) -> None:
    with file.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def _prune(root: Path, keep: str) -> None:
    snapshots = sorted(
        (path for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")), key=lambda p: p.stat().st_mtime
    )
    for folder in [path for path in snapshots if path.name != keep][: -(_KEEP - 1)]:
        shutil.rmtree(folder, ignore_errors=True)

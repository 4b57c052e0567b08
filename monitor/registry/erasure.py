"""What was removed is gone from every snapshot, of every model, in the folder or the bucket.

The registry says who is protected; a snapshot that holds a reference which the registry does not know is erased. So it is the same act
right after a removal, after a crash in the middle of one, and every hour: safe to repeat, by any process.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import select

from indexes.likeness import references_in
from indexes.snapshot import Snapshots
from monitor.base.blobs import Blobs
from monitor.base.database import Store
from monitor.registry.references import Reference

INDEX = "index"
_JOINED = f"{INDEX}/joined"
_ERASED = f"{INDEX}/erased"


def spaces(blobs: Blobs) -> list[str]:
    """The ids of the spaces that have snapshots, of models that are not in use any more too."""
    return [name for name in blobs.folders(INDEX) if f"{INDEX}/{name}" not in (_JOINED, _ERASED)]


def snapshots_of(blobs: Blobs, space_id: str) -> Snapshots:
    return Snapshots(blobs, f"{INDEX}/{space_id}")


def erase_removed(blobs: Blobs, store: Store) -> int:
    """Erase every snapshot that holds, or may hold, a removed reference; returns how many.

    What was erased leaves its version behind (`was_erased`). Raises what the storage and the database raise; what is done stays done.
    """
    found = [(snapshots, version, references_in(snapshots, version)) for snapshots, version in _all(blobs)]
    with store.session(read_only=True) as session:  # after reading what lies there: whoever is added meanwhile is known
        known = set(session.scalars(select(Reference.id)))
    doomed = [(snapshots, version) for snapshots, version, held in found if held is None or not held <= known]
    for snapshots, version in doomed:
        blobs.put(f"{_ERASED}/{version}", b"")
        snapshots.erase(version)
    _unjoin(blobs)
    return len(doomed)


def was_erased(blobs: Blobs, version: str) -> bool:
    """Whether the index of a version, or of one that the version stands for, was erased because somebody was removed."""
    return blobs.exists(f"{_ERASED}/{version}")


def join(blobs: Blobs, name: str, versions: list[str]) -> None:
    """Let `name` stand for the versions of several spaces."""
    blobs.put(f"{_JOINED}/{name}", "\n".join(versions).encode())


def joined(blobs: Blobs, name: str) -> list[str] | None:
    """The versions that `name` stands for, or None."""
    text = blobs.get(f"{_JOINED}/{name}")
    return None if text is None else text.decode("ascii", "replace").split()


def _unjoin(blobs: Blobs) -> None:
    """Forget the common names of versions that are not all there any more."""
    names = [each.name.rpartition("/")[2] for each in blobs.listed(_JOINED)]
    stand_for = {name: joined(blobs, name) or [] for name in names}
    held = {version for snapshots, version in _all(blobs) if snapshots.holds(version)} if names else set()
    for name, versions in stand_for.items():
        if not held.issuperset(versions):
            if any(was_erased(blobs, version) for version in versions):
                blobs.put(f"{_ERASED}/{name}", b"")
            blobs.delete(f"{_JOINED}/{name}")


def _all(blobs: Blobs) -> Iterator[tuple[Snapshots, str]]:
    for space_id in spaces(blobs):
        snapshots = snapshots_of(blobs, space_id)
        yield from ((snapshots, version) for version in snapshots.versions())

"""Whether every blob that the database names is there and intact, and what lies there that nothing names."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from sqlalchemy import select

from monitor.base.blobs import Blobs
from monitor.base.database import Store
from monitor.base.errors import BlobDamaged, IndexCorrupt
from monitor.registry import erasure
from monitor.registry.references import Reference
from monitor.review.cases import Case
from monitor.scan.kept_fingerprints import FingerprintStore

_YOUNG_S = 3600.0  # a picture is written before the transaction that names it
_JPEG = (b"\xff\xd8\xff", b"\xff\xd9")


@dataclass(frozen=True, slots=True)
class Found:
    """What is wrong with one blob. `why` says, for people, what depends on it and what mends it."""

    name: str
    why: str


@dataclass
class StorageReport:
    """How many blobs were read, and which of them are wrong. Orphans hurt nobody, but may show somebody who was removed."""

    read: int = 0
    missing: list[Found] = field(default_factory=list)
    damaged: list[Found] = field(default_factory=list)
    orphaned: list[Found] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        return not self.missing and not self.damaged


def check_storage(blobs: Blobs, store: Store, kept: FingerprintStore) -> StorageReport:
    """Read every blob, byte for byte. Hashes are checked where they are known: snapshots, sealed fingerprints, all objects of a bucket.

    Of a picture in a folder no hash is known; one that was cut short shows. Raises what the storage and the database raise.
    """
    report = StorageReport()
    named = dict(_named(store))
    for name, why in named.items():
        _read_picture(blobs, name, why, report)
    for area in ("references", "evidence"):
        for each in blobs.listed(area):
            if each.name not in named and each.modified_s < time.time() - _YOUNG_S:
                report.orphaned.append(Found(each.name, "nothing names it; --erase-orphaned deletes it"))
    _read_snapshots(blobs, report)
    _read_cohorts(blobs, report)
    for name, fault in kept.check():
        report.read += 1
        if fault is not None:
            report.damaged.append(Found(name, f"{fault}; the video is decoded again when it comes again"))
    return report


def erase_orphans(blobs: Blobs, report: StorageReport) -> None:
    """Delete the orphans of a report, which nothing names."""
    for each in report.orphaned:
        blobs.delete(each.name)


def _named(store: Store) -> Iterator[tuple[str, str]]:
    """Each blob that the database names, and what depends on that blob."""
    with store.session(read_only=True) as session:
        for reference in session.scalars(select(Reference)):
            yield (
                reference.file,
                f"picture of reference {reference.id[:8]}: without it another model cannot embed it; add the picture again",
            )
        for case in session.scalars(select(Case).execution_options(yield_per=500)):
            for moment in case.moments:
                if moment.still is not None:
                    yield moment.still, f"still of case {case.id}: its page shows a placeholder; scan its post again, or restore a backup"


def _read_picture(blobs: Blobs, name: str, why: str, report: StorageReport) -> None:
    report.read += 1
    try:
        jpeg = blobs.get(name)
    except BlobDamaged as error:
        report.damaged.append(Found(name, f"{error.reason}; {why}"))
        return
    if jpeg is None:
        report.missing.append(Found(name, why))
    elif not (jpeg.startswith(_JPEG[0]) and jpeg.endswith(_JPEG[1])):
        report.damaged.append(Found(name, f"it is no whole JPEG; {why}"))


def _read_snapshots(blobs: Blobs, report: StorageReport) -> None:
    for space_id in erasure.spaces(blobs):
        snapshots = erasure.snapshots_of(blobs, space_id)
        for version in snapshots.versions():
            if snapshots.holds(version):  # else a publisher is at it
                report.read += 1
                try:
                    snapshots.read(version)
                except (IndexCorrupt, BlobDamaged) as error:
                    report.damaged.append(Found(f"{snapshots.root}/{version}", f"{error.reason}; {error.next_step}"))
        try:
            in_use = snapshots.current()
        except (IndexCorrupt, BlobDamaged) as error:
            report.damaged.append(Found(f"{snapshots.root}/CURRENT", f"{error.reason}; {error.next_step}"))
            continue
        if in_use is not None and not snapshots.holds(in_use) and not erasure.was_erased(blobs, in_use):
            report.missing.append(Found(f"{snapshots.root}/{in_use}", "it is the index in use; run `sosie index rebuild`"))


def _read_cohorts(blobs: Blobs, report: StorageReport) -> None:
    for each in blobs.listed("cohort"):
        report.read += 1
        try:
            with np.load(io.BytesIO(blobs.get(each.name) or b""), allow_pickle=False) as arrays:
                for name in arrays:
                    arrays[name]
        except Exception as error:  # noqa: BLE001 - whatever zip and npy say of strange bytes
            report.damaged.append(Found(each.name, f"it cannot be read ({type(error).__name__}); it is made again when it is needed"))

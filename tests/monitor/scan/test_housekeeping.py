"""What has run out or was removed goes by the hour, though nothing happens."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from monitor.base.errors import StorageUnavailable
from monitor.scan.housekeeping import house_kept, keep_house
from monitor.scan.workshop import Workshop
from tests.monitor.household import sosie


def test_fingerprints_of_days_that_are_over_and_snapshots_of_people_removed_are_destroyed(furnished: Path, workshop: Workshop) -> None:
    old = furnished / "fingerprints" / "2020-01-01"
    old.mkdir(parents=True)
    (old / "key").write_bytes(bytes(32))
    (old / "a-print").write_bytes(b"sealed")
    workshop.gallery.current()
    (version,) = workshop.blobs.folders(f"index/{workshop.models.crop_space.id}")
    with workshop.store.session() as session:
        session.connection().exec_driver_sql('DELETE FROM "references"')  # a removal that broke off before it erased
    keep_house(workshop)
    assert not old.exists()
    assert workshop.blobs.folders(f"index/{workshop.models.crop_space.id}") == []
    assert workshop.blobs.exists(f"index/erased/{version}")
    assert sosie("index", "verify").out == "No index has been written yet.\n"
    assert sosie("index", "show").status == 0
    assert "0 references, every byte as published" in sosie("index", "verify").out


def test_it_goes_on_by_the_hour_whatever_fails_and_ends_with_the_block(workshop: Workshop, caplog: pytest.LogCaptureFixture) -> None:
    done, times = threading.Event(), []

    def work(given: Workshop) -> None:
        assert given is workshop
        times.append(None)
        if len(times) == 1:
            raise StorageUnavailable("s3://b", "is away", "Wait")
        done.set()

    with house_kept(workshop, work, every_s=0.01):
        assert done.wait(60), "the first time failed, and it was tried again"
    ended = len(times)
    assert not [thread for thread in threading.enumerate() if thread.name == "sosie-housekeeping"]
    assert len(times) == ended
    assert "s3://b: is away. Wait." in caplog.text

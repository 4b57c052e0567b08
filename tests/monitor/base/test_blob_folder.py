"""What only a folder meets: full and forbidden disks, links, drafts."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import resource
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from monitor.base.blob_folder import FolderBlobs
from monitor.base.blobs import Blobs
from monitor.base.errors import StorageFull, StorageUnavailable
from tests.monitor.base.blob_engines import NAME, WRITES


def test_the_files_lie_where_they_always_did(tmp_path: Path) -> None:
    (tmp_path / "references").mkdir()
    (tmp_path / "references" / "a.jpg").write_bytes(b"of an earlier release")
    blobs = FolderBlobs(tmp_path)
    assert blobs.get("references/a.jpg") == b"of an earlier release"
    blobs.put(NAME, b"x")
    assert (tmp_path / NAME).read_bytes() == b"x"
    assert (tmp_path / NAME).stat().st_mode & 0o077 == 0


def test_links_lead_nowhere_and_drafts_are_not_listed(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path)
    blobs.put("evidence/a.jpg", b"x")
    (tmp_path / "secret.key").write_bytes(b"secret")
    (tmp_path / "evidence" / "link.jpg").symlink_to(tmp_path / "secret.key")
    (tmp_path / "evidence" / ".draft.jpg").write_bytes(b"x")
    (tmp_path / "evidence" / ".staging-1").mkdir()
    (tmp_path / "evidence" / ".staging-1" / "b.jpg").write_bytes(b"x")
    assert blobs.get("evidence/link.jpg") is None
    assert not blobs.exists("evidence/link.jpg")
    assert [each.name for each in blobs.listed("evidence")] == ["evidence/a.jpg"]
    assert blobs.folders("evidence") == []


def test_an_area_may_lie_on_another_disk(tmp_path: Path) -> None:
    (tmp_path / "big").mkdir()
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "evidence").symlink_to(tmp_path / "big")
    blobs = FolderBlobs(tmp_path / "home")
    blobs.put("evidence/a.jpg", b"x")
    assert (tmp_path / "big" / "a.jpg").exists()
    assert blobs.get("evidence/a.jpg") == b"x"


WRITES_OF_MUCH: list[Callable[[Blobs], object]] = [
    lambda blobs: blobs.put(NAME, bytes(100_000)),
    lambda blobs: blobs.put_new("evidence/new.jpg", bytes(100_000)),
    lambda blobs: blobs.replace(NAME, bytes(100_000), hashlib.sha256(b"before").hexdigest()),
]


def _full(home: Path) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
    for write in WRITES_OF_MUCH:
        with pytest.raises(StorageFull, match="Free some space"):
            write(FolderBlobs(home))


def test_a_full_disk_leaves_what_was_there_and_no_draft(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path)
    blobs.put(NAME, b"before")
    child = multiprocessing.get_context("spawn").Process(target=_full, args=(tmp_path,))
    child.start()
    child.join()
    assert child.exitcode == 0
    assert blobs.get(NAME) == b"before"
    assert sorted(path.name for path in (tmp_path / "evidence").rglob("*") if path.is_file()) == [".lock", "0000001500.jpg"]


def _as_a_user_who_may_not(home: Path) -> None:
    if os.geteuid() == 0:  # for whom every folder is writable
        os.setgroups([])
        os.setuid(65534)
    for write in (*WRITES, lambda blobs: blobs.delete("evidence/held.jpg")):
        with pytest.raises(
            StorageUnavailable, match=f"^{home}/evidence.*Permission denied.*Give Sosie's user the right to read and write there"
        ):
            write(FolderBlobs(home))


def test_a_folder_that_may_not_be_written_is_sosies_fault() -> None:
    with tempfile.TemporaryDirectory() as folder:  # pytest's own are closed to other users
        home = Path(folder)
        FolderBlobs(home).put("evidence/held.jpg", b"x")
        for path in (home / "evidence", home):
            path.chmod(0o555)
        child = multiprocessing.get_context("spawn").Process(target=_as_a_user_who_may_not, args=(home,))
        child.start()
        child.join()
        assert child.exitcode == 0
        for path in (home, home / "evidence"):
            path.chmod(0o755)


@pytest.mark.parametrize("write", WRITES, ids=["put", "put_new", "replace"])
def test_a_file_where_the_folder_should_be_is_sosies_fault(tmp_path: Path, write: Callable[[Blobs], object]) -> None:
    (tmp_path / "evidence").write_text("a file")
    with pytest.raises(StorageUnavailable, match=f"^{tmp_path}/evidence.*refuses"):
        write(FolderBlobs(tmp_path))

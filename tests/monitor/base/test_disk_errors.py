"""What the system says of a disk, by name; anything else is nobody's word about a disk."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.base import disk_errors
from monitor.base.errors import SosieFault, StorageFull, StorageUnavailable
from monitor.base.files import write_atomically


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_full(number: int) -> None:
    assert isinstance(disk_errors.named(OSError(number, "x"), "home"), StorageFull)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EROFS, "Mount it for writing"),
        (errno.EACCES, "the right to read and write"),
        (errno.EIO, "Check the disk"),
        (errno.ESTALE, "Check the disk"),
        (errno.EMFILE, "ulimit -n"),
    ],
)
def test_a_disk_that_cannot_be_used_says_why_and_what_to_do(number: int, words: str) -> None:
    named = disk_errors.named(OSError(number, "x", "/home/sosie/evidence"), "home")
    assert isinstance(named, StorageUnavailable)
    assert isinstance(named, SosieFault)
    assert str(named).startswith(f"/home/sosie/evidence: cannot be used: {os.strerror(number)}. ")
    assert words in str(named)


@pytest.mark.parametrize("error", [FileNotFoundError(errno.ENOENT, "x"), OSError(errno.ENAMETOOLONG, "x"), OSError("no number")])
def test_what_is_about_no_disk_is_not_named(error: OSError) -> None:
    assert disk_errors.named(error, "home") is None


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "read-only"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("READ-ONLY DISK NOT TESTED: mounting one needs root")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_real_read_only_disk_is_named(read_only: Path) -> None:
    with pytest.raises(StorageUnavailable, match="Read-only file system"):
        write_atomically(read_only / "file", b"x")

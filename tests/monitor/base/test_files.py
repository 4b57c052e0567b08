from __future__ import annotations

from pathlib import Path

import pytest

from monitor.base.errors import StorageFull
from monitor.base.files import storage_errors, write_atomically


def test_writes_whole_files_with_their_folder_and_mode(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "file"
    write_atomically(file, b"one")
    write_atomically(file, b"two")
    assert file.read_bytes() == b"two"
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["file"]


def test_a_failed_write_leaves_the_old_content_and_no_litter(tmp_path: Path) -> None:
    file = tmp_path / "file"
    write_atomically(file, b"old")
    with pytest.raises(TypeError):
        write_atomically(file, "not bytes")  # type: ignore[arg-type]
    assert file.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_full_disk_is_told_as_such() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full on this platform: a full disk cannot be had here")
    with pytest.raises(StorageFull, match="Free some space"), storage_errors(full), full.open("wb", buffering=0) as stream:
        stream.write(b"x")


def test_other_errors_pass_unchanged(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError), storage_errors(tmp_path):
        tmp_path.open("wb")

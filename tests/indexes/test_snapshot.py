from __future__ import annotations

import multiprocessing
import resource
from pathlib import Path

import pytest

from indexes import snapshot
from indexes.errors import IndexCorrupt


def test_nothing_published_is_none_and_the_latest_wins(tmp_path: Path) -> None:
    assert snapshot.current(tmp_path / "none") is None
    first = snapshot.publish(tmp_path, {"a": b"1"}, {"n": 1})
    second = snapshot.publish(tmp_path, {"a": b"2"}, {"n": 2})
    assert first != second
    assert snapshot.current(tmp_path) == second
    assert snapshot.read(tmp_path, first) == ({"a": b"1"}, {"n": 1}), "a reader may still hold the one before"


def test_a_damaged_pointer_names_no_snapshot(tmp_path: Path) -> None:
    snapshot.publish(tmp_path, {"a": b"1"}, {})
    (tmp_path / "CURRENT").write_bytes(b"\xff\xfe broken")
    version = snapshot.current(tmp_path)
    assert version is not None
    with pytest.raises(IndexCorrupt, match="sosie index rebuild"):
        snapshot.read(tmp_path, version)


def test_old_snapshots_are_pruned_but_not_the_current_one(tmp_path: Path) -> None:
    versions = [snapshot.publish(tmp_path, {"a": bytes([i])}, {}) for i in range(8)]
    snapshot.publish(tmp_path, {"a": bytes([6])}, {})
    assert snapshot.current(tmp_path) == versions[6]
    assert snapshot.read(tmp_path, versions[6])[0] == {"a": bytes([6])}
    assert len([path for path in tmp_path.iterdir() if path.is_dir()]) <= 3


def _publish_under_a_file_size_limit(root: Path) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
    import signal

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        snapshot.publish(root, {"a": b"x" * 100_000}, {})
    except OSError:
        raise SystemExit(7) from None


def test_a_write_that_fails_leaves_the_former_snapshot_in_use(tmp_path: Path) -> None:
    version = snapshot.publish(tmp_path, {"a": b"1"}, {})
    child = multiprocessing.get_context("spawn").Process(target=_publish_under_a_file_size_limit, args=(tmp_path,))
    child.start()
    child.join()
    assert child.exitcode == 7
    assert snapshot.current(tmp_path) == version
    assert snapshot.read(tmp_path, version)[0] == {"a": b"1"}
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == [".lock"]


def test_what_is_published_again_is_not_the_first_to_be_pruned(tmp_path: Path) -> None:
    first = snapshot.publish(tmp_path, {"a": b"1"}, {})
    for content in (b"2", b"3"):
        snapshot.publish(tmp_path, {"a": content}, {})
    snapshot.publish(tmp_path, {"a": b"1"}, {})
    snapshot.publish(tmp_path, {"a": b"4"}, {})
    assert snapshot.read(tmp_path, first)[0] == {"a": b"1"}, "a reader may have just read its name"


def _publish_many(root: Path, seed: int) -> None:
    for i in range(20):
        snapshot.publish(root, {"a": bytes([i % 5, seed % 2])}, {})


@pytest.mark.timeout(60)
def test_two_processes_publishing_leave_a_whole_snapshot(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    children = [context.Process(target=_publish_many, args=(tmp_path, seed)) for seed in range(2)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0, 0]
    version = snapshot.current(tmp_path)
    assert version is not None
    snapshot.read(tmp_path, version)

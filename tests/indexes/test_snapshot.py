from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import threading
from pathlib import Path

import pytest

from indexes.errors import IndexCorrupt
from indexes.snapshot import Snapshots
from monitor.base.blob_folder import FolderBlobs
from monitor.base.errors import StorageFull

ROOT = "index/toy"


@pytest.fixture
def snapshots(tmp_path: Path) -> Snapshots:
    return Snapshots(FolderBlobs(tmp_path), ROOT)


def test_nothing_published_is_none_and_the_latest_wins(snapshots: Snapshots) -> None:
    assert snapshots.current() is None
    first = snapshots.publish({"a": b"1"}, {"n": 1}, 1)
    second = snapshots.publish({"a": b"2"}, {"n": 2}, 1)
    assert first != second
    assert snapshots.current() == second
    assert snapshots.read(first) == ({"a": b"1"}, {"n": 1, "generation": 1}), "a reader may still hold the one before"


def test_a_slower_publisher_of_an_earlier_generation_does_not_take_the_later_one_out_of_use(snapshots: Snapshots) -> None:
    later = snapshots.publish({"a": b"2"}, {}, 2)
    earlier = snapshots.publish({"a": b"1"}, {}, 1)
    assert snapshots.current() == later
    assert snapshots.read(earlier)[0] == {"a": b"1"}, "an assessment may name it"


@pytest.mark.parametrize("content", [b"\xff\xfe broken", b"../../secret.key", b"", b"0" * 15])
def test_a_damaged_pointer_names_no_snapshot_and_publishing_mends_it(tmp_path: Path, snapshots: Snapshots, content: bytes) -> None:
    snapshots.publish({"a": b"1"}, {}, 1)
    (tmp_path / ROOT / "CURRENT").write_bytes(content)
    with pytest.raises(IndexCorrupt, match="sosie index rebuild"):
        snapshots.current()
    version = snapshots.publish({"a": b"1"}, {}, 1)
    assert snapshots.current() == version


def test_a_pointer_to_what_is_not_there_is_mended_by_publishing(tmp_path: Path, snapshots: Snapshots) -> None:
    version = snapshots.publish({"a": b"1"}, {}, 7)
    (tmp_path / ROOT / "CURRENT").write_text("0" * 16)
    with pytest.raises(IndexCorrupt, match="missing"):
        snapshots.read("0" * 16)
    assert snapshots.publish({"a": b"1"}, {}, 7) == version == snapshots.current()


def test_old_snapshots_are_pruned_but_not_the_current_one(snapshots: Snapshots) -> None:
    versions = [snapshots.publish({"a": bytes([i])}, {}, 1) for i in range(8)]
    snapshots.publish({"a": bytes([6])}, {}, 1)
    assert snapshots.current() == versions[6]
    assert snapshots.read(versions[6])[0] == {"a": bytes([6])}
    assert len(snapshots.versions()) <= 3


def test_what_a_dead_publisher_left_is_pruned_in_time_and_what_a_live_one_writes_is_not(tmp_path: Path, snapshots: Snapshots) -> None:
    for name in ("dead", "live"):
        snapshots.storage.put(f"{ROOT}/{name}/rows.json", b"[]")
    state = (tmp_path / ROOT / "live" / "rows.json").stat()
    os.utime(tmp_path / ROOT / "dead" / "rows.json", (state.st_atime - 4000, state.st_mtime - 4000))
    version = snapshots.publish({"a": b"1"}, {}, 1)
    assert snapshots.versions() == sorted([version, "live"])


def test_an_erased_snapshot_cannot_be_loaded_and_leaves_no_file(tmp_path: Path, snapshots: Snapshots) -> None:
    version = snapshots.publish({"a": b"1", "b": b"2"}, {}, 1)
    snapshots.erase(version)
    assert not snapshots.holds(version)
    assert not (tmp_path / ROOT / version).exists()
    with pytest.raises(IndexCorrupt, match="missing"):
        snapshots.read(version)


def _publish_under_a_file_size_limit(home: Path) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        Snapshots(FolderBlobs(home), ROOT).publish({"a": b"x" * 100_000}, {}, 2)
    except StorageFull:
        raise SystemExit(7) from None


def test_a_write_that_fails_leaves_the_former_snapshot_in_use(tmp_path: Path, snapshots: Snapshots) -> None:
    version = snapshots.publish({"a": b"1"}, {}, 1)
    child = multiprocessing.get_context("spawn").Process(target=_publish_under_a_file_size_limit, args=(tmp_path,))
    child.start()
    child.join()
    assert child.exitcode == 7
    assert snapshots.current() == version
    assert snapshots.read(version)[0] == {"a": b"1"}
    assert snapshots.versions() == [version]


def test_what_is_published_again_is_not_the_first_to_be_pruned(snapshots: Snapshots) -> None:
    first = snapshots.publish({"a": b"1"}, {}, 1)
    for content in (b"2", b"3"):
        snapshots.publish({"a": content}, {}, 1)
    snapshots.publish({"a": b"1"}, {}, 1)
    snapshots.publish({"a": b"4"}, {}, 1)
    assert snapshots.read(first)[0] == {"a": b"1"}, "a reader may have just read its name"


def _publish_many(home: Path, seed: int) -> None:
    snapshots = Snapshots(FolderBlobs(home), ROOT)
    for i in range(20):
        snapshots.publish({"a": bytes([i, seed])}, {}, i)


@pytest.mark.timeout(60)
def test_two_processes_publishing_leave_a_whole_snapshot_of_the_last_generation(tmp_path: Path, snapshots: Snapshots) -> None:
    context = multiprocessing.get_context("spawn")
    children = [context.Process(target=_publish_many, args=(tmp_path, seed)) for seed in range(2)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0, 0]
    version = snapshots.current()
    assert version is not None
    files, facts = snapshots.read(version)
    assert (files["a"][0], facts["generation"]) == (19, 19)


def test_the_pointer_never_goes_back_while_many_publish(snapshots: Snapshots) -> None:
    pointers: list[str | None] = []
    generations: dict[str | None, int] = {None: -1}

    def publish(seed: int) -> None:
        for i in range(10):
            generations[snapshots.publish({"a": bytes([i, seed])}, {}, i)] = i

    threads = [threading.Thread(target=publish, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        pointers.append(snapshots.current())
    for thread in threads:
        thread.join()
    seen = [generations[pointer] for pointer in pointers]
    assert seen == sorted(seen)
    assert generations[snapshots.current()] == 9

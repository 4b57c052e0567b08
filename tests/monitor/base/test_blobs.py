"""One set of promises, kept by both engines; then what only a bucket, and only a folder, can meet."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from monitor.base import blob_bucket
from monitor.base.blob_folder import FolderBlobs
from monitor.base.blobs import Blobs, local_file, picture_of
from monitor.base.errors import NotFound
from tests.monitor.base.blob_engines import NAME, bucket_blobs
from tests.object_store import ObjectStore


@pytest.fixture(params=["folder", "bucket"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    if request.param == "folder":
        return FolderBlobs(tmp_path / "home")
    store: ObjectStore = request.getfixturevalue("object_store")
    return bucket_blobs(store.url, store.make_bucket())


# What both promise


def test_what_was_put_is_got_and_put_again_replaces_it(blobs: Blobs) -> None:
    assert (blobs.get(NAME), blobs.tagged(NAME), blobs.exists(NAME)) == (None, None, False)
    for data in (b"one", b"", os.urandom(3_000_000)):
        blobs.put(NAME, data)
        assert blobs.get(NAME) == data
        assert blobs.exists(NAME)


def test_only_the_first_puts_what_is_new(blobs: Blobs) -> None:
    assert blobs.put_new(NAME, b"first")
    assert not blobs.put_new(NAME, b"second")
    assert blobs.get(NAME) == b"first"


def test_a_pointer_is_replaced_only_by_whoever_saw_what_it_is(blobs: Blobs) -> None:
    name = "index/toy/CURRENT"
    assert not blobs.replace(name, b"0", "a tag of nothing")
    assert blobs.replace(name, b"1", None)
    assert not blobs.replace(name, b"2", None)
    first = blobs.tagged(name)
    assert first is not None
    assert blobs.replace(name, b"2", first[1])
    assert not blobs.replace(name, b"3", first[1]), "it has moved on"
    second = blobs.tagged(name)
    assert second is not None
    assert second[0] == b"2"
    assert second[1] != first[1]
    blobs.delete(name)
    assert not blobs.replace(name, b"3", second[1])
    assert blobs.get(name) is None


def test_of_many_who_replace_at_once_each_round_has_one_winner(blobs: Blobs) -> None:
    name, rounds = "index/toy/CURRENT", 5
    wins = dict.fromkeys(range(4), 0)

    def count_up(me: int) -> None:
        while True:
            held = blobs.tagged(name)
            number = 0 if held is None else int(held[0])
            if number == rounds:
                return
            wins[me] += blobs.replace(name, str(number + 1).encode(), None if held is None else held[1])

    threads = [threading.Thread(target=count_up, args=(me,)) for me in wins]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(wins.values()) == rounds
    assert blobs.get(name) == str(rounds).encode()


def test_of_many_who_put_what_is_new_at_once_one_wins_and_all_read_the_same(blobs: Blobs) -> None:
    won: list[bytes] = []
    threads = [
        threading.Thread(target=lambda mine=bytes([i]): won.append(mine) if blobs.put_new("fingerprints/2030-01-01/key", mine) else None)
        for i in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert won == [blobs.get("fingerprints/2030-01-01/key")]


def test_listings_tell_names_sizes_and_folders_below_a_prefix_and_nothing_beside_it(blobs: Blobs) -> None:
    for name in ("index/ab/1/rows.json", "index/ab/CURRENT", "index/abc/CURRENT", "references/ü ber%2F.jpg"):
        blobs.put(name, name.encode())
    assert [each.name for each in blobs.listed("index/ab")] == ["index/ab/1/rows.json", "index/ab/CURRENT"]
    assert [(each.name, each.size_bytes) for each in blobs.listed("references")] == [("references/ü ber%2F.jpg", 24)]
    assert blobs.get("references/ü ber%2F.jpg") == "references/ü ber%2F.jpg".encode()
    assert blobs.folders("index") == ["ab", "abc"]
    assert blobs.folders("index/ab") == ["1"]
    assert [*blobs.listed("cohort")] == blobs.folders("cohort") == []
    ages = [each.modified_s for each in blobs.listed("index")]
    assert max(ages) - min(ages) < 60


def test_a_listing_goes_on_beyond_one_page(blobs: Blobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blob_bucket, "_PAGE", 5)
    names = [f"cohort/{i:02}" for i in range(15)]
    for name in reversed(names):
        blobs.put(name, b"x")
    assert [each.name for each in blobs.listed("cohort")] == names


def test_what_is_deleted_is_gone_and_deleting_it_again_is_no_matter(blobs: Blobs) -> None:
    blobs.put("index/ab/1/rows.json", b"x")
    for _ in range(2):
        blobs.delete("index/ab/1/rows.json")
    assert blobs.get("index/ab/1/rows.json") is None
    assert blobs.folders("index") == []


def test_writing_goes_on_while_others_delete_the_last_of_the_folder(tmp_path: Path) -> None:
    blobs, faults = FolderBlobs(tmp_path), list[BaseException]()

    def come_and_go(name: str) -> None:
        try:
            for i in range(100):
                (blobs.put, blobs.put_new)[i % 2](name, b"x")
                assert blobs.get(name) == b"x"
                blobs.delete(name)
        except BaseException as error:  # noqa: BLE001 - told below
            faults.append(error)

    threads = [threading.Thread(target=come_and_go, args=(f"evidence/clip/person/{i}.jpg",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []


@pytest.mark.parametrize(
    "name",
    [
        *("", "secret.key", "sosie.sqlite3", "trust/manifest.json", "/etc/passwd", "../evidence/a"),
        *("evidence", "evidence/", "evidence//a", "evidence/../secret.key", "evidence/./a", "evidence/.lock"),
        *("references/a\0b", "references/..\\secret.key"),
    ],
)
def test_only_blobs_can_be_named(blobs: Blobs, name: str) -> None:
    for act in (blobs.get, blobs.exists, blobs.delete, lambda name: blobs.put(name, b""), lambda name: blobs.replace(name, b"", None)):
        with pytest.raises(ValueError, match="no blob's name"):
            act(name)
    assert picture_of(blobs, "evidence", name) is None


def test_a_picture_is_one_of_its_area_only(blobs: Blobs) -> None:
    blobs.put("references/a.jpg", b"x")
    blobs.put("index/a.jpg", b"x")
    assert picture_of(blobs, "references", "references/a.jpg") == b"x"
    for name in (None, "references/b.jpg", "index/a.jpg", "references/../index/a.jpg", "references/a.png"):
        assert picture_of(blobs, "references", name) is None


def test_a_decoder_gets_a_file_of_its_own_for_as_long_as_it_needs_it(blobs: Blobs, tmp_path: Path) -> None:
    blobs.put("references/a.jpg", b"content")
    with local_file(blobs, "references/a.jpg", tmp_path / "scratch") as path:
        assert (path.read_bytes(), path.suffix) == (b"content", ".jpg")
    assert not path.exists()
    with pytest.raises(NotFound, match="sosie storage check"), local_file(blobs, "references/b.jpg", tmp_path / "scratch"):
        pass

"""One set of promises, kept by both engines; then what only a bucket, and only a folder, can meet."""

from __future__ import annotations

import hashlib
import logging
import multiprocessing
import os
import resource
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from monitor.base import blob_bucket
from monitor.base.blob_bucket import Bucket, BucketBlobs, Patience
from monitor.base.blob_folder import FolderBlobs
from monitor.base.blobs import Blobs, local_file, picture_of
from monitor.base.errors import BlobDamaged, NotFound, SosieError, StorageFull, StorageUnavailable
from tests.object_store import ACCESS_KEY, FULL, SECRET_KEY, SLOW_DOWN, Faults, ObjectStore, faulty_proxy, running_object_store

QUICK = Patience(attempts=4, first_s=0.01, longest_s=0.02)
NAME = "evidence/clip/person/0000001500.jpg"


def bucket_blobs(store_url: str, bucket: str, *, prefix: str = "of/ours", access_key: str = ACCESS_KEY) -> BucketBlobs:
    return BucketBlobs(Bucket(bucket, prefix, store_url, access_key=access_key, secret_key=SECRET_KEY), QUICK)


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


# What only a bucket meets


@pytest.fixture
def line(object_store: ObjectStore) -> Iterator[tuple[BucketBlobs, BucketBlobs, Faults]]:
    """The same bucket through a line that misbehaves as told, and directly."""
    bucket = object_store.make_bucket()
    with faulty_proxy(object_store) as (url, faults):
        yield bucket_blobs(url, bucket), bucket_blobs(object_store.url, bucket), faults


WRITES: list[Callable[[Blobs], object]] = [
    lambda blobs: blobs.put(NAME, b"mine"),
    lambda blobs: blobs.put_new(NAME, b"mine"),
    lambda blobs: blobs.replace(NAME, b"mine", None),
]


@pytest.mark.parametrize("write", WRITES, ids=["put", "put_new", "replace"])
@pytest.mark.parametrize("fault", ["lose", "refuse", SLOW_DOWN], ids=["lost answer", "cut off", "throttled"])
def test_a_write_that_meets_a_fault_is_done_once(line: tuple[BucketBlobs, BucketBlobs, Faults], write, fault: str | bytes) -> None:
    blobs, direct, faults = line
    faults.plan("PUT", fault)
    assert write(blobs) in (None, True)
    assert (direct.get(NAME), faults.planned) == (b"mine", [])


def test_a_pointer_whose_answer_was_lost_counts_as_moved(line: tuple[BucketBlobs, BucketBlobs, Faults]) -> None:
    blobs, direct, faults = line
    direct.put(NAME, b"before")
    held = direct.tagged(NAME)
    assert held is not None
    faults.plan("PUT", "lose", "lose")
    assert blobs.replace(NAME, b"after", held[1])
    assert direct.get(NAME) == b"after"


def test_a_lost_answer_does_not_make_anothers_write_ours(line: tuple[BucketBlobs, BucketBlobs, Faults]) -> None:
    blobs, direct, faults = line
    direct.put(NAME, b"theirs")
    faults.plan("PUT", "lose")
    assert not blobs.put_new(NAME, b"ours")
    assert direct.get(NAME) == b"theirs"


@pytest.mark.parametrize("fault", ["lose", "refuse", "cut", "flip", "shorten", SLOW_DOWN])
def test_what_is_read_is_what_was_written_however_the_line_behaves(
    line: tuple[BucketBlobs, BucketBlobs, Faults], fault: str | bytes
) -> None:
    blobs, direct, faults = line
    data = os.urandom(100_000)
    direct.put(NAME, data)
    faults.plan("GET", fault, fault)
    assert blobs.get(NAME) == data
    assert faults.planned == []


@pytest.mark.parametrize("fault", ["cut", "flip", "shorten"])
def test_a_body_that_stays_damaged_is_never_used(line: tuple[BucketBlobs, BucketBlobs, Faults], fault: str) -> None:
    blobs, direct, faults = line
    direct.put(NAME, b"x" * 1000)
    faults.plan("GET", *[fault] * QUICK.attempts)
    with pytest.raises((BlobDamaged, StorageUnavailable)) as caught:
        blobs.get(NAME)
    assert NAME in caught.value.thing


@pytest.mark.parametrize("fault", ["refuse", "lose"])
def test_listing_and_deleting_go_on_after_a_fault(line: tuple[BucketBlobs, BucketBlobs, Faults], fault: str) -> None:
    blobs, direct, faults = line
    direct.put("index/ab/CURRENT", b"x")
    faults.plan("GET", fault, fault, fault)
    assert [each.name for each in blobs.listed("index")] == ["index/ab/CURRENT"]
    faults.plan("GET", fault)
    assert blobs.folders("index") == ["ab"]
    faults.plan("DELETE", fault)
    blobs.delete("index/ab/CURRENT")
    assert direct.get("index/ab/CURRENT") is None
    assert faults.planned == []


def test_throttling_that_does_not_end_is_told_after_a_bounded_number_of_tries(line: tuple[BucketBlobs, BucketBlobs, Faults]) -> None:
    blobs, _, faults = line
    faults.plan("PUT", *[SLOW_DOWN] * 50)
    with pytest.raises(StorageUnavailable, match=r"503 SlowDown.*Try again") as caught:
        blobs.put(NAME, b"x")
    assert faults.seen.count("PUT") == QUICK.attempts
    shown(caught.value)


def test_a_full_store_is_told_at_once(line: tuple[BucketBlobs, BucketBlobs, Faults]) -> None:
    blobs, _, faults = line
    faults.plan("PUT", FULL)
    with pytest.raises(StorageFull, match="Free some space there"):
        blobs.put(NAME, b"x")
    assert faults.seen == ["PUT"]


def shown(error: SosieError, *, secret: str = SECRET_KEY) -> str:
    """What a person or a log sees of it; it tells no secret."""
    text = f"{error} {error!r} {error.__cause__!r}"
    assert secret not in text
    assert "Signature" not in text
    assert "Credential=" not in text
    assert error.__cause__ is None
    return text


ACTS: dict[str, Callable[[Blobs], object]] = {
    "get": lambda blobs: blobs.get(NAME),
    "put": lambda blobs: blobs.put(NAME, b"x"),
    "put_new": lambda blobs: blobs.put_new(NAME, b"x"),
    "replace": lambda blobs: blobs.replace(NAME, b"x", "tag"),
    "exists": lambda blobs: blobs.exists(NAME),
    "listed": lambda blobs: [*blobs.listed("evidence")],
    "folders": lambda blobs: blobs.folders("evidence"),
    "delete": lambda blobs: blobs.delete(NAME),
}
act = pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)


@act
def test_a_missing_bucket_is_named_whatever_is_asked(object_store: ObjectStore, act: Callable[[Blobs], object]) -> None:
    with pytest.raises(StorageUnavailable, match=r"s3://no-such-bucket/of/ours: there is no such bucket.*SOSIE_STORAGE_URL") as caught:
        act(bucket_blobs(object_store.url, "no-such-bucket"))
    shown(caught.value)


@act
def test_an_endpoint_that_nobody_serves_is_given_up_after_a_few_tries(act: Callable[[Blobs], object]) -> None:
    with pytest.raises(StorageUnavailable, match=r"http://127.0.0.1:1 cannot be reached.*SOSIE_STORAGE_ENDPOINT") as caught:
        act(bucket_blobs("http://127.0.0.1:1", "sosie-bucket"))
    shown(caught.value)


@pytest.fixture(scope="module")
def strict_store() -> Iterator[tuple[ObjectStore, str]]:
    """A server that checks keys, and a bucket in it."""
    with running_object_store() as store:
        bucket = store.make_bucket()
        store.require_keys()
        yield store, bucket


@act
def test_a_wrong_key_is_told_once_with_the_setting_to_mend(strict_store: tuple[ObjectStore, str], act: Callable[[Blobs], object]) -> None:
    store, bucket = strict_store
    with faulty_proxy(store) as (url, faults):
        with pytest.raises(
            StorageUnavailable, match=r"refuses our key.*403.*SOSIE_STORAGE_ACCESS_KEY and SOSIE_STORAGE_SECRET_KEY"
        ) as caught:
            act(bucket_blobs(url, bucket, access_key="AKIAWRONG"))
        assert len(faults.seen) == 1, "a refusal is not asked for again"
    shown(caught.value)


def test_no_secret_is_logged(strict_store: tuple[ObjectStore, str], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    store, bucket = strict_store
    blobs = bucket_blobs(store.url, bucket, access_key="AKIAWRONG")
    with pytest.raises(StorageUnavailable):
        blobs.put(NAME, b"x")
    assert SECRET_KEY not in caplog.text
    assert SECRET_KEY not in repr(blobs._bucket)


def test_two_prefixes_of_one_bucket_know_nothing_of_one_another(object_store: ObjectStore) -> None:
    bucket = object_store.make_bucket()
    ours, theirs, whole = (bucket_blobs(object_store.url, bucket, prefix=prefix) for prefix in ("a", "ab", ""))
    ours.put(NAME, b"ours")
    assert (theirs.get(NAME), whole.get(NAME)) == (None, None)
    assert [*theirs.listed("evidence")] == [*whole.listed("evidence")] == []
    assert [blobs.place for blobs in (ours, whole)] == [f"s3://{bucket}/a", f"s3://{bucket}"]


# What only a folder meets


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
        with pytest.raises(StorageUnavailable, match=f"^{home}/evidence.*Permission denied.*Make it writable again"):
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

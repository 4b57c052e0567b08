"""What only a bucket meets: lost answers, throttling, wrong keys, damaged bodies."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator

import pytest

from monitor.base.blob_bucket import BucketBlobs
from monitor.base.blobs import Blobs
from monitor.base.errors import BlobDamaged, SosieError, StorageFull, StorageUnavailable
from tests.monitor.base.blob_engines import NAME, QUICK, WRITES, bucket_blobs
from tests.object_store import FULL, SECRET_KEY, SLOW_DOWN, Faults, ObjectStore, faulty_proxy, running_object_store


@pytest.fixture
def line(object_store: ObjectStore) -> Iterator[tuple[BucketBlobs, BucketBlobs, Faults]]:
    """The same bucket through a line that misbehaves as told, and directly."""
    bucket = object_store.make_bucket()
    with faulty_proxy(object_store) as (url, faults):
        yield bucket_blobs(url, bucket), bucket_blobs(object_store.url, bucket), faults


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

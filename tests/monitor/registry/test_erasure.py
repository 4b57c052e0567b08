"""Who was removed is in no snapshot any more, of no model, in the folder and in the bucket; and whoever was not stays."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from indexes.background import Background, Prior
from indexes.likeness import LikenessIndex
from indexes.space import Space
from monitor.base.blob_folder import FolderBlobs
from monitor.base.blobs import AREAS, Blobs
from monitor.base.database import Store
from monitor.base.metrics import Metrics
from monitor.registry.erasure import erase_removed
from monitor.registry.gallery import Gallery, Gone
from tests.monitor.base.blob_engines import bucket_blobs
from tests.monitor.fakes import ALIGNED, CLIP, DIM, identity
from tests.monitor.registry.test_gallery import found, registered, removed
from tests.object_store import ObjectStore


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(f"sqlite:///{tmp_path / 'registry.sqlite3'}")
    store.migrate()
    yield store
    store.close()


@pytest.fixture(params=["folder", "bucket"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    if request.param == "folder":
        return FolderBlobs(tmp_path / "home")
    object_store: ObjectStore = request.getfixturevalue("object_store")
    return bucket_blobs(object_store.url, object_store.make_bucket())


def gallery(blobs: Blobs, store: Store, *spaces: Space) -> Gallery:
    """Another process's."""
    nobody = Background(np.empty((0, DIM), np.float32), Prior(0.0, 0.1))
    return Gallery(blobs, store, spaces or (CLIP, ALIGNED), [nobody] * len(spaces or (CLIP, ALIGNED)), Metrics())


def everything(blobs: Blobs) -> bytes:
    return b"".join(blobs.get(each.name) or b"" for area in AREAS for each in blobs.listed(area))


def test_nothing_holds_the_removed_persons_vectors_any_more(blobs: Blobs, store: Store) -> None:
    one, two = registered(store, "One", 1, CLIP, ALIGNED), registered(store, "Two", 2, CLIP, ALIGNED)
    gallery(blobs, store, CLIP).current()
    ours, theirs = gallery(blobs, store), gallery(blobs, store)
    with_both = ours.current()[1]
    registered(store, "Three", 3, CLIP, ALIGNED)
    with_three = theirs.current()[1]
    assert identity(1).tobytes() in everything(blobs)

    removed(store, one)
    assert erase_removed(blobs, store) >= 3
    assert identity(1).tobytes() not in everything(blobs)
    assert (found(theirs, 1), found(theirs, 2)) == ([], [two])
    assert identity(1).tobytes() not in everything(blobs)
    assert identity(2).tobytes() in everything(blobs)
    assert [ours.at(with_both), ours.at(with_three)] == [Gone.ERASED, Gone.ERASED], "whatever this process still has in memory"
    assert ours.at("0" * 16) is Gone.PRUNED
    now = ours.current()[1]
    assert isinstance(theirs.at(now), tuple)
    assert [each.name.rpartition("/")[2] for each in blobs.listed("index/joined")] == [now]
    assert found(gallery(blobs, store), 2) == [two]


def test_the_process_that_sees_a_removal_first_erases_without_being_told(blobs: Blobs, store: Store) -> None:
    one = registered(store, "One", 1, CLIP, ALIGNED)
    ours = gallery(blobs, store)
    ours.current()
    removed(store, one)
    gallery(blobs, store).current()
    assert identity(1).tobytes() not in everything(blobs)


def test_of_a_model_that_is_not_in_use_any_more_too_and_going_back_makes_it_anew(blobs: Blobs, store: Store) -> None:
    one, two = registered(store, "One", 1, CLIP, ALIGNED), registered(store, "Two", 2, CLIP, ALIGNED)
    gallery(blobs, store, ALIGNED).current()
    gallery(blobs, store, CLIP).current()
    removed(store, one)
    erase_removed(blobs, store)
    gallery(blobs, store, CLIP).current()
    assert blobs.folders(f"index/{ALIGNED.id}") == []
    assert found(gallery(blobs, store, ALIGNED), 2) == [two]


def test_what_a_publisher_wrote_before_it_died_is_erased_too(blobs: Blobs, store: Store) -> None:
    one = registered(store, "One", 1)
    gallery(blobs, store, CLIP).current()
    (version,) = blobs.folders(f"index/{CLIP.id}")
    blobs.delete(f"index/{CLIP.id}/{version}/manifest.json")
    removed(store, one)
    erase_removed(blobs, store)
    assert identity(1).tobytes() not in everything(blobs)


def test_erasing_again_or_without_cause_changes_nothing(blobs: Blobs, store: Store) -> None:
    registered(store, "One", 1, CLIP, ALIGNED)
    version = gallery(blobs, store).current()[1]
    before = everything(blobs)
    assert erase_removed(blobs, store) == erase_removed(blobs, store) == 0
    assert everything(blobs) == before
    assert isinstance(gallery(blobs, store).at(version), tuple)


def test_a_scan_searches_exactly_the_index_of_its_version_while_people_come_and_go(blobs: Blobs, store: Store) -> None:
    registered(store, "Stays", 1, CLIP)
    ours = gallery(blobs, store, CLIP)
    people = {seed: identity(seed) for seed in range(1, 8)}
    queries = np.stack(list(people.values()))
    over = threading.Event()
    held: list[tuple[LikenessIndex, str]] = []
    wrong: list[str] = []

    def seen(index: LikenessIndex) -> set[str]:
        return {hits[0].reference for hits in index.search(queries, CLIP) if hits and hits[0].similarity > 0.99}

    def search() -> None:
        while not over.is_set():
            (index,), version = ours.current()
            held.append((index, version))
            names, first = set(index.references), seen(index)
            if not all(seen(index) == first == names == set(index.references) for _ in range(5)):
                wrong.append(version)

    threads = [threading.Thread(target=search) for _ in range(3)]
    for thread in threads:
        thread.start()
    for seed in itertools.islice(itertools.cycle(range(2, 8)), 12):
        person = registered(store, f"Comes {seed}", seed, CLIP)
        rounds = len(held) + len(threads) + 1  # so that at least one of them has begun anew since
        while len(held) < rounds and any(thread.is_alive() for thread in threads):
            over.wait(0.001)
        removed(store, person)
        ours.current()
    over.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    content: dict[str, set[str]] = {}
    for index, version in held:
        assert content.setdefault(version, set(index.references)) == set(index.references), "one version, one content"
        assert seen(index) == set(index.references), "even now, when all of them are gone"
    assert len(content) > 3, "they came and went while others searched"

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from indexes import snapshot
from indexes.background import Background, Prior
from indexes.errors import IndexCorrupt, SpaceMismatch
from indexes.likeness import LikenessIndex
from indexes.space import Space

DIM = 32
SPACE = Space("toy", "0" * 64, "none", DIM)


def unit(n: int, seed: int, around: NDArray[np.float32] | None = None, noise: float = 1.0) -> NDArray[np.float32]:
    rows = np.random.default_rng(seed).standard_normal((n, DIM)).astype(np.float32) * noise
    if around is not None:
        rows = rows / np.sqrt(DIM) + around
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def make(cohort: int = 40) -> LikenessIndex:
    return LikenessIndex(SPACE, Background(unit(cohort, 99), Prior(0.0, 0.2)))


def test_finds_the_right_likeness_far_above_chance_and_strangers_at_chance() -> None:
    index = make()
    people = unit(20, 1)
    index.add([f"r{i}" for i in range(20)], [f"p{i}" for i in range(20)], people)
    for i, person in enumerate(people):
        hits = index.search(unit(1, 500 + i, around=person, noise=0.4), SPACE)[0]
        assert hits[0].likeness == f"p{i}"
        assert hits[0].z > 4
    strangers = [hit.z for hits in index.search(unit(200, 7), SPACE) for hit in hits]
    assert abs(float(np.mean(strangers))) < 0.1
    assert 0.8 < float(np.std(strangers)) < 1.25, "z is in standard deviations of stranger similarity"


def test_scores_mean_the_same_when_the_model_puts_everybody_close_together() -> None:
    """A space with a large common component (as CLIP's is) gets the same z for strangers."""
    common = np.ones(DIM, np.float32) * 0.35

    def crowd(n: int, seed: int) -> NDArray[np.float32]:
        return unit(n, seed, around=common)

    index = LikenessIndex(SPACE, Background(crowd(60, 3), Prior(0.9, 0.2)))
    index.add(["a"], ["a"], crowd(1, 5))
    raw = [hits[0].similarity for hits in index.search(crowd(300, 6), SPACE)]
    z = [hits[0].z for hits in index.search(crowd(300, 6), SPACE)]
    assert np.mean(raw) > 0.6
    assert max(z) < 4


def test_many_references_of_one_likeness_count_once_with_the_best() -> None:
    index = make()
    person = unit(1, 1)[0]
    index.add(["far", "near"], ["p", "p"], np.stack([unit(1, 2)[0], person]))
    (hit,) = index.search(person[None], SPACE)[0]
    assert (hit.likeness, hit.reference) == ("p", "near")
    assert hit.similarity == pytest.approx(1.0, abs=1e-5)


def test_adding_again_changes_nothing_and_removing_shows_in_the_next_search() -> None:
    index = make()
    vectors = unit(3, 1)
    assert index.add(["a", "b", "a"], ["A", "B", "X"], vectors) == 2
    assert index.add(["a"], ["Z"], vectors[2:]) == 0
    assert index.references == {"a": "A", "b": "B"}
    assert index.remove(["a", "unknown"]) == 1
    assert [hit.likeness for hit in index.search(vectors[:1], SPACE)[0]] == ["B"]
    assert index.add(["a"], ["A"], vectors[:1]) == 1
    assert index.search(vectors[:1], SPACE)[0][0].reference == "a"


def test_an_empty_index_and_no_queries_answer_emptily() -> None:
    index = make(cohort=0)
    assert index.search(unit(2, 1), SPACE) == [[], []]
    index.add(["a"], ["A"], unit(1, 1))
    assert index.search(np.empty((0, DIM), np.float32), SPACE) == []


def test_vectors_of_another_maker_are_refused() -> None:
    index = make()
    with pytest.raises(SpaceMismatch, match="sosie index rebuild"):
        index.search(unit(1, 1), Space("other", "0" * 64, "none", DIM))


@pytest.mark.parametrize("bad", [np.full((1, DIM), np.nan), np.zeros((1, DIM)), np.ones((1, DIM))])
def test_rows_that_are_not_unit_vectors_are_refused(bad: NDArray[np.float32]) -> None:
    with pytest.raises(ValueError, match="unit length"):
        make().add(["a"], ["A"], bad)


def test_a_snapshot_comes_back_equal_and_knows_its_generation(tmp_path: Path) -> None:
    index = make()
    index.add(["a", "b"], ["A", "B"], unit(2, 1))
    index.remove(["a"])
    index.generation = 7
    version = index.save(tmp_path)
    again = LikenessIndex.load(tmp_path, version, SPACE)
    assert snapshot.current(tmp_path) == version
    assert again.references == {"b": "B"}
    assert again.generation == 7
    queries = unit(5, 2)
    for ours, theirs in zip(again.search(queries, SPACE), index.search(queries, SPACE), strict=True):
        assert [(hit.likeness, hit.reference) for hit in ours] == [(hit.likeness, hit.reference) for hit in theirs]
        assert [hit.z for hit in ours] == pytest.approx([hit.z for hit in theirs], abs=1e-5)
    assert again.save(tmp_path) == version, "equal content, equal version"


def test_the_version_does_not_depend_on_the_order_of_adding(tmp_path: Path) -> None:
    vectors = unit(2, 1)
    one, other = make(), make()
    one.add(["a", "b"], ["A", "B"], vectors)
    other.add(["b"], ["B"], vectors[1:])
    other.add(["a"], ["A"], vectors[:1])
    assert one.save(tmp_path) == other.save(tmp_path)


def test_a_snapshot_of_another_model_is_refused(tmp_path: Path) -> None:
    version = make().save(tmp_path)
    with pytest.raises(SpaceMismatch, match=version):
        LikenessIndex.load(tmp_path, version, Space("other", "1" * 64, "none", DIM))


@pytest.mark.parametrize("name", ["vectors.npy", "cohort.npy", "rows.json", "manifest.json"])
def test_one_flipped_byte_anywhere_is_found_before_anything_is_used(tmp_path: Path, name: str) -> None:
    index = make()
    index.add(["a"], ["A"], unit(1, 1))
    version = index.save(tmp_path)
    file = tmp_path / version / name
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with pytest.raises(IndexCorrupt, match="sosie index rebuild") as caught:
        LikenessIndex.load(tmp_path, version, SPACE)
    assert name in caught.value.thing


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    version = make().save(tmp_path)
    (tmp_path / version / "rows.json").unlink()
    with pytest.raises(IndexCorrupt, match="missing"):
        LikenessIndex.load(tmp_path, version, SPACE)


def test_search_while_others_add_and_remove() -> None:
    index = make()
    index.add(["stay"], ["stay"], unit(1, 1))
    stop = threading.Event()

    def churn() -> None:
        i = 0
        while not stop.is_set():
            index.add([f"c{i}"], ["churn"], unit(1, 2))
            index.remove([f"c{i}"])
            i += 1

    workers = [threading.Thread(target=churn) for _ in range(2)]
    for worker in workers:
        worker.start()
    try:
        for _ in range(200):
            assert "stay" in {hit.likeness for hit in index.search(unit(1, 1), SPACE)[0]}
    finally:
        stop.set()
        for worker in workers:
            worker.join()

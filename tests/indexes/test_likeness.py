from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from indexes.background import Background, Prior
from indexes.errors import IndexCorrupt, SpaceMismatch
from indexes.likeness import LikenessIndex, references_in
from indexes.snapshot import Snapshots
from indexes.space import Space
from monitor.base.blob_folder import FolderBlobs

DIM = 32
SPACE = Space("toy", "0" * 64, "none", DIM)


def unit(n: int, seed: int, around: NDArray[np.float32] | None = None, noise: float = 1.0) -> NDArray[np.float32]:
    rows = np.random.default_rng(seed).standard_normal((n, DIM)).astype(np.float32) * noise
    if around is not None:
        rows = rows / np.sqrt(DIM) + around
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def snapshots(tmp_path: Path) -> Snapshots:
    return Snapshots(FolderBlobs(tmp_path), "index/toy")


def make(cohort: int = 40) -> LikenessIndex:
    return LikenessIndex(SPACE, Background(unit(cohort, 99), Prior(0.0, 0.2)))


def test_finds_the_right_likeness_far_above_chance_and_strangers_at_chance() -> None:
    people = unit(20, 1)
    index = make().with_references([f"r{i}" for i in range(20)], [f"p{i}" for i in range(20)], people)
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
    index = index.with_references(["a"], ["a"], crowd(1, 5))
    raw = [hits[0].similarity for hits in index.search(crowd(300, 6), SPACE)]
    z = [hits[0].z for hits in index.search(crowd(300, 6), SPACE)]
    assert np.mean(raw) > 0.6
    assert max(z) < 4


def test_many_references_of_one_likeness_count_once_with_the_best() -> None:
    person = unit(1, 1)[0]
    index = make().with_references(["far", "near"], ["p", "p"], np.stack([unit(1, 2)[0], person]))
    (hit,) = index.search(person[None], SPACE)[0]
    assert (hit.likeness, hit.reference) == ("p", "near")
    assert hit.similarity == pytest.approx(1.0, abs=1e-5)


def test_adding_again_changes_nothing_and_removing_shows_in_the_index_that_follows() -> None:
    vectors = unit(3, 1)
    both = make().with_references(["a", "b", "a"], ["A", "B", "X"], vectors)
    assert both.references == {"a": "A", "b": "B"}
    assert both.with_references(["a"], ["Z"], vectors[2:]) is both
    assert both.without(["unknown"]) is both
    one = both.without(["a", "unknown"])
    assert [hit.likeness for hit in one.search(vectors[:1], SPACE)[0]] == ["B"]
    again = one.with_references(["a"], ["A"], vectors[:1])
    assert again.search(vectors[:1], SPACE)[0][0].reference == "a"


def test_an_index_never_changes_whatever_is_made_of_it() -> None:
    vectors = unit(3, 1)
    first = make().with_references(["a", "b"], ["A", "B"], vectors[:2]).of_generation(1)
    before = first.search(vectors, SPACE)
    others = [first.with_references(["c"], ["C"], vectors[2:]), first.without(["a"]), first.without(["a", "b"]), first.of_generation(9)]
    assert first.search(vectors, SPACE) == before
    assert (first.references, len(first), first.generation) == ({"a": "A", "b": "B"}, 2, 1)
    assert [sorted(other.references) for other in others] == [["a", "b", "c"], ["b"], [], ["a", "b"]]
    with pytest.raises(TypeError):
        first.references["d"] = "D"  # type: ignore[index]


def test_an_empty_index_and_no_queries_answer_emptily() -> None:
    index = make(cohort=0)
    assert index.search(unit(2, 1), SPACE) == [[], []]
    index = index.with_references(["a"], ["A"], unit(1, 1))
    assert index.search(np.empty((0, DIM), np.float32), SPACE) == []


def test_vectors_of_another_maker_are_refused() -> None:
    index = make()
    with pytest.raises(SpaceMismatch, match="sosie index rebuild"):
        index.search(unit(1, 1), Space("other", "0" * 64, "none", DIM))


@pytest.mark.parametrize("bad", [np.full((1, DIM), np.nan), np.zeros((1, DIM)), np.ones((1, DIM))])
def test_rows_that_are_not_unit_vectors_are_refused(bad: NDArray[np.float32]) -> None:
    with pytest.raises(ValueError, match="unit length"):
        make().with_references(["a"], ["A"], bad)


def test_a_snapshot_comes_back_equal_and_knows_its_generation(snapshots: Snapshots) -> None:
    index = make().with_references(["a", "b"], ["A", "B"], unit(2, 1)).without(["a"]).of_generation(7)
    version = index.save(snapshots)
    again = LikenessIndex.load(snapshots, version, SPACE)
    assert snapshots.current() == version
    assert again.references == {"b": "B"}
    assert again.generation == 7
    queries = unit(5, 2)
    for ours, theirs in zip(again.search(queries, SPACE), index.search(queries, SPACE), strict=True):
        assert [(hit.likeness, hit.reference) for hit in ours] == [(hit.likeness, hit.reference) for hit in theirs]
        assert [hit.z for hit in ours] == pytest.approx([hit.z for hit in theirs], abs=1e-5)
    assert again.save(snapshots) == version, "equal content, equal version"


def test_the_version_does_not_depend_on_the_order_of_adding(snapshots: Snapshots) -> None:
    vectors = unit(2, 1)
    one = make().with_references(["a", "b"], ["A", "B"], vectors)
    other = make().with_references(["b"], ["B"], vectors[1:]).with_references(["a"], ["A"], vectors[:1])
    assert one.save(snapshots) == other.save(snapshots)


def test_a_snapshot_of_another_model_is_refused(snapshots: Snapshots) -> None:
    version = make().save(snapshots)
    with pytest.raises(SpaceMismatch, match=version):
        LikenessIndex.load(snapshots, version, Space("other", "1" * 64, "none", DIM))


@pytest.mark.parametrize("name", ["vectors.npy", "cohort.npy", "rows.json", "manifest.json"])
def test_one_flipped_byte_anywhere_is_found_before_anything_is_used(tmp_path: Path, snapshots: Snapshots, name: str) -> None:
    version = make().with_references(["a"], ["A"], unit(1, 1)).save(snapshots)
    file = tmp_path / "index" / "toy" / version / name
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with pytest.raises(IndexCorrupt, match="sosie index rebuild") as caught:
        LikenessIndex.load(snapshots, version, SPACE)
    assert caught.value.thing == str(file)


def test_a_missing_file_is_named(snapshots: Snapshots) -> None:
    version = make().save(snapshots)
    snapshots.storage.delete(f"index/toy/{version}/rows.json")
    with pytest.raises(IndexCorrupt, match="missing"):
        LikenessIndex.load(snapshots, version, SPACE)


def test_it_can_be_told_whose_vectors_lie_in_a_snapshot_and_when_it_cannot(snapshots: Snapshots) -> None:
    version = make().with_references(["a", "b"], ["A", "B"], unit(2, 1)).save(snapshots)
    assert references_in(snapshots, version) == {"a", "b"}
    snapshots.storage.put(f"index/toy/{version}/rows.json", b"[[")
    assert references_in(snapshots, version) is None
    snapshots.erase(version)
    assert references_in(snapshots, version) is None

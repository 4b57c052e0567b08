"""The gallery: indexes that follow the registry, in every process that shares a home."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from indexes.background import Background, Prior
from indexes.space import Space
from monitor.base.blob_folder import FolderBlobs
from monitor.base.database import Store
from monitor.base.errors import SpaceMismatch
from monitor.base.metrics import Metrics
from monitor.registry import likenesses, references
from monitor.registry.gallery import Gallery
from tests.monitor.fakes import ALIGNED, CLIP, DIM, identity

NOW = datetime(2026, 3, 1, tzinfo=UTC)
Opener = Callable[..., Gallery]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(f"sqlite:///{tmp_path / 'registry.sqlite3'}")
    store.migrate()
    yield store
    store.close()


@pytest.fixture
def opened(tmp_path: Path, store: Store) -> Opener:
    """Another process's gallery over the same home."""

    def gallery(*spaces: Space, cohort: NDArray[np.float32] | None = None) -> Gallery:
        nobody = np.empty((0, DIM), np.float32) if cohort is None else cohort
        return Gallery(
            FolderBlobs(tmp_path), store, spaces or (CLIP,), [Background(nobody, Prior(0.0, 0.1))] * len(spaces or (CLIP,)), Metrics()
        )

    return gallery


def registered(store: Store, name: str, seed: int, *spaces: Space) -> str:
    """A likeness with one reference, embedded in the given spaces; its id."""
    with store.session() as session:
        likeness, _ = likenesses.add_likeness(session, name, actor="test", now=NOW)
        reference, _ = references.add_reference(
            session,
            likeness.id,
            picture_sha256=f"{seed}",
            file=f"references/{seed}.jpg",
            source="a picture",
            face_box=(0, 0, 9, 9),
            actor="test",
            now=NOW,
        )
        for space in spaces or (CLIP,):
            references.put_vectors(session, reference.id, space, identity(seed)[None])
        return likeness.id


def removed(store: Store, likeness_id: str) -> None:
    with store.session() as session:
        likenesses.remove_likeness(session, likeness_id, actor="test", now=NOW)


def found(gallery: Gallery, seed: int) -> list[str]:
    (index, *_), _ = gallery.current()
    ((*hits,),) = index.search(identity(seed)[None], index.space)
    return [hit.likeness for hit in hits if hit.similarity > 0.99]


def test_what_is_registered_is_found_and_what_is_removed_is_not(store: Store, opened: Opener) -> None:
    gallery = opened()
    assert found(gallery, 1) == []
    one, two = registered(store, "One", 1), registered(store, "Two", 2)
    assert (found(gallery, 1), found(gallery, 2)) == ([one], [two])
    removed(store, one)
    assert (found(gallery, 1), found(gallery, 2)) == ([], [two])


def test_a_change_by_one_process_shows_in_the_next_search_of_another(store: Store, opened: Opener) -> None:
    ours, theirs = opened(), opened()
    one = registered(store, "One", 1)
    assert found(ours, 1) == found(theirs, 1) == [one]
    removed(store, one)
    theirs.current()
    assert found(ours, 1) == []


def test_the_version_changes_with_the_content_and_with_nothing_else(store: Store, opened: Opener) -> None:
    registered(store, "One", 1)
    gallery = opened()
    _, first = gallery.current()
    assert gallery.current()[1] == opened().current()[1] == first
    registered(store, "Two", 2)
    _, second = gallery.current()
    assert second != first
    assert opened().current()[1] == second


def test_an_index_is_brought_up_to_date_from_its_files_by_the_next_process(store: Store, opened: Opener) -> None:
    one = registered(store, "One", 1)
    opened().current()
    two = registered(store, "Two", 2)
    removed(store, one)
    later = opened()
    assert (found(later, 1), found(later, 2)) == ([], [two])


def test_references_that_the_model_has_not_embedded_stop_the_search(store: Store, opened: Opener) -> None:
    registered(store, "One", 1)
    registered(store, "Two", 2, ALIGNED)
    with pytest.raises(SpaceMismatch) as refused:
        opened().current()
    assert str(refused.value) == "1 references: were not embedded by toy clip, the model in use. Run `sosie index rebuild`."


def test_an_index_of_another_model_is_refused_under_whatever_name_it_lies(tmp_path: Path, store: Store, opened: Opener) -> None:
    registered(store, "One", 1, CLIP, ALIGNED)
    opened(ALIGNED).current()
    shutil.copytree(tmp_path / "index" / ALIGNED.id, tmp_path / "index" / CLIP.id)
    with pytest.raises(SpaceMismatch) as refused:
        opened(CLIP).current()
    assert "index" in str(refused.value)
    assert "sosie index rebuild" in str(refused.value)
    assert opened(CLIP).rebuild()
    assert len(found(opened(CLIP), 1)) == 1


def test_several_spaces_move_together_under_one_version(store: Store, opened: Opener) -> None:
    one = registered(store, "One", 1, CLIP, ALIGNED)
    gallery = opened(CLIP, ALIGNED)
    indexes, version = gallery.current()
    assert [index.space for index in indexes] == [CLIP, ALIGNED]
    assert gallery.verify() == {CLIP.id: 1, ALIGNED.id: 1}
    removed(store, one)
    indexes, later = gallery.current()
    assert [len(index) for index in indexes] == [0, 0]
    assert later != version


def test_another_cohort_takes_effect_and_makes_another_version(tmp_path: Path, store: Store, opened: Opener) -> None:
    registered(store, "One", 1)
    _, without = opened().current()
    cohort = np.stack([identity(seed) for seed in range(100, 120)])
    (index,), version = opened(cohort=cohort).current()
    assert version != without
    np.testing.assert_array_equal(index.background.cohort, cohort)
    assert (tmp_path / "index" / CLIP.id / "CURRENT").read_text() == version

"""References and vectors: idempotent, exact to the bit, and counted by the generation."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import numpy as np
import pytest
from numpy.typing import NDArray

from indexes.space import Space
from monitor.base.database import Store
from monitor.base.errors import DatabaseError, NotFound
from monitor.registry.likenesses import add_likeness
from monitor.registry.references import (
    Reference,
    add_reference,
    generation,
    get_reference,
    missing_vectors,
    put_vectors,
    references,
    vectors,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SPACE = Space("model", "weights", "crop", 8)
OTHER = Space("model", "other weights", "crop", 8)


@pytest.fixture
def likeness_id(store: Store) -> str:
    with store.session() as session:
        return add_likeness(session, "Mira", actor="test", now=NOW)[0].id


def add(store: Store, likeness_id: str, sha: str = "1") -> tuple[Reference, bool]:
    with store.session() as session:
        return add_reference(
            session, likeness_id, picture_sha256=sha, file=f"{sha}.png", source="s", face_box=(1, 2, 3.5, 4), actor="test", now=NOW
        )


def unit(*seeds: int) -> NDArray[np.float32]:
    rows = np.stack([np.random.default_rng(seed).standard_normal(8) for seed in seeds])
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def put(store: Store, reference_id: str, rows: NDArray[np.float32], space: Space = SPACE) -> int:
    with store.session() as session:
        put_vectors(session, reference_id, space, rows)
        return generation(session)


def test_the_same_picture_again_changes_nothing(store: Store, likeness_id: str) -> None:
    first, created = add(store, likeness_id)
    put(store, first.id, unit(1))
    with store.session(read_only=True) as session:
        before = generation(session)
    again, created_again = add(store, likeness_id)
    with store.session(read_only=True) as session:
        assert generation(session) == before
        assert [found.id for found in references(session, likeness_id)] == [first.id]
    assert (created, created_again, again.id, again.face_box) == (True, False, first.id, [1.0, 2.0, 3.5, 4.0])


def test_vectors_come_back_to_the_bit_with_their_owners(store: Store, likeness_id: str) -> None:
    one, two = (add(store, likeness_id, sha)[0] for sha in "12")
    put(store, one.id, unit(1, 2))
    put(store, two.id, unit(3))
    put(store, two.id, unit(4), OTHER)
    with store.session(read_only=True) as session:
        found = list(vectors(session, SPACE.id))
    by_reference = {reference: [row for owner, _, row in found if owner == reference] for reference in (one.id, two.id)}
    np.testing.assert_array_equal(by_reference[one.id], unit(1, 2))
    np.testing.assert_array_equal(by_reference[two.id], unit(3))
    assert {owner for _, owner, _ in found} == {likeness_id}
    assert [key for key, _, _ in found] == sorted(key for key, _, _ in found)


def test_the_generation_grows_exactly_when_vectors_change(store: Store, likeness_id: str) -> None:
    reference, _ = add(store, likeness_id)
    first = put(store, reference.id, unit(1, 2))
    assert put(store, reference.id, unit(1, 2)) == first
    assert put(store, reference.id, unit(1)) > first
    with store.session(read_only=True) as session:
        assert len(list(vectors(session, SPACE.id))) == 1


def test_a_transaction_that_fails_leaves_the_generation(store: Store, likeness_id: str) -> None:
    reference, _ = add(store, likeness_id)
    before = put(store, reference.id, unit(1))

    def fail_after_writing() -> None:
        with store.session() as session:
            put_vectors(session, reference.id, SPACE, unit(2))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_after_writing()
    with store.session(read_only=True) as session:
        assert generation(session) == before
        [(_, _, row)] = vectors(session, SPACE.id)
    np.testing.assert_array_equal(row, unit(1)[0])


def test_every_concurrent_change_counts(store: Store, likeness_id: str) -> None:
    ids = [add(store, likeness_id, str(number))[0].id for number in range(8)]
    threads = [threading.Thread(target=put, args=(store, reference_id, unit(number))) for number, reference_id in enumerate(ids)]
    with store.session(read_only=True) as session:
        before = generation(session)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with store.session(read_only=True) as session:
        assert generation(session) == before + 8
        assert len(list(vectors(session, SPACE.id))) == 8


def test_a_new_model_misses_every_reference_it_has_not_embedded(store: Store, likeness_id: str) -> None:
    one, two = (add(store, likeness_id, sha)[0] for sha in "12")
    put(store, one.id, unit(1), OTHER)
    put(store, one.id, unit(1))
    put(store, two.id, unit(2))
    with store.session(read_only=True) as session:
        assert [found.id for found in missing_vectors(session, OTHER.id)] == [two.id]
        assert missing_vectors(session, SPACE.id) == []


@pytest.mark.parametrize(
    "rows", [np.zeros((1, 8)), np.full((1, 8), np.nan), np.full((1, 8), np.inf), np.eye(8)[0], np.eye(7), np.zeros((0, 8)), 2 * np.eye(8)]
)
def test_what_is_not_unit_vectors_of_the_space_is_refused(store: Store, likeness_id: str, rows: NDArray[np.float32]) -> None:
    reference, _ = add(store, likeness_id)
    with pytest.raises(ValueError, match="vector"):
        put(store, reference.id, rows)


def test_an_unknown_reference_or_likeness_is_refused(store: Store) -> None:
    with pytest.raises(NotFound):
        put(store, "unknown", unit(1))
    with store.session(read_only=True) as session, pytest.raises(NotFound):
        get_reference(session, "unknown")
    with pytest.raises(DatabaseError):
        add(store, "unknown")

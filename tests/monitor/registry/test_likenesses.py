"""Likenesses by name, and what removing one takes with it."""

from __future__ import annotations

import threading
from datetime import UTC, date, datetime

import numpy as np
import pytest

from indexes.space import Space
from monitor.base import audit
from monitor.base.database import Store
from monitor.base.errors import NotFound, RequestRefused
from monitor.registry import consents, references
from monitor.registry.likenesses import Likeness, add_likeness, get_likeness, list_likenesses, names, remove_likeness
from monitor.registry.scope import Use

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SPACE = Space("m", "w", "p", 2)


def add(store: Store, name: str, **details: object) -> tuple[Likeness, bool]:
    with store.session() as session:
        return add_likeness(session, name, actor="test", now=NOW, **details)  # type: ignore[arg-type]


def actions(store: Store, likeness_id: str) -> list[str]:
    with store.session(read_only=True) as session:
        return [event.action for event in audit.events(session, subject_type="likeness", subject_id=likeness_id)]


def test_a_name_written_otherwise_is_the_same_likeness(store: Store) -> None:
    first, created = add(store, "Mira  Okonkwo")
    again, created_again = add(store, " mira OKONKWO ")
    assert (created, created_again, first.id == again.id, again.name) == (True, False, True, "Mira Okonkwo")
    assert actions(store, first.id) == ["likeness.added"]


def test_details_given_later_are_taken_and_audited(store: Store) -> None:
    likeness, _ = add(store, "Mira", territory="FR")
    add(store, "Mira", deceased_on=date(2020, 2, 29))
    with store.session(read_only=True) as session:
        found = get_likeness(session, "mira")
    assert (found.deceased_on, found.territory) == (date(2020, 2, 29), "FR")
    assert actions(store, likeness.id) == ["likeness.added", "likeness.changed"]


def test_two_who_add_a_name_at_once_get_one_likeness(store: Store) -> None:
    ids: list[str] = []
    threads = [threading.Thread(target=lambda: ids.append(add(store, "Mira")[0].id)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ids) == 6
    assert len(set(ids)) == 1


def test_an_unknown_name_is_answered_with_the_nearest(store: Store) -> None:
    add(store, "Mira Okonkwo")
    add(store, "Jonas Berg")
    with store.session(read_only=True) as session:
        with pytest.raises(NotFound, match=r"Did you mean Mira Okonkwo\?"):
            get_likeness(session, "Mira Okonkow")
        with pytest.raises(NotFound) as caught:
            get_likeness(session, "zzz")
    assert "Did you mean" not in str(caught.value)


def test_a_nameless_likeness_is_refused(store: Store) -> None:
    with pytest.raises(RequestRefused):
        add(store, "  ")


def test_removing_takes_references_vectors_and_consents_and_keeps_the_name_for_cases(store: Store) -> None:
    likeness, _ = add(store, "Mira")
    other, _ = add(store, "Jonas")
    with store.session() as session:
        for owner, sha, file in ((likeness, "1", "own.png"), (likeness, "2", "shared.png"), (other, "2", "shared.png")):
            reference, _ = references.add_reference(
                session, owner.id, picture_sha256=sha, file=file, source="s", face_box=(0, 0, 1, 1), actor="test", now=NOW
            )
            references.put_vectors(session, reference.id, SPACE, np.eye(2, dtype=np.float32)[:1])
        consents.grant(session, likeness.id, account="@studio", valid_from=NOW, actor="test", now=NOW)
        before = references.generation(session)
    with store.session() as session:
        assert remove_likeness(session, likeness.id, actor="test", now=NOW) == ("own.png",)
    with store.session(read_only=True) as session:
        assert references.generation(session) > before
        assert [owner for _, owner, _ in references.vectors(session, SPACE.id)] == [other.id]
        assert consents.covering(session, likeness.id, Use(NOW), account="@studio", certificate=None).consent is None
        assert [found.id for found in list_likenesses(session)] == [other.id]
        assert len(list_likenesses(session, include_removed=True)) == 2
        assert names(session, [likeness.id, "unknown"]) == {likeness.id: "Mira"}
        for wanted in ("Mira", likeness.id):
            with pytest.raises(NotFound):
                get_likeness(session, wanted)
    assert actions(store, likeness.id)[-1] == "likeness.removed"


def test_removing_twice_is_not_found_and_the_name_is_free_again(store: Store) -> None:
    likeness, _ = add(store, "Mira")
    with store.session() as session:
        remove_likeness(session, likeness.id, actor="test", now=NOW)
    with pytest.raises(NotFound), store.session() as session:
        remove_likeness(session, likeness.id, actor="test", now=NOW)
    again, created = add(store, "Mira")
    assert created
    assert again.id != likeness.id


def test_an_audit_event_goes_with_its_change(store: Store) -> None:
    def fail_after_adding() -> None:
        with store.session() as session:
            add_likeness(session, "Mira", actor="test", now=NOW)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_after_adding()
    with store.session(read_only=True) as session:
        assert (list_likenesses(session), audit.latest(session)) == ([], [])

"""The audit trail takes events and gives none back, on both databases, whatever is asked of it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from monitor.base import audit
from monitor.base.database import Store
from monitor.base.errors import DatabaseError

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def recorded(store: Store) -> Store:
    with store.session() as session:
        for subject in ("a", "b", "a"):
            audit.record(session, now=NOW, actor="ada", action="tested", subject_type="case", subject_id=subject, detail={"n": 1})
    return store


def everything(store: Store) -> list[tuple[int, str, str]]:
    with store.session(read_only=True) as session:
        return [(event.id, event.actor, event.subject_id) for event in audit.latest(session)]


@pytest.mark.parametrize(
    "statement", ["UPDATE audit_events SET actor = 'eve'", "DELETE FROM audit_events", "DELETE FROM audit_events WHERE id = 2"]
)
def test_the_database_refuses_to_alter_the_past(recorded: Store, statement: str) -> None:
    before = everything(recorded)
    with pytest.raises(DatabaseError, match="append-only"), recorded.session() as session:
        session.execute(text(statement))
    assert everything(recorded) == before


def test_a_new_row_cannot_replace_an_old_one_on_sqlite(sqlite_store: Store) -> None:
    with sqlite_store.session() as session:
        audit.record(session, now=NOW, actor="ada", action="tested", subject_type="case", subject_id="a")
    replace = "INSERT OR REPLACE INTO audit_events SELECT id, at, 'eve', action, subject_type, subject_id, detail FROM audit_events"
    with pytest.raises(DatabaseError, match="append-only"), sqlite_store.session() as session:
        session.execute(text(replace))


@pytest.mark.postgres
def test_truncate_is_refused_on_postgresql(postgres_url: str) -> None:
    store = Store(postgres_url)
    store.migrate()
    with pytest.raises(DatabaseError, match="append-only"), store.session() as session:
        session.execute(text("TRUNCATE audit_events"))
    store.close()


def test_events_of_a_subject_stand_in_order(recorded: Store) -> None:
    with recorded.session(read_only=True) as session:
        of_a = audit.events(session, subject_type="case", subject_id="a")
        newest = audit.latest(session, limit=1)
    assert [event.subject_id for event in of_a] == ["a", "a"]
    assert of_a[0].id < of_a[1].id == newest[0].id

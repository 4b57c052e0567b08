"""One schema whoever starts first, and none that is not this code's."""

from __future__ import annotations

import subprocess
import sys
import threading
from importlib.metadata import version
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, select, text

import monitor.base.audit
import monitor.registry.likenesses
import monitor.review.accounts
import monitor.review.relay_lease
import monitor.review.verdicts  # noqa: F401
import streams.attempts  # noqa: F401  (with the others: every table there is)
from monitor.base import schema
from monitor.base.database import Base, Store
from monitor.base.errors import DatabaseError, SosieError
from tests.monitor.base.test_database import add_event, count_events


def test_migrations_make_exactly_the_tables_of_the_models(store: Store) -> None:
    with store._writer.begin() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, [Base.metadata, schema.METADATA]) == []


def test_migrating_twice_changes_nothing(store: Store) -> None:
    add_event(store)
    before = store.version()
    store.migrate()
    assert (store.version(), count_events(store)) == (before, 1)


def test_an_empty_database_has_no_version(empty_database_url: str) -> None:
    store = Store(empty_database_url)
    assert store.version() is None
    store.close()


MIGRATE = "import sys; from monitor.base.database import Store; Store(sys.argv[1], busy_timeout_s=60).migrate()"


def test_processes_that_start_at_once_migrate_once(empty_database_url: str) -> None:
    starters = [subprocess.Popen([sys.executable, "-c", MIGRATE, empty_database_url], stderr=subprocess.PIPE) for _ in range(4)]
    assert [(starter.communicate()[1], starter.returncode) for starter in starters] == [(b"", 0)] * 4
    store = Store(empty_database_url)
    add_event(store)
    assert count_events(store) == 1
    store.close()


def test_stores_opened_at_once_on_a_fresh_home_all_migrate(tmp_path: Path) -> None:
    """The switch to WAL is not covered by SQLite's busy timeout; without our own wait one start in some hundred fails."""
    failures: list[BaseException] = []

    def start(file: Path, together: threading.Barrier) -> None:
        store = Store(f"sqlite:///{file}", busy_timeout_s=60)
        together.wait()
        try:
            store.migrate()
        except SosieError as error:
            failures.append(error)
        store.close()

    for number in range(20):
        together = threading.Barrier(6)
        starters = [threading.Thread(target=start, args=(tmp_path / str(number) / "db", together)) for _ in range(6)]
        for starter in starters:
            starter.start()
        for starter in starters:
            starter.join()
    assert failures == []


def test_a_database_of_a_newer_sosie_is_refused_and_left_alone(store: Store) -> None:
    add_event(store)
    with store.session() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(DatabaseError, match=r"version 9999.*newer one made it"):
        store.migrate()
    assert (store.version(), count_events(store)) == ("9999", 1)


def test_a_newer_sosie_is_named_by_the_release_that_is_needed(store: Store) -> None:
    with store.session() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        session.execute(text("INSERT INTO schema_releases (revision, release) VALUES ('9999', '7.1.0')"))
    for ask in (store.migrate, store.pending, store.require_current):
        with pytest.raises(DatabaseError, match=r"version 9999, .*; Sosie 7\.1\.0 made it\. Install Sosie 7\.1\.0, or a newer one"):
            ask()


def test_an_upgrade_says_from_where_to_where_and_notes_its_release(empty_database_url: str) -> None:
    store = Store(empty_database_url)
    due = store.pending()
    assert (due.before, due.after) == (None, schema.head())
    assert store.migrate() == due
    assert store.migrate() == store.pending() == schema.Upgrade(schema.head(), schema.head())
    with store.session(read_only=True) as session:
        rows = session.execute(select(schema.RELEASES.c.revision, schema.RELEASES.c.release)).all()
    assert rows == [(schema.head(), version("sosie"))]
    store.close()


def test_asking_makes_no_database_and_a_current_one_is_required(empty_database_url: str) -> None:
    store = Store(empty_database_url)
    with pytest.raises(DatabaseError, match=r"has no schema yet.*Run: sosie migrate"):
        store.require_current()
    assert store.version() is None
    if empty_database_url.startswith("sqlite"):
        assert not Path(empty_database_url.removeprefix("sqlite:///")).exists()
    store.migrate()
    store.require_current()
    with store.session() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '0005'"))
    with pytest.raises(DatabaseError, match=r"at version 0005.*SOSIE_MIGRATE=never.*Run: sosie migrate"):
        store.require_current()
    store.close()


@pytest.mark.postgres
def test_whoever_waits_for_another_to_migrate_waits_longer_than_for_a_lock(postgres_url: str) -> None:
    """A migration may take minutes; others that start meanwhile must not give up, and its own statements must not wait so long."""
    store, holder = Store(postgres_url, busy_timeout_s=0.05), create_engine(postgres_url)
    done: list[object] = []
    with holder.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": schema._MIGRATION_LOCK})
        waiting = threading.Thread(target=lambda: done.append(store.migrate()))
        waiting.start()
        query = text(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND waitstart < clock_timestamp() - interval '0.2 s'"
        )
        while not connection.execute(query).scalar_one():
            connection.execute(text("SELECT pg_sleep(0.02)"))
            assert waiting.is_alive(), "it gave up after its ordinary patience"
        assert done == []
    waiting.join()
    assert done == [schema.Upgrade(None, schema.head())]
    with store.session() as session:
        assert session.execute(text("SHOW lock_timeout")).scalar_one() == "50ms"
    holder.dispose()
    store.close()

"""Whose fault a database's refusal is: by SQLSTATE, with PostgreSQL's own errors and a real standby."""

from __future__ import annotations

import sqlite3

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from monitor.base.database import Store
from monitor.base.database_errors import named
from monitor.base.errors import DatabaseBusy, DatabaseError, DataRefused, PermanentError, SosieError, SosieFault, StorageFull
from tests.postgres import running_server, server_url


def of(sqlstate: str) -> SosieError:
    kind = psycopg.errors.lookup(sqlstate)
    return named(DBAPIError("statement", {}, kind("it refuses")), "the database")


@pytest.mark.parametrize("sqlstate", ["25006", "42501", "28P01", "28000", "3D000", "42P01", "58030", "XX001", "0A000", "55000"])
def test_what_somebody_must_mend_is_sosies_fault(sqlstate: str) -> None:
    error = of(sqlstate)
    assert type(error) is DatabaseError
    assert isinstance(error, SosieFault)
    assert isinstance(error, PermanentError)
    assert sqlstate in str(error)


@pytest.mark.parametrize("sqlstate", ["08006", "57P01", "57P03", "40001", "40P01", "53300", "55P03"])
def test_what_passes_is_busy(sqlstate: str) -> None:
    assert type(of(sqlstate)) is DatabaseBusy


def test_a_full_disk_of_the_server_is_full() -> None:
    assert type(of("53100")) is StorageFull


@pytest.mark.parametrize("sqlstate", ["22021", "22001", "22003", "23505", "23502", "54000"])
def test_what_one_write_holds_may_be_one_events_doing(sqlstate: str) -> None:
    assert type(of(sqlstate)) is DataRefused


def test_sqlites_refusals_of_what_one_write_holds_as_well(sqlite_store: Store) -> None:
    with pytest.raises(DataRefused), sqlite_store.session() as session:
        session.execute(text("INSERT INTO case_posts (case_id, post_id) VALUES ('a', 'b')"))
    assert type(named(DBAPIError("statement", {}, sqlite3.OperationalError("x")), "the database")) is DatabaseError


@pytest.mark.parametrize(
    ("sqlstate", "words"), [("25006", "promote it"), ("42501", "Grant Sosie's user its rights"), ("28P01", "SOSIE_DATABASE_URL")]
)
def test_the_next_step_is_one_that_helps(sqlstate: str, words: str) -> None:
    assert words in str(of(sqlstate))


@pytest.mark.postgres
def test_a_real_standby_is_told_as_one_reads_and_takes_writes_once_promoted() -> None:
    with running_server() as server:
        store = Store(server_url(server.folder, "postgres"))
        store.migrate()
        server.stand_by()
        with store.session(read_only=True) as session:
            assert session.execute(text("SELECT count(*) FROM posts")).scalar_one() == 0
        with pytest.raises(DatabaseError, match=r"takes no writes.*(0A000|25006).*promote it"), store.session() as session:
            session.execute(text("DELETE FROM posts"))
        store.migrate()
        server.promote()
        with store.session() as session:
            session.execute(text("DELETE FROM posts"))
        store.close()

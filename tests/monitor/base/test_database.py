"""The store's promises on both databases: whole transactions, named errors."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import StatementError

from monitor.base import audit
from monitor.base.database import Store
from monitor.base.errors import ConfigError, DatabaseBusy, DatabaseError, SosieError, StorageFull

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def add_event(store: Store, subject: str = "s", at: datetime = NOW) -> None:
    with store.session() as session:
        audit.record(session, now=at, actor="test", action="tested", subject_type="test", subject_id=subject)


def count_events(store: Store) -> int:
    with store.session(read_only=True) as session:
        return session.execute(text("SELECT count(*) FROM audit_events")).scalar_one()


def test_a_session_commits_when_its_block_ends(store: Store) -> None:
    add_event(store)
    assert count_events(store) == 1


def test_a_session_that_raises_leaves_nothing(store: Store) -> None:
    def fail_midway() -> None:
        with store.session() as session:
            audit.record(session, now=NOW, actor="test", action="tested", subject_type="test", subject_id="s")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_midway()
    assert count_events(store) == 0


def test_a_read_only_session_cannot_write(store: Store) -> None:
    with pytest.raises(DatabaseError), store.session(read_only=True) as session:
        audit.record(session, now=NOW, actor="test", action="tested", subject_type="test", subject_id="s")
    assert count_events(store) == 0
    add_event(store)  # the connections still write


def test_times_come_back_aware_in_utc_and_equal(store: Store) -> None:
    elsewhere = NOW.astimezone(timezone(timedelta(hours=5, minutes=30))) + timedelta(microseconds=7)
    add_event(store, at=elsewhere)
    with store.session(read_only=True) as session:
        [event] = audit.latest(session)
    assert event.at == elsewhere
    assert event.at.utcoffset() == timedelta(0)


def test_a_time_without_a_zone_is_refused(store: Store) -> None:
    with pytest.raises(StatementError, match="without a zone"):
        add_event(store, at=datetime(2026, 3, 1))


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "mysql://u@h/d"])
def test_a_url_that_keeps_nothing_is_refused(url: str) -> None:
    with pytest.raises(ConfigError):
        Store(url)


# SQLite


def test_the_file_and_its_home_are_private(tmp_path: Path) -> None:
    file = tmp_path / "home" / "sosie.sqlite3"
    store = Store(f"sqlite:///{file}")
    store.migrate()
    add_event(store)
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert {stat.S_IMODE(part.stat().st_mode) for part in file.parent.iterdir()} == {0o600}
    store.close()


def test_foreign_keys_hold_on_every_connection(store: Store) -> None:
    with pytest.raises(DatabaseError), store.session() as session:
        session.execute(text("INSERT INTO case_posts (case_id, post_id) VALUES ('no', 'such')"))


def test_another_connection_of_this_process_leaves_the_locks_of_the_first_alone(sqlite_url: str) -> None:
    """Else another process, closing last as it believes, would remove the WAL under the first connection."""
    file = sqlite_url.removeprefix("sqlite:///")
    first, second = Store(sqlite_url), Store(sqlite_url)
    with first.session(read_only=True) as session:
        session.execute(text("SELECT 1 FROM registry_state")).all()
        assert _may_be_closed_for_good(file) is False
        with second.session() as other:
            other.execute(text("UPDATE registry_state SET generation = 1"))
        second.close()
        assert _may_be_closed_for_good(file) is False
    first.close()
    assert _may_be_closed_for_good(file) is True


def _may_be_closed_for_good(file: str) -> bool:
    """Whether another process could lock the whole file, as SQLite does before it removes the WAL."""
    program = "import fcntl, sys; fcntl.lockf(open(sys.argv[1], 'r+b'), fcntl.LOCK_EX | fcntl.LOCK_NB, 510, 0x40000002)"
    return subprocess.run([sys.executable, "-c", program, file], stderr=subprocess.DEVNULL).returncode == 0


def test_readers_do_not_wait_for_a_writer(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'db'}", busy_timeout_s=0.05)
    store.migrate()
    with store.session() as session:
        audit.record(session, now=NOW, actor="test", action="tested", subject_type="test", subject_id="s")
        assert count_events(store) == 0
    assert count_events(store) == 1
    store.close()


def test_readers_that_become_writers_wait_instead_of_failing(sqlite_store: Store) -> None:
    """With deferred transactions, two that read first and write then would lose one to SQLITE_BUSY_SNAPSHOT."""
    failures: list[BaseException] = []

    def read_then_write() -> None:
        try:
            for _ in range(10):
                with sqlite_store.session() as session:
                    seen = session.execute(text("SELECT generation FROM registry_state")).scalar_one()
                    session.execute(text("UPDATE registry_state SET generation = :next"), {"next": seen + 1})
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    threads = [threading.Thread(target=read_then_write) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with sqlite_store.session(read_only=True) as session:
        assert session.execute(text("SELECT generation FROM registry_state")).scalar_one() == 60


def test_a_locked_database_is_busy_and_nothing_is_lost(tmp_path: Path) -> None:
    file = tmp_path / "db"
    store = Store(f"sqlite:///{file}", busy_timeout_s=0.05)
    store.migrate()
    add_event(store)
    holder = sqlite3.connect(file, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(DatabaseBusy, match=r"locked it.*Try again"):
        add_event(store)
    holder.execute("ROLLBACK")
    holder.close()
    assert count_events(store) == 1
    add_event(store)
    assert count_events(store) == 2
    store.close()


@pytest.mark.parametrize("content", [b"x" * 5000, b"SQLite format 3\x00" + b"\xff" * 5000])
def test_a_file_that_is_no_database_is_named(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "db"
    file.write_bytes(content)
    with pytest.raises(DatabaseError, match=str(file)):
        Store(f"sqlite:///{file}").migrate()
    assert file.read_bytes() == content


def test_a_damaged_page_is_named(tmp_path: Path) -> None:
    file = tmp_path / "db"
    store = Store(f"sqlite:///{file}")
    store.migrate()
    store.close()
    content = bytearray(file.read_bytes())
    content[4096:] = b"\x5a" * (len(content) - 4096)
    file.write_bytes(content)
    with pytest.raises(DatabaseError, match="not a usable SQLite database"):
        count_events(store)
    store.close()


def test_a_home_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    with pytest.raises(DatabaseError, match=r"cannot be opened"):
        Store(f"sqlite:///{tmp_path / 'home' / 'db'}").migrate()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = (
        os.geteuid() == 0
        and subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True).returncode == 0
    )
    if not mounted:
        pytest.skip("FULL DISK NOT TESTED: mounting a small tmpfs needs root")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_is_said_and_nothing_is_lost(small_disk: Path) -> None:
    store = Store(f"sqlite:///{small_disk / 'db'}")
    store.migrate()
    stored = 0

    def fill() -> None:
        nonlocal stored
        while stored < 1000:
            add_event(store, subject=f"{stored} " + "x" * 20_000)
            stored += 1

    with pytest.raises(StorageFull, match="the disk is full"):
        fill()
    assert stored > 0
    assert count_events(store) == stored
    store.close()
    assert sqlite3.connect(small_disk / "db").execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_a_disk_full_from_the_start_is_said(small_disk: Path) -> None:
    (small_disk / "filler").write_bytes(b"x" * (1024 * 1024 - 8192))
    with pytest.raises(StorageFull):
        Store(f"sqlite:///{small_disk / 'db'}").migrate()


# PostgreSQL


def test_a_refused_connection_is_busy_and_names_no_password() -> None:
    store = Store("postgresql+psycopg://sosie:hunter2@127.0.0.1:1/sosie?sslpassword=hunter3")
    with pytest.raises(DatabaseBusy) as caught:
        store.migrate()
    assert "hunter" not in _everything_said(caught.value)
    assert "127.0.0.1" in str(caught.value)


@pytest.mark.postgres
def test_a_database_that_does_not_exist_is_permanent(postgres_url: str) -> None:
    missing = postgres_url.replace("/test_", "/missing_")
    with pytest.raises(DatabaseError, match="does not exist"):
        Store(missing).migrate()


@pytest.mark.postgres
def test_a_lock_held_too_long_is_busy(postgres_url: str) -> None:
    store = Store(postgres_url, busy_timeout_s=0.05)
    store.migrate()
    with store._writer.begin() as holder:
        holder.execute(text("LOCK TABLE audit_events IN EXCLUSIVE MODE"))
        with pytest.raises(DatabaseBusy):
            add_event(store)
    assert count_events(store) == 0
    store.close()


@pytest.mark.postgres
def test_a_connection_the_server_cut_is_replaced(postgres_url: str) -> None:
    store = Store(postgres_url)
    store.migrate()
    with store.session() as session:
        mine = session.execute(text("SELECT pg_backend_pid()")).scalar_one()
    killer = Store(postgres_url)
    with killer.session() as session:
        session.execute(text("SELECT pg_terminate_backend(:pid, 10000)"), {"pid": mine})
    add_event(store)
    assert count_events(store) == 1
    killer.close()
    store.close()


def test_errors_show_no_values(store: Store) -> None:
    with pytest.raises(DatabaseError) as caught, store.session() as session:
        session.execute(text("INSERT INTO case_posts (case_id, post_id) VALUES (:secret, :secret)"), {"secret": "hunter2"})
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in str(caught.value.__cause__).split("DETAIL")[0]


def _everything_said(error: SosieError) -> str:
    said, link = "", error
    cause: BaseException | None = link
    while cause is not None:
        said += str(cause)
        cause = cause.__cause__
    return said

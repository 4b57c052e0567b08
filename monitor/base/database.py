"""The database: one engine, one way to open a session, one way to bring the schema up to date.

SQLite (WAL) by default, PostgreSQL by URL; both give the same promises:

- `session()` commits whole or rolls back whole. What it raises is a `SosieError`: `DatabaseBusy` (locked, unreachable:
  try again), `StorageFull`, or `DatabaseError` (somebody must mend it; its `DataRefused` is about what one write holds).
- On SQLite a writing session takes the write lock at its first statement (BEGIN IMMEDIATE), so two processes wait for one
  another instead of deadlocking on the way from reader to writer. Keep slow work out of writing sessions, and read with
  `session(read_only=True)`, which never waits for a writer.
- Times are stored in UTC and come back aware on both.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from sqlalchemy import JSON, Connection, DateTime, Dialect, Engine, MetaData, ScalarResult, Select, String, create_engine, event
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects import sqlite as sqlite_dialect
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.types import TypeDecorator

from monitor.base import database_errors, schema
from monitor.base.errors import ConfigError, DatabaseError, StorageFull
from monitor.base.schema import Upgrade

Row = TypeVar("Row", bound="Base")


class UtcDateTime(TypeDecorator[datetime]):
    """A column of instants. Refuses naive values; gives back aware ones in UTC, on SQLite too."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a time without a zone cannot be stored: {value!r}")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """The base of every table. Constraint names follow one convention, so that migrations can name them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: UtcDateTime,
        str: String,
        dict[str, Any]: JSON,
        list[dict[str, Any]]: JSON,
        list[float]: JSON,
    }


def insert_if_absent(session: Session, table: type[Base], **values: Any) -> bool:
    """Insert one row unless a unique key of it is taken; say whether it was inserted.

    Safe when two do it at once: the second waits for the first to commit, then answers False
    (and a SELECT after it sees the first one's row).
    """
    session.flush()
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite_dialect.insert
    statement = insert(table.__table__).values(**values).on_conflict_do_nothing()  # type: ignore[arg-type]
    result = session.connection().execute(statement, execution_options={"preserve_rowcount": True})
    return result.rowcount == 1


def locked(session: Session, query: Select[Row], *, referable: bool = False) -> ScalarResult[Row]:
    """The rows of a query as they are now, held against change until the transaction ends.

    SQLite holds the whole database already; PostgreSQL locks these rows and waits for whoever holds them. `referable`: rows that point to
    these may be written meanwhile, as PostgreSQL also asks of one that is changed twice in its transaction (FOR NO KEY UPDATE).
    """
    return session.scalars(query.with_for_update(key_share=referable).execution_options(populate_existing=True))


class Store:
    """One database, shared by threads. The constructor does no I/O; call `migrate` or `require_current` once before the first session.

    `busy_timeout_s`: how long a statement waits for somebody else's lock before `DatabaseBusy`.
    Raises `ConfigError` for a URL that names no SQLite file and no PostgreSQL database.
    """

    def __init__(self, url: str, *, busy_timeout_s: float = 5.0) -> None:
        parsed = make_url(url)
        self.name = _safe_name(parsed)
        self._file: Path | None = None
        self._busy_timeout_ms = max(1, round(busy_timeout_s * 1000))
        match parsed.get_backend_name():
            case "sqlite":
                self._writer, self._reader = self._sqlite(parsed)
            case "postgresql":
                self._writer, self._reader = self._postgresql(parsed)
            case other:
                raise ConfigError(
                    "SOSIE_DATABASE_URL", f"{other} is not supported", "Use sqlite:///FILE or postgresql+psycopg://USER@HOST/NAME"
                )

    @contextmanager
    def session(self, *, read_only: bool = False) -> Iterator[Session]:
        """A transaction: committed when the block ends, rolled back whole when it raises.

        Objects stay readable after it. With `read_only` a write raises `DatabaseError`.
        """
        engine = self._reader if read_only else self._writer
        with self._named_errors(), Session(engine, expire_on_commit=False) as session, session.begin():
            yield session

    def migrate(self) -> Upgrade:
        """Bring the schema to the version of this code, in one transaction; a no-op when it is there already.

        Safe when several processes start at once: one migrates, the others wait for it.
        Raises `DatabaseError` for a database of a newer Sosie, and leaves it as it is.
        """
        if (current := self.version()) == schema.head():
            return Upgrade(current, current)  # without the write lock: a command that only lists should not wait for a writer
        with self._named_errors(), self._writer.begin() as connection:
            return schema.upgrade(connection, name=self.name)

    def pending(self) -> Upgrade:
        """The upgrade that `migrate` would make; changes nothing. Raises `DatabaseError` for a database of a newer Sosie."""
        if not self._exists():
            return Upgrade(None, schema.head())
        with self._named_errors(), self._reader.connect() as connection:
            return schema.pending(connection, name=self.name)

    def require_current(self) -> None:
        """Check that the schema is at the version of this code; changes nothing. Raises `DatabaseError` when it is not."""
        schema.require_current(self.pending(), name=self.name)

    def version(self) -> str | None:
        """The schema's version; None before the first `migrate`. Makes no file where there is none."""
        if not self._exists():
            return None
        with self._named_errors(), self._reader.connect() as connection:
            return schema.version(connection)

    def _exists(self) -> bool:
        """Whether the database exists, so that asking would not create it: connecting to an SQLite file makes the file."""
        return self._file is None or self._file.exists()

    def scrub(self) -> None:
        """Let deleted rows leave SQLite's write-ahead log too; in the file itself such rows are overwritten with zeros.

        While another process reads, that waits for a later moment. PostgreSQL forgets by VACUUM, in its own time.
        """
        if self._writer.dialect.name == "sqlite":
            with self._named_errors(), contextlib.closing(self._writer.raw_connection()) as connection:
                connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Close the idle connections. The store may be used again; it opens new ones."""
        self._reader.dispose()
        self._writer.dispose()

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            yield
        except (DBAPIError, PoolTimeout) as error:
            raise database_errors.named(error, self.name) from error

    def _sqlite(self, url: URL) -> tuple[Engine, Engine]:
        if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
            raise ConfigError("SOSIE_DATABASE_URL", "names no file: cases would be lost when the process ends", "Use sqlite:///FILE")
        file = self._file = Path(url.database).expanduser()
        url = url.set(database=str(file))
        connect_args = {"timeout": self._busy_timeout_ms / 1000, "check_same_thread": False}
        engines = []
        for read_only in (False, True):
            engine = create_engine(url, connect_args=connect_args, hide_parameters=True)
            event.listen(engine, "do_connect", lambda *_: _create_private(file))
            event.listen(engine, "connect", partial(_configure_sqlite, read_only=read_only, timeout_s=self._busy_timeout_ms / 1000))
            event.listen(engine, "begin", _begin if read_only else _begin_immediate)
            engines.append(engine)
        return engines[0], engines[1]

    def _postgresql(self, url: URL) -> tuple[Engine, Engine]:
        connect_args = {"connect_timeout": 5, "options": f"-c lock_timeout={self._busy_timeout_ms} -c timezone=UTC"}
        writer = create_engine(url, connect_args=connect_args, hide_parameters=True, pool_pre_ping=True)
        return writer, writer.execution_options(postgresql_readonly=True)


def _safe_name(url: URL) -> str:
    """The name of the database for errors: no password, and no query, where a password may stand too."""
    if url.get_backend_name() == "sqlite":
        return url.database or "the database"
    return url.set(query={}).render_as_string(hide_password=True)


_creating = threading.Lock()
"""Held while a new file is open, so that no connection of this process can have locked it when it is closed."""


def _create_private(file: Path) -> None:
    """Make the database file before SQLite does, readable by its owner alone (the WAL inherits the file's mode).

    One that exists is not opened, not even to look: closing it would let go of all locks that other connections of this process
    hold on it, and another process could take away the WAL they write to (https://sqlite.org/howtocorrupt.html, 2.2).
    """
    try:
        if not file.parent.exists():
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _creating, contextlib.suppress(FileExistsError):
            os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull(file, "the disk is full", database_errors.FREE_SPACE) from error
        raise DatabaseError(
            file, f"cannot be opened: {error.strerror}", "Check the path in SOSIE_HOME or SOSIE_DATABASE_URL and its permissions"
        ) from error


def _configure_sqlite(connection: sqlite3.Connection, _: object, *, read_only: bool, timeout_s: float) -> None:
    connection.isolation_level = None  # BEGIN is ours: see _begin_immediate
    _use_wal(connection, timeout_s)
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA secure_delete=ON")  # the vectors of somebody who was removed
    connection.execute(f"PRAGMA query_only={'ON' if read_only else 'OFF'}")


def _use_wal(connection: sqlite3.Connection, timeout_s: float) -> None:
    """Switch the database to WAL, a no-op but for the first time. SQLite's own busy timeout does not cover the switch: hence the loop."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _begin_immediate(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")

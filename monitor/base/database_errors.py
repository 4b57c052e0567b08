"""The errors of a database driver, as Sosie's own. The text never carries values, statements or passwords."""

from __future__ import annotations

import sqlite3

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from monitor.base.errors import DatabaseBusy, DatabaseError, DataRefused, SosieError, StorageFull

FREE_SPACE = "Free some space and try again; what was stored before is untouched"

_SQLITE_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL}
# WAL's shared memory is extended by writing; without space that is an I/O error of its own.
_SQLITE_FULL_EXTENDED = {sqlite3.SQLITE_IOERR_SHMSIZE}

# https://www.postgresql.org/docs/15/errcodes-appendix.html: classes, then single codes
_POSTGRES_BUSY_CLASSES = ("08", "40", "53", "57")
_POSTGRES_BUSY = {"55P03", "25P03"}  # lock_not_available, idle_in_transaction_session_timeout
_POSTGRES_FULL = {"53100"}
# Of a server that follows another: it answers, reads, and takes no write until it is promoted.
_POSTGRES_STANDBY = {"25006", "0A000"}  # read_only_sql_transaction; "cannot set transaction read-write mode during recovery"
# What one write holds is refused, and the next may not be: data exceptions, integrity, limits of a row.
_POSTGRES_DATA_CLASSES = ("21", "22", "23", "44", "54")
_SQLITE_DATA = {sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_RANGE}
_REPORT = "Please report this with the lines around it in the log"
_CREDENTIALS = "Check user, password and database name in SOSIE_DATABASE_URL"
# libpq gives no SQLSTATE for a refused connection; these reasons will not go away by waiting.
_POSTGRES_REFUSALS = ("authentication failed", "no password supplied", "no pg_hba.conf entry", "does not exist")


def named(error: DBAPIError | PoolTimeout, name: str) -> SosieError:
    """The error to raise for `error`, met while working with the database called `name`."""
    if isinstance(error, PoolTimeout):
        return DatabaseBusy(name, "all connections are in use", "Try again; if it stays, run fewer workers per process")
    if isinstance(error.orig, sqlite3.Error):
        return _sqlite(error.orig, name)
    return _postgresql(error.orig, name)


def _sqlite(error: sqlite3.Error, name: str) -> SosieError:
    extended = getattr(error, "sqlite_errorcode", 0)
    code = extended & 0xFF
    if code in _SQLITE_BUSY:
        return DatabaseBusy(
            name, "another process has locked it", "Try again; if it stays, look for a process that holds it open (`fuser FILE`)"
        )
    if code == sqlite3.SQLITE_FULL or extended in _SQLITE_FULL_EXTENDED:
        return StorageFull(name, "the disk is full", FREE_SPACE)
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        return DatabaseError(
            name, f"is not a usable SQLite database ({error})", "Restore it from a backup, or move it away to start afresh"
        )
    if code in _SQLITE_DATA or isinstance(error, (sqlite3.DataError, sqlite3.InterfaceError)):
        return DataRefused(name, f"refused what was to be stored: {error}", _REPORT)
    if code == sqlite3.SQLITE_IOERR:
        return DatabaseError(name, f"its disk fails ({error})", "Check the disk, its space and the kernel's log")
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return DatabaseError(name, f"cannot be written ({error})", "Check its permissions and those of its folder")
    return DatabaseError(name, f"refused: {error}", "If Sosie was just updated, restart it; otherwise please report this")


def _postgresql(error: BaseException | None, name: str) -> SosieError:
    state = getattr(error, "sqlstate", None)
    said = (str(error).strip().splitlines() or ["no reason given"])[0]
    if state in _POSTGRES_FULL:
        return StorageFull(name, "the server's disk is full", FREE_SPACE)
    if state is None and any(reason in said for reason in _POSTGRES_REFUSALS):
        return DatabaseError(name, said, _CREDENTIALS)
    if state is None or state in _POSTGRES_BUSY or state.startswith(_POSTGRES_BUSY_CLASSES):
        return DatabaseBusy(
            name, said, "Try again; if it stays, check that PostgreSQL runs, is reachable and is not held by a long transaction"
        )
    if state in _POSTGRES_STANDBY:
        return DatabaseError(
            name,
            f"takes no writes: {said} (SQLSTATE {state})",
            "If it is a standby after a failover, promote it or point SOSIE_DATABASE_URL at the primary; "
            "if it was made read-only, have that undone. Work goes on by itself then",
        )
    if state == "42501":
        return DatabaseError(
            name, f"does not allow this: {said} (SQLSTATE {state})", "Grant Sosie's user its rights again. Work goes on by itself then"
        )
    if state.startswith("28"):
        return DatabaseError(name, f"{said} (SQLSTATE {state})", _CREDENTIALS)
    if state.startswith(_POSTGRES_DATA_CLASSES):
        return DataRefused(name, f"refused what was to be stored (SQLSTATE {state})", _REPORT)
    return DatabaseError(name, f"refused: {said} (SQLSTATE {state})", "If Sosie was just updated, restart it; otherwise please report this")

"""The schema's version and its upgrades (Alembic), on a connection somebody else opened.

Migrations are written by hand in `monitor/base/migrations/versions` and never derived at run time.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version as installed
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Column, Connection, DateTime, MetaData, PrimaryKeyConstraint, String, Table, func, inspect, select, text

from monitor.base.errors import DatabaseError

MIGRATIONS = Path(__file__).parent / "migrations"

# Any constant of our own: PostgreSQL's advisory locks are numbers.
_MIGRATION_LOCK = 0x736F736965
_WAIT = "10min"
"""So long one waits for another that migrates. The statements of a migration wait as long as any other statement of the connection."""

METADATA = MetaData()
RELEASES = Table(
    "schema_releases",
    METADATA,
    Column("revision", String(), nullable=False),
    Column("release", String(), nullable=False),
    Column("migrated_at", DateTime(timezone=True), server_default=func.now(), nullable=False),
    PrimaryKeyConstraint("revision", name="pk_schema_releases"),
)
"""Which release of Sosie brought the schema to a revision: what an older one that finds it can name."""


@dataclass(frozen=True, slots=True)
class Upgrade:
    """An upgrade of the schema, from one revision to another; `before` is None where there was no schema, and equal to `after` where
    nothing was to do."""

    before: str | None
    after: str | None


def version(connection: Connection) -> str | None:
    """The revision the database is at; None when it is empty."""
    return MigrationContext.configure(connection).get_current_revision()


def head() -> str | None:
    """The newest revision this code knows."""
    return ScriptDirectory(str(MIGRATIONS)).get_current_head()


def pending(connection: Connection, *, name: str) -> Upgrade:
    """The upgrade that `upgrade` would make.

    Raises `DatabaseError` when the database, called `name`, is at a revision this code does not know.
    """
    current = version(connection)
    _refuse_newer(connection, current, name)
    return Upgrade(current, head())


def require_current(upgrade: Upgrade, *, name: str) -> None:
    """Check that there is nothing to upgrade. Raises `DatabaseError` where there is."""
    if upgrade.before != upgrade.after:
        there = "it has no schema yet" if upgrade.before is None else f"its schema is at version {upgrade.before}"
        reason = f"{there}, this Sosie works with {upgrade.after}, and SOSIE_MIGRATE=never lets no other command change it"
        raise DatabaseError(name, reason, "Run: sosie migrate")


def upgrade(connection: Connection, *, name: str) -> Upgrade:
    """Upgrade to the newest revision inside the connection's open transaction, and note which release did.

    Waits for whoever upgrades the same database at this moment (SQLite: the transaction holds the write lock already).
    Raises `DatabaseError` when the database, called `name`, is at a revision this code does not know, and names the release that made it.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SET LOCAL lock_timeout = '{_WAIT}'"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
        connection.execute(text("SET LOCAL lock_timeout TO DEFAULT"))
    due = pending(connection, name=name)
    if due.before != due.after:
        command.upgrade(_config(connection), "head")
        connection.execute(RELEASES.insert().values(revision=due.after, release=installed("sosie")))
    return due


def _refuse_newer(connection: Connection, current: str | None, name: str) -> None:
    if current is None or current in {each.revision for each in ScriptDirectory(str(MIGRATIONS)).walk_revisions()}:
        return
    release = None
    if inspect(connection).has_table(RELEASES.name):
        release = connection.execute(select(RELEASES.c.release).where(RELEASES.c.revision == current)).scalar()
    made_by, needed = ("a newer one", "the Sosie that made it") if release is None else (f"Sosie {release}",) * 2
    raise DatabaseError(
        name,
        f"its schema is at version {current}, which this Sosie ({installed('sosie')}, schema {head()}) does not know; {made_by} made it",
        f"Install {needed}, or a newer one, or point SOSIE_DATABASE_URL at another database",
    )


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config

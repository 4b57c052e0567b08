"""The schema's version and its upgrades (Alembic), on a connection somebody else opened.

Migrations are written by hand in `monitor/base/migrations/versions` and never derived at run time.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from monitor.base.errors import DatabaseError

MIGRATIONS = Path(__file__).parent / "migrations"

# Any constant of our own: PostgreSQL's advisory locks are numbers.
_MIGRATION_LOCK = 0x736F736965


def version(connection: Connection) -> str | None:
    """The revision the database is at; None when it is empty."""
    return MigrationContext.configure(connection).get_current_revision()


def head() -> str | None:
    """The newest revision this code knows."""
    return ScriptDirectory(str(MIGRATIONS)).get_current_head()


def upgrade(connection: Connection, *, name: str) -> None:
    """Upgrade to the newest revision inside the connection's open transaction.

    Waits for whoever upgrades the same database at this moment (SQLite: the transaction holds the write lock already).
    Raises `DatabaseError` when the database, called `name`, is at a revision this code does not know.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
    config = _config(connection)
    script = ScriptDirectory.from_config(config)
    current = version(connection)
    if current == script.get_current_head():
        return
    if current is not None and current not in {revision.revision for revision in script.walk_revisions()}:
        raise DatabaseError(
            name,
            f"its schema is at version {current}, which this Sosie does not know; a newer one made it",
            "Install the Sosie that made it, or a newer one, or point SOSIE_DATABASE_URL at another database",
        )
    command.upgrade(config, "head")


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config

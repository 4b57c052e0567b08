"""A PostgreSQL server of the test session's own, and the `store` every database test runs on: SQLite and PostgreSQL in turn.

The server is started from the installed binaries in a temporary directory, listens on a Unix socket there and nowhere else, and is
stopped by its pid. Without binaries its tests skip and say so; where `CI` is set that is a failure.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from monitor.store import Store

START_TIMEOUT_S = 60.0
_USER = "sosie"


def _binaries() -> Path | None:
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda file: float(file.parts[-3]))
    found = str(versions[-1]) if versions else shutil.which("initdb")
    return Path(found).parent if found else None


def _run_as() -> dict[str, Any]:
    """PostgreSQL refuses to run as root; another user is lent to it then."""
    if os.geteuid() != 0:
        return {}
    import pwd

    user = next(name for name in ("postgres", "nobody") if name in {entry.pw_name for entry in pwd.getpwall()})
    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Path]:
    """The directory of a running server's socket."""
    binaries = _binaries()
    if binaries is None:
        reason = "POSTGRESQL MISSING: no initdb under /usr/lib/postgresql or on PATH; PostgreSQL is not covered by this run"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    folder = Path(tempfile.mkdtemp(prefix="sosie-pg-"))
    run_as = _run_as()
    if run_as:
        shutil.chown(folder, run_as["user"], run_as["group"])
    data = folder / "data"
    subprocess.run(
        [binaries / "initdb", "-D", data, "-U", _USER, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"],
        check=True,
        capture_output=True,
        cwd=folder,
        **run_as,
    )
    settings = ["listen_addresses=", f"unix_socket_directories={folder}", "fsync=off", "synchronous_commit=off", "max_connections=60"]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [binaries / "postgres", "-D", data, *(part for setting in settings for part in ("-c", setting))],
            stdout=log,
            stderr=log,
            cwd=folder,
            **run_as,
        )
    try:
        _wait_until_ready(folder, server)
        yield folder
    finally:
        server.send_signal(signal.SIGINT)  # "fast" shutdown: sessions are disconnected
        try:
            server.wait(timeout=30)
        except subprocess.TimeoutExpired:
            server.send_signal(signal.SIGQUIT)
            server.wait(timeout=30)
        shutil.rmtree(folder)


def _wait_until_ready(folder: Path, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            psycopg.connect(host=str(folder), user=_USER, dbname="postgres").close()
        except psycopg.OperationalError as error:
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start: {(folder / 'log').read_text()}") from error
            time.sleep(0.05)
        else:
            return


def _url(server: Path, database: str) -> str:
    return f"postgresql+psycopg://{_USER}@/{database}?host={server}"


def _admin(server: Path) -> psycopg.Connection[Any]:
    return psycopg.connect(host=str(server), user=_USER, dbname="postgres", autocommit=True)


@contextmanager
def _database(server: Path, template: str = "template1") -> Iterator[str]:
    name = f"test_{uuid4().hex}"
    with _admin(server) as admin:
        admin.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
        yield _url(server, name)
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def postgres_url(postgres_server: Path) -> Iterator[str]:
    """An empty database of the test's own."""
    with _database(postgres_server) as url:
        yield url


@pytest.fixture(scope="session")
def migrated_postgres(postgres_server: Path) -> str:
    """The name of a migrated database to copy: much quicker than migrating one for each test."""
    with _admin(postgres_server) as admin:
        admin.execute("CREATE DATABASE migrated")
    store = Store(_url(postgres_server, "migrated"))
    store.migrate()
    store.close()
    return "migrated"


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database file to copy."""
    file = tmp_path_factory.mktemp("migrated") / "sosie.sqlite3"
    store = Store(f"sqlite:///{file}")
    store.migrate()
    store.close()
    return file


DATABASES = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)]


@pytest.fixture(params=DATABASES)
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without a schema, SQLite and PostgreSQL in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'home' / 'sosie.sqlite3'}"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
def sqlite_url(migrated_sqlite: Path, tmp_path: Path) -> str:
    """A migrated SQLite database of the test's own."""
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    shutil.copy(migrated_sqlite, home)
    return f"sqlite:///{home / migrated_sqlite.name}"


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A migrated database, SQLite and PostgreSQL in turn."""
    if request.param == "sqlite":
        yield request.getfixturevalue("sqlite_url")
    else:
        with _database(request.getfixturevalue("postgres_server"), request.getfixturevalue("migrated_postgres")) as url:
            yield url


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    """A migrated database, SQLite and PostgreSQL in turn. Locks are waited for long enough on the slowest machine."""
    store = Store(database_url, busy_timeout_s=60)
    yield store
    store.close()


@pytest.fixture
def sqlite_store(sqlite_url: str) -> Iterator[Store]:
    """A migrated SQLite database, for what only SQLite can do or suffer."""
    store = Store(sqlite_url, busy_timeout_s=60)
    yield store
    store.close()

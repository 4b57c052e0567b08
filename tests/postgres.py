"""A PostgreSQL server of the test run's own, and the `store` every database test runs on: SQLite and PostgreSQL in turn.

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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import psycopg
import pytest

from monitor.base.database import Store
from tests.keeper import shared_address
from tests.once import once, run_folder

START_TIMEOUT_S = 60.0
_USER = "sosie"


def _binaries() -> Path | None:
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda file: float(file.parts[-3]))
    found = str(versions[-1]) if versions else shutil.which("initdb")
    return Path(found).parent if found else None


def _binaries_or_skip() -> Path:
    if (found := _binaries()) is None:
        reason = "POSTGRESQL MISSING: no initdb under /usr/lib/postgresql or on PATH; PostgreSQL is not covered by this run"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    return found


def _run_as() -> dict[str, Any]:
    """PostgreSQL refuses to run as root; another user is lent to it then."""
    if os.geteuid() != 0:
        return {}
    import pwd

    user = next(name for name in ("postgres", "nobody") if name in {entry.pw_name for entry in pwd.getpwall()})
    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}


def _quick_folder() -> str | None:
    """Memory, where there is room for hundreds of databases: making and dropping one writes 300 files."""
    memory = Path("/dev/shm")
    free = min(shutil.disk_usage(memory).free, psutil.virtual_memory().available) if memory.is_dir() else 0
    return str(memory) if free > 4 * 1024**3 else None


class Server:
    """A server on a Unix socket in its folder, for any number of starts on the same data. Not thread-safe."""

    def __init__(self, binaries: Path) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="sosie-pg-", dir=_quick_folder()))
        self._binaries = binaries
        self._run_as = _run_as()
        self._process: subprocess.Popen[bytes] | None = None
        if self._run_as:
            shutil.chown(self.folder, self._run_as["user"], self._run_as["group"])
        subprocess.run(
            [binaries / "initdb", "-D", self.folder / "data", "-U", _USER, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"],
            check=True,
            capture_output=True,
            cwd=self.folder,
            **self._run_as,
        )

    def start(self) -> None:
        """Start, and wait until it answers."""
        settings = [
            "listen_addresses=",
            f"unix_socket_directories={self.folder}",
            "fsync=off",
            "synchronous_commit=off",
            "max_connections=200",
        ]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._binaries / "postgres", "-D", self.folder / "data", *(part for setting in settings for part in ("-c", setting))],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                **self._run_as,
            )
        _wait_until_ready(self.folder, self._process)

    def stand_by(self) -> None:
        """Start again on the same data as a hot standby: it reads, and takes no writes until it is promoted."""
        self.stop()
        signal_file = self.folder / "data" / "standby.signal"
        signal_file.touch()
        if self._run_as:
            shutil.chown(signal_file, self._run_as["user"], self._run_as["group"])
        self.start()

    def promote(self) -> None:
        """End the standby: returns when it takes writes."""
        with _admin(self.folder) as admin:
            promoted = admin.execute("SELECT pg_promote(true, 60)").fetchone()
        assert promoted == (True,), (self.folder / "log").read_text()[-4000:]

    def take_over(self, other: Path, database: str) -> None:
        """Fill the database `postgres` with what is in `database` of the server in the folder `other`."""
        client: list[str | Path] = ["--username", _USER, "--host"]
        dump = subprocess.run([self._binaries / "pg_dump", *client, other, database], check=True, capture_output=True)
        read = [self._binaries / "psql", *client, self.folder, "--quiet", "--set", "ON_ERROR_STOP=1", "postgres"]
        subprocess.run(read, check=True, capture_output=True, input=dump.stdout)

    def stop(self) -> None:
        """Disconnect every session ("fast" shutdown) and stop."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(timeout=30)
        self._process = None


@contextmanager
def running_server() -> Iterator[Server]:
    """A server of the caller's own, removed in the end. Without binaries the test skips; where `CI` is set it fails."""
    server = Server(_binaries_or_skip())
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(server.folder)


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of the socket of the one server that all tests of a run share, each with its own database. It must stay up."""
    _binaries_or_skip()
    return Path(shared_address(run_folder(tmp_path_factory), "postgresql"))


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


def server_url(server: Path, database: str) -> str:
    """What SOSIE_DATABASE_URL takes."""
    return f"postgresql+psycopg://{_USER}@/{database}?host={server}"


def _admin(server: Path) -> psycopg.Connection[Any]:
    return psycopg.connect(host=str(server), user=_USER, dbname="postgres", autocommit=True)


@contextmanager
def database(server: Path, template: str = "template1") -> Iterator[str]:
    """The name of a database of the caller's own, copied from `template`, to which nobody may be connected."""
    name = f"test_{uuid4().hex}"
    with _admin(server) as admin:
        admin.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
    try:
        yield name
    finally:
        with _admin(server) as admin:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def postgres_url(postgres_server: Path) -> Iterator[str]:
    """An empty database of the test's own."""
    with database(postgres_server) as name:
        yield server_url(postgres_server, name)


@pytest.fixture(scope="session")
def migrated_postgres(postgres_server: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of a migrated database to copy: much quicker than migrating one for each test."""
    return template_once(tmp_path_factory, postgres_server, "migrated", lambda url, _: _migrate(url))


def template_once(factory: pytest.TempPathFactory, server: Path, name: str, fill: Callable[[str, Path], None]) -> str:
    """`name`, a database to copy, made once in a test run by `fill(url, folder)`; what it leaves in its folder is in `template_folder`."""

    def make(folder: Path) -> None:
        with _admin(server) as admin:
            admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")  # of a process that was killed at it
            admin.execute(f"CREATE DATABASE {name}")
        fill(server_url(server, name), folder)

    once(template_folder(factory, name), make)
    return name


def template_folder(factory: pytest.TempPathFactory, name: str) -> Path:
    """Where the files that belong to a template lie."""
    return run_folder(factory) / f"template-{name}"


def _migrate(url: str) -> None:
    store = Store(url)
    store.migrate()
    store.close()


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database file to copy."""
    return (
        once(run_folder(tmp_path_factory) / "migrated", lambda folder: _migrate(f"sqlite:///{folder / 'sosie.sqlite3'}")) / "sosie.sqlite3"
    )


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
        server = request.getfixturevalue("postgres_server")
        with database(server, request.getfixturevalue("migrated_postgres")) as name:
            yield server_url(server, name)


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

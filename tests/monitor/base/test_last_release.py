"""The last release beside this one's schema: what its running workers and consoles read and write goes on working.

Once statement by statement, from its schema as the migrations keep it; and once as its real code, running while the schema is migrated.
At each release `LAST_SCHEMA` and `LAST_RELEASE` move on.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Date, DateTime, Engine, Float, Integer, LargeBinary, MetaData, Table, create_engine, insert, select, update
from sqlalchemy.types import JSON, Boolean, TypeEngine

from monitor.base import schema, settings
from monitor.base.database import Store
from monitor.cast.film import film
from monitor.cast.roster import MOURNED
from monitor.review import cases, queue, verdicts
from monitor.scan.result import Posted
from monitor.scan.workshop import Workshop
from tests.monitor.base.test_migrations import _bindable, _upgrade

LAST_SCHEMA = "0008"
LAST_RELEASE = "454428d"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ROOT = Path(__file__).parents[3]


# Statement by statement

VALUES: tuple[tuple[type[TypeEngine[Any]], Any], ...] = (
    (DateTime, lambda number: NOW),
    (Date, lambda number: date(2026, 3, number)),
    (Boolean, lambda number: True),
    (Integer, lambda number: number),
    (Float, lambda number: number / 8),
    (LargeBinary, lambda number: bytes([number])),
    (JSON, lambda number: {"n": number}),
)


def row(table: Table, number: int, *, sparse: bool = False) -> dict[str, Any]:
    """Every column of the table, all of them with values that fit together across tables; `sparse`: None wherever that was allowed."""

    def value(kind: TypeEngine[Any]) -> Any:
        return next((make(number) for known, make in VALUES if isinstance(kind, known)), f"row {number}")

    return {column.name: None if sparse and column.nullable else value(column.type) for column in table.columns}


@pytest.fixture
def engine(empty_database_url: str) -> Iterator[Engine]:
    if empty_database_url.startswith("sqlite"):
        Path(empty_database_url.removeprefix("sqlite:///")).parent.mkdir(parents=True)
    made = create_engine(empty_database_url)
    yield made
    made.dispose()


def test_every_statement_of_the_last_release_is_still_taken(engine: Engine, empty_database_url: str) -> None:
    last = MetaData()
    with engine.begin() as connection:
        _upgrade(connection, LAST_SCHEMA)
        last.reflect(connection)
        tables = [table for table in last.sorted_tables if table.name != "alembic_version"]
        assert len(tables) >= 20
        for table in tables:
            connection.execute(insert(table).values(**_bindable(connection, row(table, 11))))
    store = Store(empty_database_url, busy_timeout_s=60)
    store.migrate()
    store.close()
    with engine.begin() as connection:
        for number, sparse in ((12, False), (13, True)):
            for table in tables:
                connection.execute(insert(table).values(**_bindable(connection, row(table, number, sparse=sparse))))
        for table in tables:
            assert len(connection.execute(select(*table.columns)).all()) >= 3, f"{table.name}: every column is read"
            names = [column.name for column in table.columns if not column.primary_key and not column.foreign_keys]
            if names and table.name != "audit_events":  # which nobody may change
                again = _bindable(connection, {name: row(table, 12)[name] for name in names})
                key = [column == row(table, 12)[column.name] for column in table.primary_key]
                assert connection.execute(update(table).where(*key).values(**again)).rowcount == 1, table.name


# Its real code


class LastRelease:
    """The process of `last_release.py`. Not thread-safe."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, do: str, **arguments: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
        self._process.stdin.flush()

    def answer(self) -> Any:
        assert self._process.stdout
        line = self._process.stdout.readline()
        assert line, "it ended; its last words are above"
        return json.loads(line)

    def call(self, do: str, **arguments: str) -> Any:
        self.ask(do, **arguments)
        return self.answer()


@pytest.fixture(scope="session")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The last release's files, from this repository's history."""
    folder = tmp_path_factory.mktemp("last-release")
    archive = subprocess.run(["git", "-C", ROOT, "archive", LAST_RELEASE, "monitor", "indexes", "streams"], capture_output=True)
    if archive.returncode != 0:
        pytest.skip(
            f"LAST RELEASE MISSING: {LAST_RELEASE} is not in this repository's history (a shallow clone?); "
            f"its real code is not run beside this schema: {archive.stderr.decode().strip()}"
        )
    subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
    return folder


@contextmanager
def running(release: Path, home: Path, url: str) -> Iterator[LastRelease]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("SOSIE_")}
    environ |= {"PYTHONPATH": str(release), "OMP_WAIT_POLICY": "PASSIVE", "OMP_NUM_THREADS": "1"}
    environ |= {"SOSIE_HOME": str(home), "SOSIE_DATABASE_URL": url, "SOSIE_THREADS": "1"}
    home.mkdir()
    program = Path(__file__).with_name("last_release.py")
    process = subprocess.Popen(
        [sys.executable, program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ, cwd=release
    )
    try:
        yield LastRelease(process)
        assert process.stdin
        process.stdin.close()
        assert process.wait() == 0
    finally:
        process.kill()
        process.wait()


def decided(session: Any, case: str, verdict: str) -> None:
    """By a reviewer at this release's console."""
    lease = queue.claim(session, case, reviewer="ben", lease_s=60, now=datetime.now(UTC))
    verdicts.decide(session, case, reviewer="ben", token=lease.token, verdict=verdict, reason="as seen", now=datetime.now(UTC))


@pytest.mark.long  # its slice: the two others of this file
@pytest.mark.postgres
@pytest.mark.timeout(1200)  # two whole pipelines: 40 s of a core, which may be shared by many
def test_a_running_worker_of_the_last_release_goes_on_beside_this_ones(
    release: Path, tmp_path: Path, home: Path, postgres_url: str
) -> None:
    clips = [str(tmp_path / f"clip-{number}.mp4") for number in range(3)]
    for number, clip in enumerate(clips):
        film(Path(clip), (MOURNED[0].person,), seconds=2.0, seed=number, fps=5)
    with running(release, tmp_path / "last home", postgres_url) as last:
        started = last.answer()
        assert Path(started["code"]).is_relative_to(release)
        assert started["schema"] == LAST_SCHEMA
        (first,) = last.call("scan", file=clips[0], post="p1", account="@one")
        assert first["opened"]

        last.ask("scan", file=clips[1], post="p2", account="@two")  # and while it is at that:
        with Workshop(settings.load(database_url=postgres_url, threads=1)) as now:
            assert now.store.version() == schema.head()
            (second,) = last.answer()
            assert second["opened"]

            # Posts of a video that the other has seen, the same posts again, and a video that only this release has seen.
            scan = now.pipeline.scan
            (joined,) = scan(Posted(source=clips[0], id="p3", account="@three", platform="clips")).findings
            assert (joined.case_id, joined.case_opened) == (first["case"], False)
            (again,) = scan(Posted(source=clips[0], id="p1", account="@one", platform="clips")).findings
            assert again.case_id == first["case"]
            (third,) = scan(Posted(source=clips[2], id="p4", account="@four", platform="clips")).findings
            assert third.case_opened
            assert third.case_id is not None
            for post, account in (("p1", "@one"), ("p3", "@three"), ("p5", "@five")):
                (found,) = last.call("scan", file=clips[0], post=post, account=account)
                assert (found["case"], found["opened"]) == (first["case"], False)

            # Each reads and decides what the other opened.
            one, two, three = first["case"], second["case"], third.case_id
            assert last.call("seen") == {one: ["open", None, 3, 0], two: ["open", None, 1, 0], three: ["open", None, 1, 0]}
            last.call("decide", case=three, verdict="deepfake")
            with now.store.session() as session:
                assert cases.get_case(session, three).verdict == "deepfake"
                decided(session, one, "parody")
            last.call("decide", case=two, verdict="licensed")
            seen = {one: ["decided", "parody", 3, 1], two: ["decided", "licensed", 1, 1], three: ["decided", "deepfake", 1, 1]}
            assert last.call("seen") == seen
            with now.store.session(read_only=True) as session:
                assert {item.case.id for item in queue.page(session, state=None).items} == set(seen)
                assert [given.reviewer for given in verdicts.verdicts(session, three)] == ["ana of the last release"]


@pytest.mark.postgres
def test_one_that_starts_on_this_schema_refuses(release: Path, tmp_path: Path, postgres_url: str) -> None:
    """It cannot know what else has changed; in a deployment, those that start are new."""
    store = Store(postgres_url)
    store.migrate()
    store.close()
    environ = {name: value for name, value in os.environ.items() if not name.startswith("SOSIE_")}
    environ |= {"PYTHONPATH": str(release), "SOSIE_HOME": str(tmp_path), "SOSIE_DATABASE_URL": postgres_url}
    command = [sys.executable, "-c", "from monitor.cli.main import main; main()", "likeness", "list"]
    ran = subprocess.run(command, env=environ, cwd=release, capture_output=True, text=True)
    assert ran.returncode == 1
    assert f"its schema is at version {schema.head()}, which this Sosie does not know" in ran.stderr

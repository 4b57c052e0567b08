"""`sosie migrate`, and what other commands do with a schema that is not theirs."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, create_engine, text

from monitor.base import schema
from tests.monitor.household import finished, script, sosie

BEFORE = "0008"
COMMANDS = (("likeness", "list"), ("scan", "clip.mp4"), ("account", "list"), ("policy", "list"), ("serve", "--port", "0"))


@pytest.fixture
def url(home: Path, empty_database_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("SOSIE_DATABASE_URL", empty_database_url)
    return empty_database_url


@pytest.fixture
def older(url: str) -> Engine:
    """The database at an earlier release's schema."""
    if url.startswith("sqlite"):
        Path(url.removeprefix("sqlite:///")).parent.mkdir(mode=0o700, parents=True)
    engine = create_engine(url)
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(schema.MIGRATIONS))
        config.attributes["connection"] = connection
        command.upgrade(config, BEFORE)
    return engine


def at(engine: Engine) -> str | None:
    with engine.connect() as connection:
        return schema.version(connection)


def test_it_says_from_where_to_where_and_again_changes_nothing(older: Engine) -> None:
    first, again = sosie("migrate"), sosie("migrate")
    assert (first.status, again.status) == (0, 0)
    assert f"was at version {BEFORE}, and is now at version {schema.head()}." in first.out
    assert f"is at version {schema.head()}: up to date." in again.out
    assert at(older) == schema.head()


def test_a_check_changes_nothing_and_exits_with_1_where_a_migration_is_needed(older: Engine) -> None:
    ran = sosie("migrate", "--check")
    assert (ran.status, at(older)) == (1, BEFORE)
    assert f"is at version {BEFORE}: a migration to {schema.head()} is needed." in ran.out
    sosie("migrate")
    assert sosie("migrate", "--check").status == 0


def test_a_check_of_a_database_that_is_not_there_makes_none(url: str) -> None:
    ran = sosie("migrate", "--check")
    assert ran.status == 1
    assert "is not there: a migration to" in ran.out
    if url.startswith("sqlite"):
        assert not Path(url.removeprefix("sqlite:///")).exists()
    assert sosie("migrate").status == 0


@pytest.mark.long  # its slice: tests/monitor/base/test_schema.py
def test_several_at_once_migrate_once(older: Engine) -> None:
    ran = [finished(process) for process in [script("migrate") for _ in range(3)]]
    assert [each.status for each in ran] == [0, 0, 0], [each.err for each in ran]
    assert sorted(f"was at version {BEFORE}" in each.out for each in ran) == [False, False, True]
    with older.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM schema_releases")).scalar_one() == 1


def test_every_command_refuses_a_newer_schema_and_names_the_release(older: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    sosie("migrate")
    with older.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        connection.execute(text("INSERT INTO schema_releases (revision, release) VALUES ('9999', '7.1.0')"))
    for policy in ("auto", "never"):
        monkeypatch.setenv("SOSIE_MIGRATE", policy)
        for arguments in (*COMMANDS, ("migrate",), ("migrate", "--check")):
            ran = sosie(*arguments)
            assert ran.status == 1, arguments
            assert "at version 9999" in ran.err
            assert "Install Sosie 7.1.0, or a newer one" in ran.err
    assert at(older) == "9999"


def test_never_leaves_an_older_schema_to_sosie_migrate(older: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOSIE_MIGRATE", "never")
    for arguments in COMMANDS:
        ran = sosie(*arguments)
        assert ran.status == 1, arguments
        assert f"at version {BEFORE}, this Sosie works with {schema.head()}" in ran.err
        assert "Run: sosie migrate" in ran.err
    assert at(older) == BEFORE
    assert sosie("migrate").status == 0, "which is what they said"
    assert sosie("account", "list").status == 0


def test_without_a_setting_every_command_brings_it_up_to_date(older: Engine) -> None:
    assert sosie("account", "list").status == 0
    assert at(older) == schema.head()

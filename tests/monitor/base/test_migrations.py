"""From an earlier release's schema, with data in every table, to today's: nothing is lost or changed, and life goes on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, MetaData, create_engine, select
from sqlalchemy.exc import DBAPIError

from monitor.base import schema
from monitor.base.database import Store
from monitor.base.errors import DatabaseError
from monitor.registry import consents
from monitor.registry.scope import Use
from monitor.review import cases, queue, verdicts, videos
from monitor.review.assessments import Judged, latest_assessments, record_scan, superseded
from monitor.review.outbox import CaseEvent
from tests.monitor.review.helpers import VERSIONS, add_assessment, add_post, add_video, meet_case, put_on_case

NOW = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
VIDEO, OTHER = "ab" * 32, "cd" * 32

# What a home of that release holds, in the order of its foreign keys. A later migration adds a release here, and changes none.
RELEASES: Mapping[str, list[tuple[str, dict[str, Any]]]] = {
    "0001": [
        ("accounts", {"id": "a1", "name": "ada", "password_hash": "x", "role": "admin", "created_at": NOW, "disabled_at": None}),
        ("likenesses", {"id": "l1", "name": "O M", "name_key": "o m", "deceased_on": NOW.date(), "holder": "T", "territory": "w",
                        "created_at": NOW, "removed_at": None}),
        ("vector_spaces", {"id": "s1", "model": "m", "weights_sha256": "0" * 64, "preprocessing": "p", "dim": 2}),
        ("references", {"id": "r1", "likeness_id": "l1", "picture_sha256": "1" * 64, "file": "f", "source": "s",
                        "face_box": [0.1, 0.2, 0.3, 0.4], "created_at": NOW}),
        ("reference_vectors", {"reference_id": "r1", "space_id": "s1", "position": 0, "vector": b"\x00\x01\xff"}),
        ("consents", {"id": "c1", "likeness_id": "l1", "account": "@a", "platform": "clips", "valid_from": NOW, "valid_until": None,
                      "granted_at": NOW, "revoked_at": None, "note": "n"}),
        *[("videos", {"sha256": sha256, "size_bytes": 2**40, "duration_s": 1.5, "truncated_at_s": None, "provenance": {"state": "absent"},
                      "first_seen_at": NOW}) for sha256 in (VIDEO, OTHER)],
        *[("posts", {"id": post, "video_sha256": sha256, "source": "a.mp4", "platform": "p", "account": "@a", "posted_at": NOW,
                     "caption": "ça", "views": 2**40, "received_at": NOW}) for post, sha256 in (("p1", VIDEO), ("p2", OTHER))],
        ("assessments", {"id": "as1", "post_id": "p1", "video_sha256": VIDEO, "likeness_id": "l1", "risk": 0.9, "flagged": True,
                         "reasons": [{"code": "x"}], "matches": [], "policy_version": "1", "index_version": "1", "model_version": "1",
                         "trust_version": "1", "created_at": NOW}),
        *[("cases", {"id": case, "likeness_id": "l1", "video_sha256": sha256, "state": state, "verdict": verdict, "risk": 0.9,
                     "reasons": [{"code": "x"}], "evidence": [], "versions": {"policy": "1"}, "opened_at": NOW, "updated_at": NOW,
                     "lease_owner": None, "lease_token": token, "lease_expires_at": None})
          for case, sha256, state, verdict, token in (("open", VIDEO, "open", None, 0), ("decided", OTHER, "decided", "deepfake", 3))],
        *[("case_posts", {"case_id": case, "post_id": post}) for case, post in (("open", "p1"), ("decided", "p2"))],
        ("verdicts", {"case_id": "decided", "reviewer": "ada", "verdict": "deepfake", "reason": "r", "lease_token": 3,
                      "decided_at": NOW}),
        ("audit_events", {"at": NOW, "actor": "ada", "action": "case.decided", "subject_type": "case", "subject_id": "decided",
                          "detail": {"verdict": "deepfake"}}),
    ],
}  # fmt: skip


GONE = {("consents", "platform")}
"""Columns that hold their data elsewhere today; a test of its own says where."""


@pytest.fixture(params=sorted(RELEASES))
def release(request: pytest.FixtureRequest) -> str:
    revision: str = request.param
    return revision


@pytest.fixture
def engine(empty_database_url: str) -> Iterator[Engine]:
    if empty_database_url.startswith("sqlite"):
        Path(empty_database_url.removeprefix("sqlite:///")).parent.mkdir(parents=True)
    made = create_engine(empty_database_url)
    yield made
    made.dispose()


def at_release(engine: Engine, revision: str) -> dict[str, list[dict[str, Any]]]:
    """Make the schema of that release and fill it; returns what it holds."""
    with engine.begin() as connection:
        _upgrade(connection, revision)
        tables = MetaData()
        tables.reflect(connection)
        for name, row in RELEASES[revision]:
            connection.execute(tables.tables[name].insert().values(**_bindable(connection, row)))
        assert {name for name, _ in RELEASES[revision]} | {"registry_state", "alembic_version"} == set(tables.tables), (
            "no table is left out"
        )
    return held(engine)


def _bindable(connection: Connection, row: dict[str, Any]) -> dict[str, Any]:
    """SQLite's own DateTime takes no zone; what Sosie stores there is UTC."""
    if connection.dialect.name == "postgresql":
        return row
    return {name: value.replace(tzinfo=None) if isinstance(value, datetime) else value for name, value in row.items()}


def _upgrade(connection: Connection, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(schema.MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def held(engine: Engine) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table but Alembic's."""
    with engine.connect() as connection:
        tables = MetaData()
        tables.reflect(connection)
        return {
            name: [dict(row) for row in connection.execute(select(table).order_by(*table.primary_key)).mappings()]
            for name, table in tables.tables.items()
            if name != "alembic_version"
        }


@pytest.fixture
def migrated(engine: Engine, release: str, empty_database_url: str) -> Iterator[Store]:
    before = at_release(engine, release)
    store = Store(empty_database_url, busy_timeout_s=60)
    store.migrate()
    after = held(engine)
    for table, rows in before.items():
        kept = [{name: value for name, value in row.items() if (table, name) not in GONE} for row in rows]
        assert [{name: row[name] for name in old} for row, old in zip(after[table], kept, strict=True)] == kept, table
    yield store
    store.close()


def test_every_row_is_there_unchanged_and_the_schema_is_todays(migrated: Store) -> None:
    assert migrated.version() == schema.head()
    with migrated.session(read_only=True) as session:
        assert {case.id: (case.state, case.events) for case in session.scalars(select(cases.Case))} == {
            "open": ("open", 0),
            "decided": ("decided", 0),
        }
        assert session.scalars(select(CaseEvent)).all() == [], "no history is invented"


def test_a_consent_for_one_platform_is_one_for_a_list_of_one(migrated: Store) -> None:
    with migrated.session(read_only=True) as session:
        (consent,) = consents.list_consents(session)
        assert (consent.account, consent.certificate, consent.platforms, consent.uses) == ("@a", None, ["clips"], None)
        covered = [
            consents.covering(session, "l1", Use(NOW, platform), account="@a", certificate=None).consent for platform in ("clips", "reels")
        ]
        assert covered == ["c1", None]


def test_cases_of_before_are_joined_decided_and_reopened_and_counted_from_one(migrated: Store) -> None:
    with migrated.session() as session:
        add_post(session, "p3", VIDEO)
        case, opened = put_on_case(session, "p3", VIDEO, risk=0.5)
        assert (case.id, opened) == ("open", False)
        lease = queue.claim(session, "open", reviewer="ada", lease_s=60, now=NOW)
        verdicts.decide(session, "open", reviewer="ada", token=lease.token, verdict="authentic", reason="the real one", now=NOW)
        verdicts.reopen(session, "decided", reviewer="ada", reason="again", now=NOW)
    with migrated.session(read_only=True) as session:
        told = [(each.case_id, each.sequence, each.change) for each in session.scalars(select(CaseEvent).order_by(CaseEvent.id))]
    assert told == [("open", 1, "joined"), ("open", 2, "decided"), ("decided", 1, "reopened")]


def test_the_audit_still_refuses_to_be_altered(migrated: Store, engine: Engine) -> None:
    for statement in ("UPDATE audit_events SET actor = 'eve'", "DELETE FROM audit_events"):
        with engine.connect() as connection, pytest.raises(DBAPIError, match="append-only"):
            connection.exec_driver_sql(statement)


def test_a_migration_that_fails_leaves_the_database_at_the_release_before(engine: Engine, release: str, empty_database_url: str) -> None:
    before = at_release(engine, release)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE relay_lease (id INTEGER)")  # in the way of the last statement
    store = Store(empty_database_url)
    with pytest.raises(DatabaseError, match="relay_lease"):
        store.migrate()
    assert store.version() == release
    store.close()
    after = held(engine)
    after.pop("relay_lease")
    assert after == before


def test_videos_and_assessments_of_before_marks_were_looked_for_have_none_and_take_them(engine: Engine, empty_database_url: str) -> None:
    with engine.begin() as connection:
        _upgrade(connection, "0004")
        tables = MetaData()
        tables.reflect(connection)
        for name, row in RELEASES["0001"]:
            known = {key: value for key, value in row.items() if (name, key) not in GONE}
            connection.execute(tables.tables[name].insert().values(**_bindable(connection, known)))
    before = held(engine)
    store = Store(empty_database_url, busy_timeout_s=60)
    store.migrate()
    after = held(engine)
    for table, rows in before.items():
        assert [{name: row[name] for name in old} for row, old in zip(after[table], rows, strict=True)] == rows, table
    assert [row["marks"] for row in after["videos"]] == [None, None]
    assert [row["watermarks_version"] for row in after["assessments"]] == [None]
    mark = {"name": "quill", "generator": None, "score": 0.9, "ranges": [[0.0, 1.0]], "at_s": 0.5, "box": [0.1, 0.1, 0.3, 0.2]}
    with store.session() as session:
        add_video(session, VIDEO, marks=[mark])
    with store.session(read_only=True) as session:
        assert [videos.get_video(session, sha256).marks for sha256 in (VIDEO, OTHER)] == [[mark], None]
    store.close()


@pytest.fixture
def of_0008(engine: Engine, empty_database_url: str) -> Iterator[Store]:
    """The schema of the release before assessments were append-only, with that release's rows, brought to today's."""
    with engine.begin() as connection:
        _upgrade(connection, "0008")
        tables = MetaData()
        tables.reflect(connection)
        for name, row in RELEASES["0001"]:
            known = {key: value for key, value in row.items() if (name, key) not in GONE}
            connection.execute(tables.tables[name].insert().values(**_bindable(connection, known)))
    before = held(engine)
    store = Store(empty_database_url, busy_timeout_s=60)
    store.migrate()
    after = held(engine)
    for table, rows in before.items():
        assert [{name: row[name] for name in old} for row, old in zip(after[table], rows, strict=True)] == rows, table
    assert after["superseded_assessments"] == []
    assert [row["uses"] for row in after["verdicts"]] == [None]
    assert [row["reopened_at"] for row in after["cases"]] == [None, None]
    assert [row["event"] for row in after["case_posts"]] == [None, None]
    yield store
    store.close()


def test_assessments_and_verdicts_of_before_are_superseded_and_held_against_later_posts(of_0008: Store) -> None:
    with of_0008.session() as session:
        ceased = record_scan(
            session, [Judged(None, 0.02, flagged=False)], post_id="p1", video_sha256=VIDEO, versions=VERSIONS, now=NOW + timedelta(days=1)
        )
        assert [(each.earlier.id, each.flag_lost) for each in ceased] == [("as1", True)]
        add_post(session, "p3", OTHER, now=NOW + timedelta(days=1), account="@b")
        add_assessment(session, "p3", OTHER, now=NOW + timedelta(days=1))
        joined = meet_case(session, "p3", OTHER)
        assert (joined.case.id, joined.covered_by and joined.covered_by.verdict) == ("decided", "deepfake")
    with of_0008.session(read_only=True) as session:
        assert [old.reasons for old in superseded(session, video_sha256=VIDEO, likeness_id="l1")] == [[{"code": "x"}]]


def test_a_worker_of_the_release_before_goes_on_beside_this_schema(of_0008: Store, engine: Engine) -> None:
    """Its statements, as release 0008 wrote them: put in unless it is there, read the one, change it; join a case; decide."""
    with of_0008.session() as session:
        record_scan(session, [Judged("l1", 0.7, flagged=True)], post_id="p1", video_sha256=VIDEO, versions=VERSIONS, now=NOW)
    columns = (
        "id, post_id, video_sha256, likeness_id, risk, flagged, reasons, matches, policy_version, index_version, model_version, "
        "trust_version, created_at"
    )
    with engine.begin() as connection:
        for likeness in ("l1", ""):  # found again; and nobody, as after a removal
            values = f"'new{likeness}', 'p1', '{VIDEO}', '{likeness}', 0.4, false, '[]', '[]', '2', '2', '2', '2', '2026-03-02 12:00:00'"
            connection.exec_driver_sql(f"INSERT INTO assessments ({columns}) VALUES ({values}) ON CONFLICT DO NOTHING")
            found = connection.exec_driver_sql(f"SELECT id FROM assessments WHERE post_id = 'p1' AND likeness_id = '{likeness}'").all()
            assert len(found) == 1, "it reads exactly one"
            connection.exec_driver_sql(f"UPDATE assessments SET risk = 0.4 WHERE id = '{found[0][0]}'")
        connection.exec_driver_sql("INSERT INTO case_posts (case_id, post_id) VALUES ('decided', 'p1') ON CONFLICT DO NOTHING")
        connection.exec_driver_sql("UPDATE cases SET state = 'open', verdict = NULL WHERE id = 'decided'")
        numbered = "case_id, reviewer, verdict, reason, lease_token, decided_at"
        values = "'decided', 'ada', 'parody', 'r', 4, '2026-03-02 12:00:00'"
        connection.exec_driver_sql(f"INSERT INTO verdicts ({numbered}) VALUES ({values})")
        connection.exec_driver_sql("UPDATE cases SET state = 'decided', verdict = 'parody' WHERE id = 'decided'")
    with of_0008.session() as session:
        [stands] = [each for each in latest_assessments(session, posts=["p1"], limit=9) if each.likeness_id == "l1"]
        assert stands.risk == 0.4
        add_post(session, "p4", OTHER, now=NOW + timedelta(days=2), account="@other")
        assert meet_case(session, "p4", OTHER, now=NOW + timedelta(days=2)).reopened, "read by this release's table"

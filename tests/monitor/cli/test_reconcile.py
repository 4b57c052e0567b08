"""`sosie reconcile`: what an operator gets, with a real broker and without one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from monitor.base import settings
from monitor.base.errors import NotAVideo
from monitor.scan.workshop import Workshop
from streams.admin import create_topics
from streams.dead_letters import dead_letter
from streams.event import Event, Place
from streams.failures import Failure
from streams.messages import VideoPosted
from streams.publisher import Publisher, Record
from streams.submission import derived_id
from tests.kafka import Broker, Existing
from tests.monitor.household import sosie
from tests.monitor.review.helpers import add_assessment, add_post, add_video
from tests.streams import offsets

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)


class Yard:
    """One partition of posts, and what became of them."""

    def __init__(self, publisher: Publisher, prefix: str) -> None:
        self.publisher = publisher
        self.prefix = prefix

    def submit(self, *posts: str) -> None:
        values = [VideoPosted(id=each, uri="https://a/").to_bytes() for each in posts]
        self.publisher.publish(f"{self.prefix}.videos", [Record(b"k", value) for value in values])

    def finish(self, post: str) -> None:
        with Workshop(settings.load()) as workshop, workshop.store.session() as session:
            add_video(session, "a" * 64)
            add_post(session, post, "a" * 64, source="https://a/")
            add_assessment(session, post, "a" * 64, likeness=None, risk=0.1, flagged=False)

    def put_aside(self, offset: int, post: str) -> str:
        event = Event(Place(f"{self.prefix}.videos", 0), offset, b"k", VideoPosted(id=post, uri="https://a/").to_bytes(), 1.0)
        letter = dead_letter(Failure(event, NotAVideo("a.mp4", "it is a picture", "Send videos"), 1, NOW))
        self.publisher.publish(f"{self.prefix}.dead-letters", [Record(letter.id.encode(), letter.to_bytes())])
        return letter.id

    def commit(self, offset: int) -> None:
        offsets.commit(settings.load(), 0, offset)


@pytest.fixture
def yard(kafka_broker: Broker | Existing, kafka_prefix: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Yard]:
    monkeypatch.setenv("SOSIE_KAFKA_BROKERS", kafka_broker.brokers)
    monkeypatch.setenv("SOSIE_KAFKA_PREFIX", kafka_prefix)
    create_topics(settings.load(), partitions=1)
    with closing(Publisher(settings.load())) as publisher:
        yield Yard(publisher, kafka_prefix)


@pytest.mark.kafka
def test_when_every_event_has_its_end_or_waits_it_exits_with_0(yard: Yard) -> None:
    yard.submit("done", "dead", "waits", "resolved")
    yard.finish("done")
    yard.finish("resolved")
    yard.put_aside(1, "dead")
    resolved = yard.put_aside(3, "resolved")
    yard.commit(2)
    ran = sosie("reconcile")
    assert ran.status == 0
    assert ran.out.splitlines() == [
        "4 events of 4 posts: 2 done, 1 dead letters, 1 waiting.",
        "  1 not_a_video",
        "1 dead letters wait although their posts have a result; they may be discarded:",
        f"resolved: {resolved}",
        "Nothing is missing, nothing is doubled. 1 events wait for workers: see `sosie topics lag`.",
    ]
    (report,) = sosie("reconcile", "--json").objects
    assert (report["sound"], report["events"], report["dead"], report["resolved"]) == (True, 4, {"not_a_video": 1}, [resolved])


@pytest.mark.kafka
def test_an_empty_topic_is_sound(yard: Yard) -> None:
    ran = sosie("reconcile")
    assert ran.status == 0
    assert ran.out.splitlines()[-1] == "Nothing is missing, nothing is doubled."


@pytest.mark.kafka
def test_what_is_missing_is_named_and_it_exits_with_1(yard: Yard) -> None:
    yard.submit("gone", "waits")
    yard.commit(1)
    ran = sosie("reconcile")
    assert ran.status == 1
    assert "missing: post gone, partition 0, offset 0" in ran.out.splitlines()
    assert "Submit their posts again" in ran.out
    assert "Nothing is missing" not in ran.out
    told = sosie("reconcile", "--json")
    assert told.status == 1
    assert told.objects[0]["sound"] is False
    assert [(each["post_id"], each["offset"]) for each in told.objects[0]["missing"]] == [("gone", 0)]


@pytest.mark.kafka
def test_of_many_that_are_missing_the_first_are_named_and_the_rest_counted(yard: Yard) -> None:
    yard.submit(*(f"p{number}" for number in range(60)))
    yard.commit(60)
    ran = sosie("reconcile")
    assert ran.out.count("missing: post p") == 50
    assert "missing: and 10 more; --json names all" in ran.out
    assert len(sosie("reconcile", "--json").objects[0]["missing"]) == 60


@pytest.mark.kafka
def test_what_retention_took_is_told_and_it_exits_with_1(yard: Yard) -> None:
    yard.submit("a", "b", "c")
    yard.commit(1)
    offsets.delete_before(settings.load(), 0, 3)
    ran = sosie("reconcile")
    assert ran.status == 1
    assert "lost: 2 events, deleted by retention" in ran.out


@pytest.mark.kafka
def test_posts_of_a_file_that_never_came_are_named(yard: Yard, tmp_path: Path) -> None:
    file = tmp_path / "posts.ndjson"
    uri = "https://videos.example/1"
    file.write_text("".join(f"{json.dumps(post)}\n" for post in ({"id": "came", "uri": uri}, {"uri": uri})))
    yard.submit("came")
    ran = sosie("reconcile", "--from", file)
    assert ran.status == 1
    assert f"never submitted: post {derived_id(None, uri)}: no event, no result, no dead letter" in ran.out.splitlines()
    assert "post came" not in ran.out
    yard.submit(derived_id("vidhub", uri))
    assert sosie("reconcile", "--from", file, "--platform", "vidhub").status == 0


@pytest.mark.kafka
def test_only_events_since_a_time_are_looked_at(yard: Yard) -> None:
    yard.submit("gone")
    yard.commit(1)
    assert sosie("reconcile", "--since", "2020-01-01").status == 1
    ran = sosie("reconcile", "--since", "2999-01-01")
    assert (ran.status, ran.out.splitlines()[0]) == (0, "0 events of 0 posts: 0 done, 0 dead letters, 0 waiting.")


@pytest.mark.kafka
def test_a_file_that_cannot_be_read_is_told(yard: Yard, tmp_path: Path) -> None:
    ran = sosie("reconcile", "--from", tmp_path / "missing.ndjson")
    assert (ran.status, ran.out) == (1, "")
    assert "missing.ndjson: cannot be read" in ran.err


@pytest.mark.kafka
def test_without_topics_the_command_that_makes_them_is_named(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOSIE_KAFKA_PREFIX", f"{yard.prefix}-none")
    ran = sosie("reconcile")
    assert (ran.status, ran.out) == (1, "")
    assert "sosie topics create" in ran.err


@pytest.mark.parametrize("arguments", [("--since", "yesterday"), ("--since", "2026-01-01", "--from", "posts.ndjson")])
def test_misuse_is_told(home: Path, arguments: tuple[str, ...]) -> None:
    assert sosie("reconcile", *arguments).status == 2


def test_without_brokers_the_setting_is_named_before_anything_is_read(home: Path) -> None:
    ran = sosie("reconcile", "--from", "missing.ndjson")
    assert (ran.status, ran.out) == (1, "")
    assert "SOSIE_KAFKA_BROKERS: is not set" in ran.err
    assert not home.exists()

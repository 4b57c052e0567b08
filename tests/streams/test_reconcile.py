"""What was submitted, beside what became of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from monitor.base.database import Store
from monitor.base.errors import BrokerRefused, NotAVideo
from monitor.base.settings import Settings, load
from monitor.review import cases, outbox, reconciliation, videos
from monitor.review.assessments import Assessment
from streams import dead_letter_box
from streams.admin import create_topics
from streams.dead_letters import dead_letter
from streams.event import Event, Place
from streams.failures import Failure
from streams.messages import DeadLetter, VideoPosted
from streams.publisher import Publisher, Record
from streams.reading import read_topic
from streams.reconcile import Report, Submitted, reconcile, reconcile_all
from tests.kafka import Broker, Existing
from tests.monitor.review.helpers import add_assessment, add_post, add_video, put_on_case
from tests.streams import offsets

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
TOPIC = "sosie.videos"


def letter(offset: int, *, partition: int = 0, post: str | None = None, topic: str = TOPIC) -> DeadLetter:
    value = b"garbage" if post is None else VideoPosted(id=post, uri="https://a/").to_bytes()
    event = Event(Place(topic, partition), offset, b"k", value, 1.0)
    return dead_letter(Failure(event, NotAVideo("a.mp4", "it is a picture", "Send videos"), 1, NOW))


def submitted(offset: int, post: str | None, *, partition: int = 0, origin: int | None = None, tried_before: int = 0) -> Submitted:
    return Submitted(partition, offset, post, f"{TOPIC}:{partition}:{offset if origin is None else origin}", tried_before)


def box(*letters: DeadLetter) -> dict[str, DeadLetter]:
    return {each.id: each for each in letters}


EMPTY = Report(events=0, posts=0, done=0, dead={}, waiting=0, missing=(), doubled=(), resolved=(), lost=0)


def test_nothing_submitted_is_sound() -> None:
    report = reconcile([], results=(), letters={}, committed={})
    assert report == EMPTY
    assert report.sound


def test_every_record_is_exactly_one_of_the_four() -> None:
    records = [submitted(0, "done"), submitted(1, "dead"), submitted(2, None), submitted(3, "gone"), submitted(4, "later")]
    report = reconcile(records, results={"done"}, letters=box(letter(1, post="dead"), letter(2)), committed={0: 4})
    assert report == replace(EMPTY, events=5, posts=4, done=1, dead={"not_a_video": 2}, waiting=1, missing=(records[3],))
    assert report.done + sum(report.dead.values()) + report.waiting + len(report.missing) == report.events
    assert not report.sound


def test_what_is_done_before_it_is_committed_is_done() -> None:
    assert reconcile([submitted(0, "a")], results={"a"}, letters={}, committed={0: 0}).done == 1


def test_in_a_partition_that_was_never_committed_all_wait() -> None:
    report = reconcile([submitted(0, "a", partition=1)], results=(), letters={}, committed={0: 9})
    assert (report.waiting, report.sound) == (1, True)


def test_the_same_post_twice_is_two_events_of_one_post() -> None:
    report = reconcile([submitted(0, "a"), submitted(1, "a")], results={"a"}, letters={}, committed={0: 2})
    assert (report.events, report.posts, report.done, report.sound) == (2, 1, 2, True)


def test_a_record_that_is_done_and_dead_is_done_and_its_letter_is_resolved_if_it_waits() -> None:
    dead = letter(0, post="a")
    report = reconcile([submitted(0, "a"), submitted(7, "a", origin=0)], results={"a"}, letters=box(dead), committed={0: 8})
    assert (report.done, dict(report.dead), report.resolved, report.sound) == (2, {}, (dead.id,), True)
    replayed = box(dead.model_copy(update={"state": "replayed"}))
    assert reconcile([submitted(0, "a")], results={"a"}, letters=replayed, committed={0: 8}).resolved == ()


def tried(offset: int, attempts: int, state: str = "waiting") -> DeadLetter:
    return letter(offset).model_copy(update={"attempts": attempts, "state": state})


REPLAYS = [submitted(0, None), submitted(5, None, origin=0, tried_before=1), submitted(9, None, origin=0, tried_before=2)]


def test_replays_share_the_letter_of_the_place_where_they_first_stood() -> None:
    report = reconcile(REPLAYS, results=(), letters=box(tried(0, 3)), committed={0: 10})
    assert (dict(report.dead), report.missing) == ({"not_a_video": 3}, ())


def test_a_letter_is_no_answer_to_a_replay_that_was_acknowledged_without_a_try_of_its_own() -> None:
    report = reconcile(REPLAYS, results=(), letters=box(tried(0, 2, "replayed")), committed={0: 10})
    assert (dict(report.dead), report.missing) == ({"not_a_video": 2}, (REPLAYS[2],))


def test_a_replay_that_nobody_has_acknowledged_waits() -> None:
    report = reconcile(REPLAYS, results=(), letters=box(tried(0, 2, "replayed")), committed={0: 9})
    assert (dict(report.dead), report.waiting, report.sound) == ({"not_a_video": 2}, 1, True)


def test_of_an_event_that_was_discarded_nothing_is_due() -> None:
    report = reconcile(REPLAYS, results=(), letters=box(tried(0, 2, "discarded")), committed={0: 10})
    assert (dict(report.dead), report.sound) == ({"not_a_video": 3}, True)


def test_a_letter_of_the_same_offset_in_another_partition_is_no_answer() -> None:
    report = reconcile([submitted(3, None)], results=(), letters=box(letter(3, partition=1)), committed={0: 4, 1: 4})
    assert len(report.missing) == 1


def test_a_record_without_a_post_is_never_done() -> None:
    assert reconcile([submitted(0, None)], results={"a"}, letters={}, committed={0: 1}).missing == (submitted(0, None),)


def test_wanted_posts_of_which_there_is_nothing_were_never_submitted() -> None:
    wanted = ["on-topic", "has-result", "has-letter", "nothing", "nothing", "also-nothing"]
    report = reconcile(
        [submitted(0, "on-topic")], results={"has-result"}, letters=box(letter(9, post="has-letter")), committed={}, wanted=wanted
    )
    assert report.never_submitted == ("also-nothing", "nothing")
    assert not report.sound


@pytest.mark.parametrize("found", [{"lost": 1}, {"doubled": ["2 cases"]}])
def test_what_is_lost_or_doubled_is_not_sound(found: dict[str, object]) -> None:
    assert not reconcile([], results=(), letters={}, committed={}, **found).sound  # type: ignore[arg-type]


class Yard:
    """Topics, a group and a database, filled as workers fill them."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self.settings = settings
        self.store = store
        self.publisher = Publisher(settings)
        self.topic = f"{settings.kafka_prefix}.videos"

    def submit(self, *posts: str | bytes) -> list[tuple[int, int]]:
        values = [VideoPosted(id=post, uri="https://a/").to_bytes() if isinstance(post, str) else post for post in posts]
        return self.publisher.publish(self.topic, [Record(b"one key, one partition", value) for value in values])

    def finish(self, post: str, *, assessed: bool = True) -> None:
        with self.store.session() as session:
            sha = post.encode().hex().ljust(64, "0")
            add_video(session, sha)
            add_post(session, post, sha, source="https://a/")
            if assessed:
                add_assessment(session, post, sha, likeness=None, risk=0.1, flagged=False)

    def put_aside(self, place: tuple[int, int]) -> DeadLetter:
        """The dead letter of the event that stands there, written as a worker writes it."""
        (event,) = (each for each in read_topic(self.settings, self.topic) if (each.place.partition, each.offset) == place)
        made = dead_letter(Failure(event, NotAVideo("a.mp4", "it is a picture", "Send videos"), 1, NOW))
        self.publisher.publish(f"{self.settings.kafka_prefix}.dead-letters", [Record(made.id.encode(), made.to_bytes())])
        return made

    def commit(self, partition: int, offset: int) -> None:
        offsets.commit(self.settings, partition, offset)

    def report(self, *wanted: str) -> Report:
        return reconcile_all(self.settings, self.store, wanted=wanted)


@pytest.fixture
def yard(kafka_broker: Broker | Existing, kafka_prefix: str, store: Store, tmp_path: Path) -> Iterator[Yard]:
    settings = load({}, home=tmp_path, kafka_brokers=kafka_broker.brokers, kafka_prefix=kafka_prefix)
    create_topics(settings, partitions=2)
    made = Yard(settings, store)
    with closing(made.publisher):
        yield made


@pytest.mark.kafka
def test_an_acknowledged_event_with_neither_result_nor_letter_is_missing(yard: Yard) -> None:
    places = yard.submit("done", "dead", "gone", b"garbage", "waits")
    yard.finish("done")
    yard.put_aside(places[1])
    yard.put_aside(places[3])
    assert yard.report().waiting == 2  # nothing is committed yet, so nothing is due
    yard.commit(places[4][0], places[4][1])
    report = yard.report()
    assert (report.events, report.posts, report.done, report.dead, report.waiting) == (5, 4, 1, {"not_a_video": 2}, 1)
    assert [(each.partition, each.offset, each.post_id) for each in report.missing] == [(*places[2], "gone")]
    assert not report.sound


@pytest.mark.kafka
def test_a_post_without_an_assessment_has_no_result(yard: Yard) -> None:
    ((partition, offset),) = yard.submit("half")
    yard.finish("half", assessed=False)
    yard.commit(partition, offset + 1)
    assert [each.post_id for each in yard.report().missing] == ["half"]


@pytest.mark.kafka
def test_a_replay_that_worked_resolves_its_letter_and_one_that_failed_keeps_it(yard: Yard) -> None:
    places = yard.submit("works-later", "never-works")
    letters = [yard.put_aside(place) for place in places]
    dead_letter_box.replay(yard.settings, yard.publisher, letters)
    replays = sorted((event.place.partition, event.offset) for event in read_topic(yard.settings, yard.topic))[2:]
    yard.finish("works-later")
    yard.put_aside(replays[1])
    yard.commit(places[0][0], 4)
    report = yard.report()
    assert (report.events, report.done, report.dead, report.missing) == (4, 2, {"not_a_video": 2}, ())
    assert report.resolved == ()  # it was replayed, and nobody waits for it
    assert report.sound


@pytest.mark.kafka
def test_a_replay_that_was_acknowledged_and_came_to_nothing_is_missing(yard: Yard) -> None:
    ((partition, offset),) = yard.submit("a")
    dead_letter_box.replay(yard.settings, yard.publisher, [yard.put_aside((partition, offset))])
    yard.commit(partition, 1)
    assert yard.report().waiting == 1
    yard.commit(partition, 2)
    assert [each.offset for each in yard.report().missing] == [1]


@pytest.mark.kafka
def test_what_retention_took_before_it_was_done_is_lost(yard: Yard) -> None:
    places = yard.submit("a", "b", "c")
    yard.commit(places[0][0], places[1][1])
    offsets.delete_before(yard.settings, *places[2])
    report = yard.report()
    assert (report.events, report.lost, report.waiting, report.sound) == (1, 1, 1, False)


@pytest.mark.kafka
def test_wanted_posts_are_looked_for_in_the_database_as_well(yard: Yard) -> None:
    yard.submit("on-topic")
    yard.finish("older-than-retention")
    assert yard.report("on-topic", "older-than-retention", "nothing").never_submitted == ("nothing",)


@pytest.mark.kafka
def test_events_before_an_instant_are_left_out(yard: Yard) -> None:
    yard.submit("a")
    assert reconcile_all(yard.settings, yard.store, since=datetime(2020, 1, 1, tzinfo=UTC)).events == 1
    assert reconcile_all(yard.settings, yard.store, since=datetime.fromtimestamp(NOW.timestamp() + 10**9, UTC)).events == 0


@pytest.mark.kafka
def test_results_of_more_posts_than_one_question_takes_are_found(yard: Yard) -> None:
    posts = [f"p{number}" for number in range(1203)]
    places = yard.submit(*posts)
    with yard.store.session() as session:
        add_video(session, "a" * 64)
        for post in posts:
            session.add(videos.Post(id=post, video_sha256="a" * 64, source="https://a/", received_at=NOW))
        session.flush()
        for post in posts[:-1]:
            session.add(
                Assessment(
                    id=post,
                    post_id=post,
                    video_sha256="a" * 64,
                    likeness_id="",
                    risk=0.0,
                    flagged=False,
                    reasons=[],
                    matches=[],
                    policy_version="1",
                    index_version="i",
                    model_version="m",
                    trust_version="t",
                    created_at=NOW,
                )
            )
    yard.commit(places[0][0], 1203)
    report = yard.report()
    assert (report.done, [each.post_id for each in report.missing]) == (1202, ["p1202"])


@pytest.mark.kafka
def test_a_topic_that_is_not_there_is_told(yard: Yard) -> None:
    elsewhere = yard.settings.model_copy(update={"kafka_prefix": f"{yard.settings.kafka_prefix}.nothing"})
    with pytest.raises(BrokerRefused, match="sosie topics create"):
        reconcile_all(elsewhere, yard.store)


def test_a_case_told_of_twice_for_one_post_is_doubled(store: Store) -> None:
    with store.session() as session:
        add_video(session, "a" * 64)
        for post in ("one", "two"):
            add_post(session, post, "a" * 64)
            case, _ = put_on_case(session, post, "a" * 64, likeness="who")
    with store.session(read_only=True) as session:
        assert reconciliation.doubled(session) == []
    with store.session() as session:
        outbox.append(session, cases.lock_case(session, case.id), "joined", now=NOW, post_id="two")
    with store.session(read_only=True) as session:
        assert reconciliation.doubled(session) == [f"2 case events of case and post {case.id}, two"]

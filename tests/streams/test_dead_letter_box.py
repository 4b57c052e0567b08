"""The dead letters topic as a box, on a real broker."""

from __future__ import annotations

import base64
import logging
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from monitor.base.errors import MessageRefused, NotFound, RequestRefused
from monitor.base.settings import Settings, load
from streams.admin import create_topics
from streams.dead_letter_box import chosen, content, discard, read_box, replay, standing
from streams.dead_letters import dead_letter
from streams.event import ATTEMPTS_HEADER, ORIGIN_HEADER, Event, Place
from streams.failures import Failure
from streams.messages import DeadLetter
from streams.publisher import Publisher, Record
from streams.reading import read_topic
from tests.kafka import Broker, Existing

pytestmark = pytest.mark.kafka
NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
BINARY = bytes(range(256))


class Box:
    """The two topics of a test, and letters on them as a worker writes them."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.publisher = Publisher(settings)
        self.videos = f"{settings.kafka_prefix}.videos"
        self.letters = f"{settings.kafka_prefix}.dead-letters"

    def write(self, *letters: DeadLetter) -> None:
        self.publisher.publish(self.letters, [Record(each.id.encode(), each.to_bytes()) for each in letters])

    def letter(self, offset: int, value: bytes | None = b"{}", key: bytes | None = b"k", *, topic: str | None = None) -> DeadLetter:
        """Of an event that stood at `offset`, tried once."""
        return self.failed(Event(Place(topic or self.videos, 0), offset, key, value, 1.0), minute=offset)

    @staticmethod
    def failed(event: Event, minute: int = 0) -> DeadLetter:
        return dead_letter(Failure(event, MessageRefused("The message", "it is bad", "Mend it"), 1, NOW + timedelta(minutes=minute)))

    def waiting(self, count: int) -> list[DeadLetter]:
        letters = [self.letter(offset, str(offset).encode()) for offset in range(count)]
        self.write(*letters)
        return letters

    def events(self) -> list[Event]:
        return list(read_topic(self.settings, self.videos))

    def states(self) -> dict[str, tuple[str, int]]:
        return {each.id: (each.state, each.attempts) for each in read_box(self.settings).values()}

    def replay(self, *letters: DeadLetter, **options: Any) -> list[DeadLetter]:
        return replay(self.settings, self.publisher, letters, **options)

    def discard(self, *letters: DeadLetter, why: str = "not ours", **options: Any) -> list[DeadLetter]:
        return discard(self.settings, self.publisher, letters, why=why, **options)


@pytest.fixture
def box(kafka_broker: Broker | Existing, kafka_prefix: str, tmp_path: Path) -> Iterator[Box]:
    settings = load({}, home=tmp_path, kafka_brokers=kafka_broker.brokers, kafka_prefix=kafka_prefix)
    create_topics(settings, partitions=2)
    made = Box(settings)
    with closing(made.publisher):
        yield made


def test_the_latest_message_of_an_id_is_how_it_stands(box: Box) -> None:
    first, other = box.letter(1), box.letter(2)
    box.write(first, other, first.model_copy(update={"attempts": 3, "error": "later"}))
    found = read_box(box.settings)
    assert list(found) == [first.id, other.id]
    assert (found[first.id].attempts, found[first.id].error) == (3, "later")
    assert found[other.id] == other


def test_letters_come_in_the_order_of_their_times(box: Box) -> None:
    letters = [box.letter(offset) for offset in (5, 3, 9, 1, 7, 2)]
    box.write(*letters)
    assert list(read_box(box.settings)) == [f"{box.videos}:0:{offset}" for offset in (1, 2, 3, 5, 7, 9)]


def test_what_cannot_be_read_is_left_out_and_told(box: Box, caplog: pytest.LogCaptureFixture) -> None:
    good = box.letter(1)
    newer = good.to_bytes().replace(b'"version":1', b'"version":2').replace(b":0:1", b":0:2")
    bad = [Record(b"a", b"garbage"), Record(b"b", b"\xff\x00"), Record(b"c", b"[]"), Record(b"e", b"{}"), Record(b"d", newer)]
    box.publisher.publish(box.letters, bad)
    box.write(good)
    with caplog.at_level(logging.WARNING):
        assert list(read_box(box.settings)) == [good.id]
    assert [record.getMessage().count("is no dead letter") for record in caplog.records if record.name == "streams.dead_letter_box"] == [
        1
    ] * 5


def test_a_letter_deleted_with_a_null_is_gone_as_it_will_be_after_compaction(box: Box) -> None:
    first, second = box.waiting(2)
    box.publisher.publish(box.letters, [Record(first.id.encode(), None), Record(b"\xff", None)])
    assert list(read_box(box.settings)) == [second.id]


def test_letters_are_chosen_by_id_and_one_that_is_not_there_is_named(box: Box) -> None:
    first, second = box.waiting(2)
    found = read_box(box.settings)
    assert chosen(found, [second.id, first.id, second.id]) == [second, first]
    with pytest.raises(NotFound, match="Dead letter nothing: does not exist"):
        chosen(found, [first.id, "nothing"])


@pytest.mark.parametrize(("key", "value"), [(BINARY, BINARY), (None, b"x"), (b"k", None), (b"", b"")])
def test_a_replay_is_the_events_own_bytes_with_its_identity_and_then_it_is_marked(box: Box, key: bytes | None, value: bytes | None) -> None:
    letter = box.letter(7, value, key).model_copy(update={"attempts": 4})
    box.write(letter)
    assert box.replay(letter) == [letter]
    (event,) = box.events()
    assert (event.key, event.value) == (key, value)
    assert event.headers == {ORIGIN_HEADER: letter.id.encode(), ATTEMPTS_HEADER: b"4"}
    assert box.states() == {letter.id: ("replayed", 4)}
    assert content(read_box(box.settings)[letter.id]) == value
    assert read_box(box.settings)[letter.id].at > letter.at


def test_a_letter_that_failed_again_after_its_replay_waits_again_under_its_id(box: Box) -> None:
    letter = box.letter(7)
    box.write(letter)
    for round_ in (1, 2, 3):
        box.replay(*read_box(box.settings).values())
        box.write(box.failed(box.events()[-1]))
        assert box.states() == {letter.id: ("waiting", 1 + round_)}


class FailsAtOnce(Publisher):
    """A publisher beside which a worker puts every replayed event aside before `publish` returns."""

    def __init__(self, box: Box) -> None:
        super().__init__(box.settings)
        self._box = box

    def publish(self, topic: str, records: Any) -> list[tuple[int, int]]:
        places = super().publish(topic, records)
        if topic == self._box.videos:
            self._box.write(*(self._box.failed(event) for event in self._box.events()))
        return places


def test_a_replay_that_fails_before_it_is_marked_is_not_hidden_by_the_mark(box: Box) -> None:
    letter = box.letter(7)
    box.write(letter)
    with closing(FailsAtOnce(box)) as publisher:
        replay(box.settings, publisher, [letter])
    assert box.states() == {letter.id: ("waiting", 2)}
    last = list(read_topic(box.settings, box.letters))[-1]
    assert standing([last])[letter.id].state == "waiting"  # compaction may leave no more than this one


def test_a_replay_twice_is_one_unless_forced(box: Box) -> None:
    letter = box.letter(7)
    box.write(letter)
    box.replay(letter)
    (marked,) = read_box(box.settings).values()
    assert box.replay(marked) == []
    assert len(box.events()) == 1
    assert box.replay(marked, force=True) == [marked]
    assert len(box.events()) == 2


def test_more_letters_than_one_batch_are_all_replayed_and_marked(box: Box) -> None:
    letters = box.waiting(250)
    assert len(box.replay(*letters)) == 250
    assert {event.value for event in box.events()} == {str(number).encode() for number in range(250)}
    assert {state for state, _ in box.states().values()} == {"replayed"}


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("kind", ["truncated", "foreign", "empty"])
def test_where_one_cannot_be_replayed_nothing_is(box: Box, kind: str, force: bool) -> None:
    letter, says = {
        "truncated": (box.letter(3, b"x" * 300_000), "keeps only the beginning"),
        "foreign": (box.letter(3, topic="payments"), f"does not come from {box.videos}"),
        "empty": (box.letter(3, None, None), "without key and value"),
    }[kind]
    fine = box.waiting(2)
    box.write(letter)
    with pytest.raises(RequestRefused, match=says):
        box.replay(*fine, letter, force=force)
    assert box.events() == []
    assert {state for state, _ in box.states().values()} == {"waiting"}


def test_a_discarded_one_is_replayed_only_when_forced(box: Box) -> None:
    first, second = box.waiting(2)
    box.discard(first, why="a test of theirs")
    letters = list(read_box(box.settings).values())
    with pytest.raises(RequestRefused, match=r"was discarded \(a test of theirs\).*--force"):
        box.replay(*letters)
    assert box.events() == []
    assert len(box.replay(*letters, force=True)) == 2
    assert box.states() == {first.id: ("replayed", 1), second.id: ("replayed", 1)}
    assert read_box(box.settings)[first.id].note is None


@pytest.mark.parametrize("why", ["", "  \n"])
def test_discarding_needs_a_reason(box: Box, why: str) -> None:
    (letter,) = box.waiting(1)
    with pytest.raises(RequestRefused, match="needs a reason"):
        box.discard(letter, why=why)
    assert box.states() == {letter.id: ("waiting", 1)}


def test_a_discarded_letter_keeps_its_reason_and_its_content(box: Box) -> None:
    (letter,) = box.waiting(1)
    assert box.discard(letter, why=f"  {'é' * 1200}\udcff") == [letter]
    (kept,) = read_box(box.settings).values()
    assert (kept.state, kept.note, kept.value) == ("discarded", "é" * 1000, base64.b64encode(b"0").decode())
    assert box.discard(kept, why="again") == []
    assert read_box(box.settings)[letter.id].note == "é" * 1000


def test_one_that_may_be_at_work_is_discarded_only_when_forced(box: Box) -> None:
    first, second = box.waiting(2)
    box.replay(first)
    letters = list(read_box(box.settings).values())
    with pytest.raises(RequestRefused, match="may be at work now"):
        box.discard(*letters)
    assert box.states()[second.id] == ("waiting", 1)
    box.discard(*letters, force=True)
    assert {state for state, _ in box.states().values()} == {"discarded"}


def test_a_mark_that_comes_late_hides_nothing() -> None:
    event = Event(Place("sosie.videos", 0), 1, b"k", b"{}", 1.0)
    again = replace(event, offset=9, headers={ORIGIN_HEADER: b"sosie.videos:0:1", ATTEMPTS_HEADER: b"1"})
    first, newer = Box.failed(event), Box.failed(again)
    late = first.model_copy(update={"state": "discarded"})
    on_topic = [Event(Place("sosie.dead-letters", 0), n, b"k", each.to_bytes(), 1.0) for n, each in enumerate((first, newer, late))]
    assert standing(on_topic) == {first.id: newer}

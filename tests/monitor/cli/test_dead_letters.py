"""`sosie dead-letters`: what an operator gets, with a real broker and without one."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from monitor.base import settings
from monitor.base.errors import FetchRefused, MessageRefused
from streams.admin import create_topics
from streams.dead_letters import dead_letter
from streams.event import Event, Place
from streams.failures import Failure
from streams.messages import DeadLetter, VideoPosted
from streams.publisher import Publisher, Record
from streams.reading import read_topic
from tests.kafka import Broker, Existing
from tests.monitor.household import sosie

NOW = datetime.now(UTC)
BAD = MessageRefused("The message", "it is not JSON [bold]\x1b[31m", "Mend the producer")
GONE = FetchRefused("https://videos.example/1", "the server says 404", "Check the address")


class Desk:
    """The topics of a test, and letters on them as a worker writes them."""

    def __init__(self, publisher: Publisher, prefix: str) -> None:
        self.publisher = publisher
        self.prefix = prefix

    def put_aside(self, offset: int, value: bytes | None, error: Exception = BAD, *, partition: int = 0, hours_ago: int = 0) -> DeadLetter:
        event = Event(Place(f"{self.prefix}.videos", partition), offset, b"k", value, 1.0)
        letter = dead_letter(Failure(event, error, 1, NOW - timedelta(hours=hours_ago)))
        self.write(letter)
        return letter

    def write(self, letter: DeadLetter) -> None:
        self.publisher.publish(f"{self.prefix}.dead-letters", [Record(letter.id.encode(), letter.to_bytes())])

    def events(self) -> list[bytes | None]:
        return [event.value for event in read_topic(settings.load(), f"{self.prefix}.videos")]

    def show(self, value: bytes | None) -> str:
        return sosie("dead-letters", "show", self.put_aside(0, value).id).out


@pytest.fixture
def desk(kafka_broker: Broker | Existing, kafka_prefix: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setenv("SOSIE_KAFKA_BROKERS", kafka_broker.brokers)
    monkeypatch.setenv("SOSIE_KAFKA_PREFIX", kafka_prefix)
    create_topics(settings.load(), partitions=2)
    with closing(Publisher(settings.load())) as publisher:
        yield Desk(publisher, kafka_prefix)


def post(id: str) -> bytes:
    return VideoPosted(id=id, uri="https://videos.example/1").to_bytes()


@pytest.mark.kafka
def test_a_list_is_one_line_per_letter_the_oldest_first_and_how_many_of_each_reason(desk: Desk) -> None:
    young = desk.put_aside(1, b"garbage", hours_ago=0)
    old = desk.put_aside(2, post("p1"), GONE, hours_ago=72, partition=100)  # `:100:` is an emoji where nobody looks
    ran = sosie("dead-letters", "list")
    head, first, second, summary = ran.out.splitlines()
    assert ran.status == 0
    assert head.split() == ["Id", "Reason", "Tries", "State", "For", "Post", "Error"]
    assert first.split()[:7] == [old.id, "fetch_refused", "1", "waiting", "3", "d", "p1"]
    assert first.rstrip().endswith(str(GONE))
    assert second.split()[:4] == [young.id, "bad_message", "1", "waiting"]
    assert r"it is not JSON [bold]\x1b[31m" in second
    assert sorted(summary.partition(".")[0].split(", ")) == ["1 bad_message", "1 fetch_refused"]
    assert "sosie dead-letters show ID" in summary


@pytest.mark.kafka
def test_a_list_is_of_a_state_and_a_reason(desk: Desk) -> None:
    letters = [desk.put_aside(number, str(number).encode(), GONE if number else BAD, hours_ago=9 - number) for number in range(4)]
    sosie("dead-letters", "replay", letters[1].id)
    sosie("dead-letters", "discard", letters[2].id, "--why", "not ours")

    def ids(*options: str) -> list[str]:
        return [row["id"] for row in sosie("dead-letters", "list", "--json", *options).objects]

    assert ids() == [letters[0].id, letters[3].id]
    assert ids("--state", "replayed") == [letters[1].id]
    assert ids("--state", "discarded") == [letters[2].id]
    assert set(ids("--state", "all")) == {letter.id for letter in letters}
    assert ids("--reason", "fetch_refused") == [letters[3].id]
    assert set(ids("--state", "all", "--reason", "fetch_refused")) == {letter.id for letter in letters[1:]}
    assert ids("--reason", "nothing") == []
    assert sosie("dead-letters", "list", "--reason", "nothing").out.startswith("None of 4 dead letters is waiting for reason nothing.")


@pytest.mark.kafka
def test_a_row_of_json_has_all_but_the_content(desk: Desk) -> None:
    letter = desk.put_aside(1, post("p1"), GONE)
    (row,) = sosie("dead-letters", "list", "--json").objects
    assert row == letter.model_dump(mode="json", exclude={"key", "value", "note"})


@pytest.mark.kafka
def test_an_empty_box_is_said_to_be_empty(desk: Desk) -> None:
    assert sosie("dead-letters", "list").out == "There is no dead letter.\n"
    assert sosie("dead-letters", "list", "--json").out == ""
    ran = sosie("dead-letters", "replay", "--all")
    assert (ran.status, ran.out) == (0, "Nothing to replay: no such dead letter waits.\n")


@pytest.mark.kafka
def test_one_is_shown_with_all_that_is_known_and_its_text(desk: Desk) -> None:
    letter = desk.put_aside(7, post("p1"), GONE, partition=1)
    ran = sosie("dead-letters", "show", letter.id)
    assert ran.out.splitlines() == [
        letter.id,
        f"  waiting since {letter.at:%Y-%m-%d %H:%M:%S} UTC, after 1 try",
        f"  fetch_refused: {GONE}",
        f"  stood in {desk.prefix}.videos, partition 1, offset 7, written 1970-01-01 00:00:01 UTC",
        "  post p1",
        f"  its value, {len(post('p1'))} bytes of text:",
        post("p1").decode(),
    ]
    (whole,) = sosie("dead-letters", "show", letter.id, "--json").objects
    assert base64.b64decode(whole["value"]) == post("p1")


@pytest.mark.kafka
def test_text_is_shown_without_its_power_over_terminal_and_markup(desk: Desk) -> None:
    shown = desk.show("[bold red]x[/] [/] :100: \x1b[2J\r\x00\x9b\u202e\\ é\nnext\ttab".encode())
    assert r"[bold red]x[/] [/] :100: \x1b[2J\r\x00\x9b\u202e\ é" in shown.splitlines()
    assert r"next\ttab" in shown.splitlines()
    assert not {"\x1b", "\r", "\x00", "\x9b", "\u202e"} & set(shown)


@pytest.mark.kafka
def test_null_empty_and_binary_values_are_told_apart(desk: Desk) -> None:
    assert desk.show(None).endswith("  its value is null\n")
    assert desk.show(b"").endswith("  its value is empty\n")
    assert desk.show(b"\xff\x00\x10").endswith("  its value, 3 bytes of binary:\nff 00 10\n")
    assert "300 bytes of binary; the first 256 here, all with --json:" in desk.show(b"\xff" * 300)
    assert "2 bytes of binary:\n61 c3\n" in desk.show(b"a\xc3")  # whole, and no UTF-8


@pytest.mark.kafka
def test_of_long_text_the_beginning_is_shown_though_it_end_within_a_character(desk: Desk) -> None:
    shown = desk.show(b"a" + "é".encode() * 2000)
    assert "4001 bytes of text; the first 2000 here, all with --json:" in shown
    assert shown.rstrip().endswith("aé" + "é" * 998)
    kept = desk.show(b"a" + "é".encode() * 200_000)
    assert "4096 bytes of text, the beginning of a longer one; the first 2000 here, all with --json:" in kept


@pytest.mark.kafka
def test_what_a_hostile_letter_says_is_shown_without_power(desk: Desk) -> None:
    letter = desk.put_aside(1, b"x")
    origin = letter.origin.model_copy(update={"topic": "[bold]\x1b[2J"})
    desk.write(letter.model_copy(update={"origin": origin, "state": "discarded", "note": "[red]no\x07\nnew line"}))
    shown = sosie("dead-letters", "show", letter.id).out
    assert r"stood in [bold]\x1b[2J, partition 0" in shown
    assert r"after 1 try: [red]no\x07 new line" in shown


@pytest.mark.kafka
def test_an_id_that_is_not_there_is_named(desk: Desk) -> None:
    desk.put_aside(1, b"x")
    for command in (("show",), ("replay",), ("discard", "--why", "no")):
        ran = sosie("dead-letters", command[0], f"{desk.prefix}.videos:100:9", *command[1:])
        assert (ran.status, ran.out) == (1, "")
        assert f"Dead letter {desk.prefix}.videos:100:9: does not exist." in ran.err
        assert "sosie dead-letters list --state all" in ran.err


@pytest.mark.kafka
def test_replay_by_id_by_reason_and_all_sends_what_waits_and_only_once(desk: Desk) -> None:
    letters = [desk.put_aside(number, str(number).encode(), GONE if number > 1 else BAD) for number in range(4)]
    by_id = sosie("dead-letters", "replay", letters[0].id)
    assert by_id.out == "1 replayed. One that fails again comes back to `sosie dead-letters list`, under the same id.\n"
    again = sosie("dead-letters", "replay", letters[0].id)
    assert (again.status, again.out) == (0, "1 left out: replayed before, and perhaps at work now. To send again: --force.\n")
    assert desk.events() == [b"0"]
    assert sosie("dead-letters", "replay", "--reason", "fetch_refused").out.startswith("2 replayed.")
    assert sosie("dead-letters", "replay", "--all", "--yes").out.startswith("1 replayed.")
    assert sorted(desk.events(), key=str) == [b"0", b"1", b"2", b"3"]
    assert sosie("dead-letters", "list").out.startswith("None of 4 dead letters is waiting.")
    assert sosie("dead-letters", "replay", letters[0].id, "--force").out.startswith("1 replayed.")
    assert len(desk.events()) == 5


@pytest.mark.kafka
def test_where_one_cannot_be_replayed_none_is_and_it_is_named(desk: Desk) -> None:
    desk.put_aside(0, b"x")
    long = desk.put_aside(1, b"x" * 300_000)
    ran = sosie("dead-letters", "replay", "--all")
    assert (ran.status, ran.out) == (1, "")
    assert f"Dead letter {long.id}: keeps only the beginning of an event" in ran.err
    assert desk.events() == []


@pytest.mark.kafka
def test_discard_keeps_the_reason_and_does_not_overwrite_it(desk: Desk) -> None:
    letters = [desk.put_aside(number, b"x", GONE if number else BAD) for number in range(3)]
    assert sosie("dead-letters", "discard", letters[0].id, "--why", "a test of theirs").out == "1 discarded.\n"
    assert "after 1 try: a test of theirs" in sosie("dead-letters", "show", letters[0].id).out
    again = sosie("dead-letters", "discard", letters[0].id, "--why", "another")
    assert again.out == "1 left as it was: discarded before, with its reason.\n"
    refused = sosie("dead-letters", "replay", letters[0].id)
    assert (refused.status, refused.out) == (1, "")
    assert "was discarded (a test of theirs)" in refused.err
    assert sosie("dead-letters", "discard", "--reason", "fetch_refused", "--why", "gone for good").out == "2 discarded.\n"
    assert sosie("dead-letters", "discard", "--all", "--why", "x").out == "Nothing to discard: no such dead letter waits.\n"


@pytest.mark.kafka
def test_discard_refuses_a_reason_that_says_nothing(desk: Desk) -> None:
    letter = desk.put_aside(0, b"x")
    ran = sosie("dead-letters", "discard", letter.id, "--why", " ")
    assert (ran.status, ran.out) == (1, "")
    assert "Discarding: needs a reason." in ran.err


@pytest.mark.kafka
def test_without_topics_the_command_that_makes_them_is_named(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOSIE_KAFKA_PREFIX", f"{desk.prefix}-none")
    ran = sosie("dead-letters", "list")
    assert (ran.status, ran.out) == (1, "")
    assert "sosie topics create" in ran.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("replay",),
        ("replay", "a", "--all"),
        ("replay", "--all", "--reason", "internal"),
        ("discard", "--why", "x"),
        ("discard", "a"),
        ("list", "--state", "lost"),
        ("show",),
    ],
)
def test_misuse_is_told_before_anything_is_asked(home: Path, arguments: tuple[str, ...]) -> None:
    assert sosie("dead-letters", *arguments).status == 2


@pytest.mark.parametrize("arguments", [("list",), ("show", "a"), ("replay", "a"), ("discard", "a", "--why", "x")])
def test_without_brokers_the_setting_is_named(home: Path, arguments: tuple[str, ...]) -> None:
    ran = sosie("dead-letters", *arguments)
    assert (ran.status, ran.out) == (1, "")
    assert "SOSIE_KAFKA_BROKERS: is not set" in ran.err

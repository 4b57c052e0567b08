"""From a failure to the message that keeps it, whatever the event was."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.base.errors import FetchRefused, MessageRefused
from streams.dead_letters import HEAD_BYTES, KEPT_BYTES, attempts_before, dead_letter, origin_of
from streams.event import ATTEMPTS_HEADER, ORIGIN_HEADER, Event, Place
from streams.failures import failure_of
from streams.messages import DeadLetter, parse

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
TOPIC = "sosie.videos"
HERE = f"{TOPIC}:3:41"
REFUSED = MessageRefused("The message", "it is not JSON", "Mend the producer")


def event(
    value: bytes | None = b"{}", *, key: bytes | None = b"k", headers: Mapping[str, bytes] | None = None, timestamp_s: float = 1.5
) -> Event:
    return Event(Place(TOPIC, 3), 41, key, value, timestamp_s, headers or {})


def letter_of(of: Event, error: Exception = REFUSED, attempts: int = 1) -> DeadLetter:
    """Made, written and read again, as all that is made must be."""
    made = dead_letter(replace(failure_of(of, error, attempts), at=NOW))
    written = made.to_bytes()
    assert len(written) <= DeadLetter.LONGEST_BYTES
    assert parse(DeadLetter, written) == made
    return made


def content(letter: DeadLetter) -> tuple[bytes | None, bytes | None]:
    return tuple(None if each is None else base64.b64decode(each) for each in (letter.key, letter.value))  # type: ignore[return-value]


def test_a_letter_says_where_its_event_stood_why_it_failed_and_keeps_its_bytes() -> None:
    letter = letter_of(event(b'{"id": "p1"}', key=b"p1"), FetchRefused("https://a/", "404", "Check it"), attempts=2)
    assert (letter.id, letter.state, letter.reason, letter.attempts, letter.at) == (HERE, "waiting", "fetch_refused", 2, NOW)
    assert letter.error == str(FetchRefused("https://a/", "404", "Check it"))
    assert letter.origin.timestamp == datetime(1970, 1, 1, 0, 0, 1, 500_000, tzinfo=UTC)
    assert (letter.post_id, letter.truncated) == ("p1", False)
    assert content(letter) == (b"p1", b'{"id": "p1"}')


def test_a_bug_is_kept_without_its_text() -> None:
    letter = letter_of(event(), ValueError("somebody's name"))
    assert letter.reason == "quarantined"
    assert "somebody" not in letter.error
    assert "ValueError, a fault in Sosie itself" in letter.error


def test_a_replay_that_fails_keeps_its_identity_and_adds_its_attempts() -> None:
    first = f"{TOPIC}:0:7"
    letter = letter_of(event(headers={ORIGIN_HEADER: first.encode(), ATTEMPTS_HEADER: b"4"}), attempts=3)
    assert (letter.id, letter.origin.id, letter.attempts) == (first, first, 7)
    assert letter.origin.timestamp is None  # that of the replay would be a lie


def test_over_many_replays_the_identity_stays_and_the_attempts_are_the_sum() -> None:
    letter = letter_of(event(), attempts=1)
    for tries in (2, 3, 4):
        headers = {ORIGIN_HEADER: letter.id.encode(), ATTEMPTS_HEADER: str(letter.attempts).encode()}
        again = Event(Place(TOPIC, 5), 900 + tries, b"k", b"{}", 2.0, headers)
        letter = letter_of(again, attempts=tries)
    assert (letter.id, letter.attempts) == (HERE, 1 + 2 + 3 + 4)


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"garbage",
        b"\xff\xfe\x00",
        b"sosie.videos:1",
        b"sosie.videos:1:2:3",
        b"sosie.videos:-1:2",
        b"sosie.videos:1:2\n",
        b"sosie.videos:1:" + b"9" * 20,
        b"sosie.videos:" + b"9" * 11 + b":1",
        "sosie.videos:1:٣".encode(),
        b"other.topic:1:2",
        b"a" * 250 + b":1:2",
    ],
    ids=lambda header: ascii(header[:20]),
)
def test_a_header_that_is_no_place_of_this_topic_is_not_believed(header: bytes) -> None:
    of = event(headers={ORIGIN_HEADER: header})
    assert origin_of(of).id == HERE
    assert letter_of(of).id == HERE


@pytest.mark.parametrize(
    "header", [b"", b"-1", b"1.5", b"many", b"\xff", "٣".encode(), b"9" * 5000, b" 1", b"1\n"], ids=lambda header: ascii(header[:9])
)
def test_attempts_that_are_no_number_count_as_none(header: bytes) -> None:
    of = event(headers={ATTEMPTS_HEADER: header})
    assert attempts_before(of) == 0
    assert letter_of(of, attempts=2).attempts == 2


def test_attempts_that_cannot_be_are_bounded() -> None:
    assert attempts_before(event(headers={ATTEMPTS_HEADER: b"999999999"})) == 1_000_000


@pytest.mark.parametrize("timestamp_s", [-1.0, -0.001, 9.2e15, float("inf"), float("nan")])
def test_a_time_that_is_none_does_not_lose_the_letter(timestamp_s: float) -> None:
    letter = letter_of(event(timestamp_s=timestamp_s))
    assert letter.id == HERE
    assert letter.origin.timestamp is None


def test_of_a_value_too_long_the_head_is_kept() -> None:
    value = json.dumps({"id": "p1", "caption": "x" * 5_000_000}).encode()
    letter = letter_of(event(value))
    assert (letter.truncated, letter.post_id) == (True, None)
    assert content(letter) == (b"k", value[:HEAD_BYTES])


def test_a_value_of_just_the_longest_length_is_kept_whole_beside_the_longest_key_and_error() -> None:
    error = MessageRefused("The message", "\x01" * 5000, "Mend it")
    value, key = b"\xff" * KEPT_BYTES, b"\x00" * HEAD_BYTES
    letter = letter_of(event(value, key=key), error)
    assert (letter.truncated, len(letter.error)) == (False, 4000)
    assert content(letter) == (key, value)
    assert letter_of(event(value + b"\xff", key=key), error).truncated


def test_of_a_key_too_long_the_head_is_kept_and_the_letter_says_so() -> None:
    letter = letter_of(event(b'{"id": "p1"}', key=b"k" * (HEAD_BYTES + 1)))
    assert letter.truncated
    assert content(letter) == (b"k" * HEAD_BYTES, b'{"id": "p1"}')


@pytest.mark.parametrize(("key", "value"), [(None, None), (b"", b""), (b"k", None), (None, b"{}"), (b"\xff\x00\x80", bytes(range(256)))])
def test_null_empty_and_binary_keys_and_values_stay_what_they_are(key: bytes | None, value: bytes | None) -> None:
    letter = letter_of(event(value, key=key))
    assert content(letter) == (key, value)
    assert (letter.post_id, letter.truncated) == (None, False)


@pytest.mark.parametrize(
    "value",
    [
        b"[" * 200_000,
        b'{"id":' * 40_000,
        b'{"id": ' + b"9" * 10_000 + b"}",
        b'{"id": "a b"}',
        b'{"id": "a\\n"}',
        b'{"id": "' + b"a" * 201 + b'"}',
        b'{"id": ""}',
        b'{"id": "\\ud800"}',
        b'{"id": ["p1"]}',
        b'["id"]',
        b'"id"',
        b"null",
        b"NaN",
        b"\xff\xfe{\x00",
        b"\x00" * 100,
    ],
    ids=lambda value: ascii(value[:12]),
)
def test_a_post_that_cannot_be_told_is_not_told(value: bytes) -> None:
    assert letter_of(event(value)).post_id is None


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.just("id") | st.text(), inner),
)


@given(_JSON)
def test_a_letter_is_made_of_any_json(read: Any) -> None:
    letter = letter_of(event(json.dumps(read).encode()))
    assert letter.post_id is None or (isinstance(read, dict) and read["id"] == letter.post_id)


@given(
    st.none() | st.binary(max_size=300),
    st.none() | st.binary(max_size=300),
    st.dictionaries(st.sampled_from([ORIGIN_HEADER, ATTEMPTS_HEADER, "other"]), st.binary(max_size=60)),
    st.floats(),
    st.text(st.characters(exclude_categories=()), max_size=6000),
)
def test_a_letter_is_made_of_any_bytes(
    key: bytes | None, value: bytes | None, headers: Mapping[str, bytes], timestamp_s: float, reason: str
) -> None:
    letter = letter_of(event(value, key=key, headers=headers, timestamp_s=timestamp_s), MessageRefused("The message", reason, "Mend it"))
    assert content(letter) == (key, value)


def test_an_error_of_any_length_is_cut_and_of_any_encoding_is_kept() -> None:
    letter = letter_of(event(), MessageRefused("file-\udcff.mp4", "é" * 9000, "Mend it"))
    assert len(letter.error) == 4000
    assert letter.error.startswith("file-?.mp4: ééé")

"""The published messages stay readable, the documentation shows them, and whatever else arrives is refused without being repeated."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.base.errors import MessageRefused, UnknownVersion
from streams.messages import MAX_BYTES, CaseChanged, DeadLetter, Message, Origin, VideoPosted, parse
from tools import message_schemas
from tools.message_schemas import FOLDER, KINDS, schema, stem

PUBLISHED = {name: digest for digest, name in (line.split() for line in (FOLDER / "published.sha256").read_text().splitlines())}
DOCUMENTATION = FOLDER.with_suffix(".md").read_text(encoding="utf-8")
SECRET = "sesame-opens"


def kind_of(name: str) -> type[Message]:
    return next(kind for kind in KINDS if name.startswith(stem(kind).partition(".")[0]))


def example(name: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((FOLDER / name).read_bytes())
    return read


def message(kind: type[Message], **changed: Any) -> bytes:
    """The fullest published example, changed."""
    return json.dumps(max((example(name) for name in PUBLISHED if kind_of(name) is kind), key=len) | changed).encode()


# Published examples


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_example_is_as_it_was_published_and_is_read_today(name: str) -> None:
    written = (FOLDER / name).read_bytes()
    assert hashlib.sha256(written).hexdigest() == PUBLISHED[name], f"{name} was edited: add a new example instead"
    read = parse(kind_of(name), written)
    kept = json.loads(read.to_bytes())
    assert {key: value for key, value in example(name).items() if kept.get(key) != value} == {}


def test_every_example_is_listed_as_published() -> None:
    assert {file.name for file in FOLDER.glob("*.json") if not file.name.endswith(".schema.json")} == set(PUBLISHED)


@pytest.mark.parametrize("kind", KINDS)
def test_every_message_type_has_an_example_with_every_field_and_one_with_the_required_ones_alone(kind: type[Message]) -> None:
    shown = [set(example(name)) for name in PUBLISHED if kind_of(name) is kind]
    assert set(kind.model_fields) in shown
    assert {"type", "version"} | {name for name, field in kind.model_fields.items() if field.is_required()} in shown


def test_every_change_and_every_state_has_an_example() -> None:
    changes = {example(name)["change"] for name in PUBLISHED if kind_of(name) is CaseChanged}
    states = {example(name)["state"] for name in PUBLISHED if kind_of(name) is DeadLetter and "state" in example(name)}
    assert changes == {"opened", "joined", "decided", "reopened"}
    assert states == {"waiting", "replayed", "discarded"}


# Documentation


def test_the_documentation_shows_every_example_as_it_is() -> None:
    shown = re.findall(r"\[`messages/(.+?)`\]\(messages/\1\)\n\n```json\n(.*?)```", DOCUMENTATION, re.DOTALL)
    assert len(shown) == DOCUMENTATION.count("```json")
    assert dict(shown) == {name: (FOLDER / name).read_text(encoding="utf-8") for name in PUBLISHED}


@pytest.mark.parametrize("kind", KINDS)
def test_the_documentation_has_a_row_for_every_field(kind: type[Message]) -> None:
    section = DOCUMENTATION.split(f"\n## `{kind.TYPE}`\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| .+? \| (yes|no).*? \| \d+ \|", section, re.MULTILINE)
    required = {"type", "version"} | {name for name, field in kind.model_fields.items() if field.is_required()}
    assert dict(rows) == {name: "yes" if name in required else "no" for name in kind.model_fields}


@pytest.mark.parametrize("kind", KINDS)
def test_the_schema_is_the_one_of_the_model(kind: type[Message]) -> None:
    written = (FOLDER / f"{stem(kind)}.schema.json").read_text(encoding="utf-8")
    assert written == schema(kind), "run python -m tools.message_schemas, and ask whether this needs a new version"


def test_the_tool_writes_the_schemas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(message_schemas, "FOLDER", tmp_path)
    message_schemas.main()
    assert {file.name for file in tmp_path.iterdir()} == {f"{stem(kind)}.schema.json" for kind in KINDS}


# What is taken


@pytest.mark.parametrize("kind", KINDS)
def test_a_field_that_a_newer_producer_added_is_ignored(kind: type[Message]) -> None:
    assert parse(kind, message(kind, added_later={"deep": [1, None]})) == parse(kind, message(kind))


def test_what_was_written_is_read_again_as_it_was() -> None:
    moment = datetime(2026, 7, 1, 12, 0, 0, 123456, UTC)
    origin = Origin(topic="sosie.videos", partition=0, offset=7, timestamp=moment)
    letter = DeadLetter(id=origin.id, origin=origin, reason="bug", error="été \u2028 \x00", attempts=1, at=moment, value="AAAA")
    assert parse(DeadLetter, letter.to_bytes()) == letter
    assert b"\n" not in letter.to_bytes()


def test_a_time_is_an_instant_whatever_its_offset() -> None:
    read = parse(VideoPosted, message(VideoPosted, posted_at="2026-07-01t20:22:05.5+02:00"))
    assert read.posted_at == datetime(2026, 7, 1, 18, 22, 5, 500_000, UTC)
    assert b'"2026-07-01T18:22:05.500000Z"' in read.to_bytes()


def test_a_dead_letter_holds_the_longest_event_there_may_be() -> None:
    longest = message(DeadLetter, value="A" * (4 * (MAX_BYTES // 3 + 1)), error="e" * 4000)
    assert len(longest) > MAX_BYTES
    assert parse(DeadLetter, longest).value


def test_an_error_that_names_a_file_of_no_encoding_still_makes_a_dead_letter() -> None:
    origin = Origin(topic="a" * 249, partition=0, offset=2**63 - 1)
    letter = DeadLetter(id=origin.id, origin=origin, reason="not_found", error="\udcff.mp4", attempts=1, at=datetime.now(UTC))
    assert parse(DeadLetter, letter.to_bytes()).error == "?.mp4"


# What is refused


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "it is null"),
        (b"", "not JSON"),
        (b"\x00", "not JSON"),
        (b"plainly not JSON", "not JSON"),
        (b'{"type":', "not JSON"),
        (b'{"a":"\xff"}', "not JSON"),
        ('{"a":"\N{BYTE ORDER MARK}"}'.encode("utf-16"), "not JSON"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        (b'{"a":"\\ud800"}', "not JSON"),
        (b'{"a":NaN}', "not JSON"),
        (b'{"a":' + b"9" * 5000 + b"}", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"a":' * 20_000, "not JSON"),
        (b" " * (MAX_BYTES + 1), "262145 bytes, 262144 are allowed"),
        (b"null", "a JSON null"),
        (b"[]", "a JSON array"),
        (b'"sosie.video_posted"', "a JSON string"),
        (b"17", "a JSON number"),
        (b"true", "a JSON boolean"),
    ],
)
def test_what_is_no_object_is_refused_with_the_reason(value: bytes | None, reason: str) -> None:
    with pytest.raises(MessageRefused, match=reason) as caught:
        parse(VideoPosted, value)
    assert not isinstance(caught.value, UnknownVersion)
    assert "docs/messages.md" in caught.value.next_step


@pytest.mark.parametrize(
    "changed",
    [
        {"version": 2},
        {"version": 0},
        {"version": True},
        {"version": 1.0},
        {"version": "1"},
        {"version": None},
        {"version": SECRET},
        {"version": 10**30},
        {"type": "sosie.case_changed"},
        {"type": SECRET},
        {"type": {"type": SECRET}},
        {"type": None},
        {"type": [SECRET] * 1000},
    ],
)
def test_another_type_or_version_is_told_apart(changed: dict[str, Any]) -> None:
    with pytest.raises(UnknownVersion, match=r"this Sosie reads sosie\.video_posted version 1") as caught:
        parse(VideoPosted, message(VideoPosted, **changed))
    assert SECRET not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_a_message_that_says_neither_type_nor_version_is_unknown() -> None:
    bare = {name: value for name, value in json.loads(message(VideoPosted)).items() if name not in ("type", "version")}
    with pytest.raises(UnknownVersion, match="no type of ours and no version"):
        parse(VideoPosted, json.dumps(bare).encode())


WRONG = [
    (VideoPosted, "id", [None, 7, "", "with space", f"{SECRET}/", "a\n", "x" * 201, "\x00", [SECRET], {"a": SECRET}]),
    (VideoPosted, "uri", [None, "", SECRET, f"//{SECRET}", f"HTTPS://{SECRET}", f"https://{SECRET} b", f"https://{SECRET}\n", 7]),
    (VideoPosted, "uri", ["https://" + "x" * 8192]),
    (VideoPosted, "platform", ["", "x" * 501, f"{SECRET}\x00", 7, True, [SECRET]]),
    (VideoPosted, "account", ["", f"{SECRET}\x00", {"name": SECRET}]),
    (VideoPosted, "caption", ["x" * 20_001, f"\x00{SECRET}", 7]),
    (VideoPosted, "views", [-1, 2**63, 1.5, 2.0, "12", True, SECRET]),
    (VideoPosted, "posted_at", [SECRET, "2026-07-01T12:00:00", "2026-07-01", 1782907200, "1782907200", True, "2026-13-01T00:00:00Z"]),
    (
        VideoPosted,
        "posted_at",
        ["0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00", "2026-07-01T12:00:00+99:00", "٢٠٢٦-07-01T12:00:00Z"],
    ),
    (CaseChanged, "sequence", [0, "1", 1.5, None]),
    (CaseChanged, "change", ["exploded", SECRET, None, 1]),
    (CaseChanged, "state", [SECRET, "Open"]),
    (CaseChanged, "risk", [-0.1, 1.1, "0.5", True, SECRET]),
    (CaseChanged, "video_sha256", [SECRET, "A" * 64, "a" * 63]),
    (CaseChanged, "at", [None, SECRET]),
    (DeadLetter, "id", [SECRET, "a:b:1", "a:1"]),
    (
        DeadLetter,
        "origin",
        [None, SECRET, {}, {"topic": SECRET, "partition": -1, "offset": 0}, {"topic": "t", "partition": 0, "offset": SECRET}],
    ),
    (DeadLetter, "reason", ["", "Bad!", SECRET]),
    (DeadLetter, "attempts", [0, "1"]),
    (DeadLetter, "value", [f"{SECRET}!", "AAA", "A===", "AAAA\n"]),
    (DeadLetter, "truncated", [0, "false", SECRET]),
    (DeadLetter, "note", ["x" * 1001]),
]


@pytest.mark.parametrize(("kind", "field", "value"), [(kind, field, value) for kind, field, values in WRONG for value in values])
def test_a_wrong_field_is_named_and_its_value_is_not(kind: type[Message], field: str, value: Any) -> None:
    with pytest.raises(MessageRefused, match=field) as caught:
        parse(kind, message(kind, **{field: value}))
    assert SECRET not in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_field_is_named(kind: type[Message]) -> None:
    required = [name for name, field in kind.model_fields.items() if field.is_required()]
    assert required
    for name in required:
        without = {key: value for key, value in json.loads(message(kind)).items() if key != name}
        with pytest.raises(MessageRefused, match=f"{name}: Field required"):
            parse(kind, json.dumps(without).encode())


def test_of_many_faults_three_are_told_and_the_rest_counted() -> None:
    with pytest.raises(MessageRefused, match="and 2 more"):
        parse(VideoPosted, message(VideoPosted, id=1, uri=1, platform=1, account=1, caption=1))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(list(VideoPosted.model_fields)), inner),
    max_leaves=10,
)


def _refused_or_read(kind: type[Message], value: bytes) -> None:
    try:
        read = parse(kind, value)
    except MessageRefused:
        return
    assert parse(kind, read.to_bytes()) == read


@given(kind=st.sampled_from(KINDS), value=st.binary(max_size=500))
def test_arbitrary_bytes_are_refused_and_raise_nothing_else(kind: type[Message], value: bytes) -> None:
    _refused_or_read(kind, value)


@given(kind=st.sampled_from(KINDS), value=JSON)
def test_arbitrary_json_is_refused_and_raises_nothing_else(kind: type[Message], value: Any) -> None:
    _refused_or_read(kind, json.dumps(value).encode())


@given(kind=st.sampled_from(KINDS), data=st.data(), value=JSON)
def test_an_arbitrary_value_of_any_field_is_read_or_refused(kind: type[Message], data: st.DataObject, value: Any) -> None:
    _refused_or_read(kind, message(kind, **{data.draw(st.sampled_from(list(kind.model_fields))): value}))

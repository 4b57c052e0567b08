"""From addresses and lines to posts: strict, whole or not at all, in bounded memory."""

from __future__ import annotations

import hashlib
import io
import json
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.base.errors import MessageRefused, NotFound, StorageFull
from streams.messages import MAX_BYTES, VideoPosted, parse
from streams.submission import TOLD_AT_MOST, CheckedPost, Faults, Posts, check_addresses, check_lines, derived_id, ids_of_file

URI = "https://videos.example/1.mp4"


def lines(*written: dict[str, Any] | bytes, **known: Any) -> tuple[list[CheckedPost], list[str], int]:
    """The posts of a file, its faults, and how many posts came more than once."""
    raw = b"\n".join(line if isinstance(line, bytes) else json.dumps(line).encode() for line in written)
    faults = Faults()
    with Posts() as posts:
        check_lines(io.BytesIO(raw), "posts.ndjson", known, posts, faults)
        return list(posts), [str(fault) for fault in faults.first], posts.repeated


def addresses(*given: str, **known: Any) -> tuple[list[CheckedPost], Faults]:
    faults = Faults()
    with Posts() as posts:
        check_addresses(given, known, posts, faults)
        return list(posts), faults


def message(post: CheckedPost) -> VideoPosted:
    return parse(VideoPosted, post.message)


def test_a_line_has_the_fields_of_a_post_and_options_are_defaults_for_those_it_has_not() -> None:
    moment = datetime(2026, 7, 1, tzinfo=UTC)
    full = {"type": "sosie.video_posted", "version": 1, "id": "a", "uri": URI, "account": "@own", "posted_at": "2026-07-02T00:00:00+02:00"}
    posts, faults, _ = lines(full, {"uri": URI, "id": "b", "account": None}, platform="p", account="@default", posted_at=moment, views=3)
    assert faults == []
    first, second = map(message, posts)
    assert (first.platform, first.account, first.posted_at, first.views) == ("p", "@own", datetime(2026, 7, 1, 22, tzinfo=UTC), 3)
    assert (second.platform, second.account, second.posted_at) == ("p", None, moment)


def test_a_territory_is_written_the_one_way() -> None:
    posts, faults, _ = lines({"uri": URI}, {"uri": f"{URI}?b", "territory": "de"}, {"uri": f"{URI}?c", "territory": "001"}, territory="uk")
    assert (faults, [message(post).territory for post in posts]) == ([], ["GB", "DE", "001"])


def test_blank_lines_a_byte_order_mark_windows_line_ends_and_a_missing_last_line_end_are_no_faults() -> None:
    line = json.dumps({"uri": URI}).encode()
    posts, faults, repeated = lines(b"\xef\xbb\xbf" + line + b"\r", b"", b"  \t\r", json.dumps({"uri": f"{URI}?2"}).encode())
    assert (len(posts), faults, repeated) == (2, [], 0)


def test_the_identity_is_derived_from_platform_and_address_as_documented() -> None:
    posts, _, _ = lines({"uri": URI}, {"uri": URI, "platform": "p"}, {"uri": URI, "platform": "p", "id": "own"})
    wanted = [hashlib.sha256(text.encode()).hexdigest()[:32] for text in (f"\n{URI}", f"p\n{URI}")]
    assert [post.id for post in posts] == [*wanted, "own"]
    assert derived_id(None, URI) == wanted[0]


def test_equal_lines_are_one_post_and_the_same_id_with_other_content_is_refused_with_both_lines() -> None:
    posts, faults, repeated = lines({"uri": URI}, {"uri": URI, "views": None}, b"", {"uri": URI, "views": 1}, {"uri": f"{URI}?b"})
    assert [post.uri for post in posts] == [URI, f"{URI}?b"]
    assert repeated == 1
    (fault,) = faults
    assert fault.startswith("posts.ndjson:4: its id is that of posts.ndjson:1, with other content.")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (b"{", "not JSON"),
        (b"[]", "no JSON object"),
        (b'"text"', "no JSON object"),
        (b"null", "no JSON object"),
        (b"{} {}", "not JSON"),
        (b'{"views":NaN}', "not JSON"),
        (b'{"views":' + b"9" * 5000 + b"}", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"uri":"https://x/\xff"}', "not UTF-8"),
        ('{"uri":"https://x/"}'.encode("utf-16"), "not UTF-8"),
        (b'{"uri":"https://x/\\ud800"}', "posts.ndjson:1:"),
        (b'{"platform":"\\ud800","uri":"https://x/"}', "posts.ndjson:1:"),
        (b'{"uri":"https://a/","uri":"https://b/"}', "has 'uri' twice"),
        (b'{"uri":"https://a/","acount":"x"}', "'acount' is no field of a post. Did you mean account?"),
        (b'{"uri":"https://a/","x":1}', "'x' is no field of a post. docs/messages.md"),
        (b'{"uri":"https://a/","' + b"x" * 1000 + b'":1}', "no field of a post"),
        (b'{"uri":"https://a/","version":2}', "its version is not 1"),
        (b'{"uri":"https://a/","version":true}', "its version is not 1"),
        (b'{"uri":"https://a/","type":"sosie.case_changed"}', 'its type is not "sosie.video_posted"'),
        (b"{}", "uri: Field required"),
        (b'{"uri":null}', "uri: Input should be a valid string"),
        (b'{"uri":7}', "uri: Input should be a valid string"),
        (b'{"uri":""}', "the uri is"),
        (b'{"uri":"https://a/","id":7}', "id: Input should be a valid string"),
        (b'{"uri":"https://a/","id":"a b"}', "id: String should match pattern"),
        (b'{"uri":"https://a/","views":"12"}', "views: Input should be a valid integer"),
        (b'{"uri":"https://a/","views":-1}', "views: Input should be greater than or equal to 0"),
        (b'{"uri":"https://a/","platform":"a\\u0000"}', "platform: String should match pattern"),
        (b'{"uri":"https://a/","posted_at":"2026-07-01T12:00:00"}', "posted_at: no time with its offset"),
        (b'{"uri":"https://a/","caption":"' + b"x" * MAX_BYTES + b'"}', f"more than {MAX_BYTES} bytes"),
        (b'{"uri":"https://a b/"}', "uri: String should match pattern"),
        (b'{"uri":"ftp://a/"}', "the scheme of the uri is 'ftp'"),
        (b'{"uri":"https://a/","territory":"XX"}', "names the territory 'XX', which is no code Sosie knows"),
        (b'{"uri":"https://a/","territory":"' + b"x" * 1000 + b'"}', "which is no code Sosie knows"),
        (b'{"uri":"https:///a"}', "the uri is not whole"),
        (b'{"uri":"file://host/a"}', "the uri is not whole"),
        (b'{"uri":"missing.mp4"}', "no file that exists"),
        (b'{"uri":"a\\u0000b"}', "no file that exists"),
        (b'{"uri":"' + b"x" * 5000 + b'"}', "no file that exists"),
        (b'{"uri":"/"}', "the uri is a folder"),
    ],
)
def test_a_line_that_cannot_be_used_is_named_with_the_reason(line: bytes, told: str) -> None:
    posts, faults, _ = lines(line, {"uri": URI})
    assert [post.uri for post in posts] == [URI]
    (fault,) = faults
    assert fault.startswith("posts.ndjson:1: ")
    assert told in fault
    assert len(fault) < 400


def test_of_many_faults_the_first_are_kept_and_all_are_counted() -> None:
    faults = Faults()
    with Posts() as posts:
        check_lines(io.BytesIO(b"{\n" * 1000), "posts.ndjson", {}, posts, faults)
    assert faults.count == 1000
    assert [fault.thing for fault in faults.first] == [f"posts.ndjson:{number + 1}" for number in range(TOLD_AT_MOST)]


class Endless(io.RawIOBase):
    """One line of 64 MiB, then a good one, made while they are read."""

    def __init__(self) -> None:
        self._left = 64 * 1024**2
        self._end = f'\n{{"uri":"{URI}"}}\n'.encode()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._left:
            count = min(self._left, len(buffer))
            buffer[:count] = b"x" * count
            self._left -= count
            return count
        chunk, self._end = self._end[: len(buffer)], self._end[len(buffer) :]
        buffer[: len(chunk)] = chunk
        return len(chunk)


def test_a_line_that_is_too_long_is_never_held_whole() -> None:
    faults = Faults()
    tracemalloc.start()
    with Posts() as posts:
        check_lines(io.BufferedReader(Endless()), "stdin", {}, posts, faults)
        assert [post.uri for post in posts] == [URI]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [fault.thing for fault in faults.first] == ["stdin:1"]
    assert peak < 8 * 1024**2


def test_the_longest_line_there_may_be_is_judged_by_its_content() -> None:
    padded = b'{"uri":"https://a/"}'.ljust(MAX_BYTES)
    posts, faults, _ = lines(padded + b"\r", padded + b" \r")
    assert len(posts) == 1
    assert [f"more than {MAX_BYTES} bytes" in fault for fault in faults] == [True]


def test_a_path_becomes_an_address_and_a_file_that_is_missing_is_not_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "été 1.mp4").touch()
    monkeypatch.chdir(tmp_path)
    posts, faults = addresses("été 1.mp4", str(tmp_path / "été 1.mp4"), "missing.mp4", ".", account="@a")
    assert [post.uri for post in posts] == [f"file://{tmp_path}/%C3%A9t%C3%A9%201.mp4"]
    assert message(posts[0]).account == "@a"
    assert [type(fault) for fault in faults.first] == [NotFound, MessageRefused]


def test_an_address_is_taken_as_it_is_but_for_the_case_of_its_scheme_and_an_error_hides_its_query() -> None:
    posts, faults = addresses("HTTPS://Videos.example/A?b=C", "https://videos.example/a b?token=secret")
    assert [post.uri for post in posts] == ["https://Videos.example/A?b=C"]
    (fault,) = faults.first
    assert fault.thing == "https://videos.example/a b"
    assert "secret" not in str(fault)


def test_the_ids_of_a_file_are_those_that_are_submitted(tmp_path: Path) -> None:
    file = tmp_path / "posts.ndjson"
    file.write_text(f'{{"uri":"{URI}"}}\n{{"uri":"{URI}","id":"own"}}\n')
    assert ids_of_file(str(file), "p") == [derived_id("p", URI), "own"]
    file.write_text("{}\n")
    with pytest.raises(MessageRefused, match=r"posts\.ndjson:1: uri"):
        ids_of_file(str(file))
    with pytest.raises(NotFound, match="No such file"):
        ids_of_file(str(tmp_path / "missing"))


def test_a_full_temporary_folder_is_told() -> None:
    with Posts() as posts:
        posts._kept.execute("PRAGMA max_page_count = 8")
        with pytest.raises(StorageFull, match="full"):
            check_lines(io.BytesIO(b"".join(b'{"uri":"https://a/%d"}\n' % n for n in range(1000))), "stdin", {}, posts, Faults())


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_told_as_faults_and_raise_nothing(raw: bytes) -> None:
    posts, faults, repeated = lines(raw)
    told = raw.replace(b"\r\n", b"\n").removeprefix(b"\xef\xbb\xbf").split(b"\n")
    assert len(posts) + len(faults) + repeated == sum(bool(line.strip()) for line in told)


@given(
    st.dictionaries(st.sampled_from(list(VideoPosted.model_fields)), st.none() | st.booleans() | st.integers() | st.floats() | st.text())
)
def test_arbitrary_fields_are_told_as_faults_or_make_a_message_that_workers_read(fields: dict[str, Any]) -> None:
    posts, faults, _ = lines({"uri": URI} | fields)
    assert len(posts) + len(faults) == 1
    for post in posts:
        assert message(post).id == post.id

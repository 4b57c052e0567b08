"""`sosie submit`: what an operator gets, with a real broker and without one."""

from __future__ import annotations

import io
import json
import signal
import socket
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from monitor.base import settings
from streams.admin import create_topics
from streams.messages import VideoPosted, parse
from streams.reading import read_topic
from tests.kafka import Broker, Existing
from tests.monitor.household import finished, script, sosie

URI = "https://videos.example/1.mp4"


@pytest.fixture
def prefix(kafka_broker: Broker | Existing, kafka_prefix: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The shared broker, set as an operator sets it, without topics."""
    monkeypatch.setenv("SOSIE_KAFKA_BROKERS", kafka_broker.brokers)
    monkeypatch.setenv("SOSIE_KAFKA_PREFIX", kafka_prefix)
    return kafka_prefix


@pytest.fixture
def topic(prefix: str) -> str:
    create_topics(settings.load(), partitions=2)
    return f"{prefix}.videos"


def arrived(topic: str) -> list[VideoPosted]:
    return [parse(VideoPosted, event.value) for event in read_topic(settings.load(), topic)]


def ndjson(path: Path, posts: Iterable[dict[str, Any]]) -> Path:
    path.write_text("".join(f"{json.dumps(post)}\n" for post in posts), encoding="utf-8")
    return path


@pytest.mark.kafka
def test_addresses_and_files_arrive_with_the_options_and_again_are_the_same_posts(topic: str, tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    clip.touch()
    given = ["--platform", "vidhub", "--account", "@a", "--posted-at", "2026-07-01T12:00:00", "--caption", "été", "--views", "7"]
    ran = sosie("submit", URI, clip, *given)
    assert (ran.status, ran.out) == (0, f"2 posts were submitted to {topic}.\n")
    assert "SOSIE_WORKER_FILES" in ran.err
    assert sosie("submit", URI, clip, *given).status == 0
    posts = arrived(topic)
    assert {post.uri for post in posts} == {URI, clip.as_uri()}
    assert (len(posts), len({post.id for post in posts})) == (4, 2)
    assert {(post.platform, post.account, str(post.posted_at), post.caption, post.views) for post in posts} == {
        ("vidhub", "@a", "2026-07-01 12:00:00+00:00", "été", 7)
    }


@pytest.mark.kafka
def test_lines_of_a_file_and_of_standard_input_arrive(topic: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = ndjson(tmp_path / "posts.ndjson", [{"uri": f"{URI}?{number}", "account": "@own"} for number in range(30)] * 2)
    ran = sosie("submit", "--from", file, "--account", "@default", "--json")
    assert ran.status == 0
    assert {row["uri"] for row in ran.objects} == {f"{URI}?{number}" for number in range(30)}
    assert "30 posts came more than once" in ran.err
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"id":"own","uri":"https://videos.example/piped"}')))
    assert sosie("submit", "--from", "-", "--json").objects == [{"id": "own", "uri": "https://videos.example/piped"}]
    posts = arrived(topic)
    assert {post.id for post in posts} == {"own", *(row["id"] for row in ran.objects)}
    assert {post.account for post in posts} == {"@own", None}


@pytest.mark.kafka
def test_one_bad_line_and_nothing_is_sent(topic: str, tmp_path: Path) -> None:
    file = tmp_path / "posts.ndjson"
    file.write_bytes(
        b'{"uri":"https://a/"}\n{"uri":"https://b/","acount":"@a"}\n{"uri":"https://c/\xff"}\n{"uri":"https://a/","views":1}\n'
    )
    ran = sosie("submit", "--from", file)
    assert (ran.status, ran.out) == (1, "")
    assert f"{file}:2: 'acount' is no field of a post. Did you mean account?" in ran.err
    assert f"{file}:3: it is not UTF-8." in ran.err
    assert f"{file}:4: its id is that of {file}:1, with other content." in ran.err
    assert "3 of 4 posts cannot be used; nothing was sent." in ran.err
    assert arrived(topic) == []


@pytest.mark.kafka
def test_an_interruption_says_how_many_were_confirmed_and_again_is_safe(topic: str, tmp_path: Path) -> None:
    wanted = 6000
    file = ndjson(tmp_path / "posts.ndjson", ({"uri": f"{URI}?{number}"} for number in range(wanted)))
    process = script("submit", "--from", file, "--json")
    assert process.stdout is not None
    first = process.stdout.readline()  # the first batch was confirmed
    process.send_signal(signal.SIGINT)
    rest = process.stdout.read()  # here, because `communicate` would leave out what this reader holds already
    ran = finished(process)
    confirmed = [json.loads(line)["id"] for line in [first, *rest.splitlines()]]
    assert ran.status == 130
    assert f" of {wanted} posts were confirmed. Submit all of them again" in ran.err
    assert int(ran.err.split(" of ")[0].split()[-1]) >= len(confirmed) > 0  # the batch being printed was confirmed as well
    assert set(confirmed) <= {post.id for post in arrived(topic)}
    again = sosie("submit", "--from", file)
    assert (again.status, again.out) == (0, f"{wanted} posts were submitted to {topic}.\n")
    assert len({post.id for post in arrived(topic)}) == wanted


@pytest.mark.kafka
def test_without_the_topic_the_command_that_makes_it_is_named(prefix: str) -> None:
    ran = sosie("submit", URI)
    assert (ran.status, ran.out) == (1, "")
    assert f"Topic {prefix}.videos: does not exist" in ran.err
    assert "sosie topics create" in ran.err


def test_a_dry_run_checks_and_needs_no_broker(home: Path, tmp_path: Path) -> None:
    ran = sosie("submit", URI, "--id", "own", "--dry-run", "--json")
    assert (ran.status, ran.objects) == (0, [{"id": "own", "uri": URI}])
    assert "nothing was sent" in ran.err
    assert sosie("submit", URI, URI, "--dry-run").out == "1 posts can be submitted; nothing was sent.\n"
    assert sosie("submit", "--from", ndjson(tmp_path / "bad", [{"uri": 1}] * 50), "--dry-run").err.count("uri: Input") == 20


def test_a_single_bad_address_is_one_sentence(home: Path) -> None:
    ran = sosie("submit", "missing.mp4", "--dry-run")
    assert (ran.status, ran.out) == (1, "")
    assert ran.err.startswith("sosie: missing.mp4: the uri is no address")
    assert ran.err.count("\n") == 1


def test_an_option_that_no_post_may_have_is_told(home: Path) -> None:
    ran = sosie("submit", URI, "--platform", "", "--dry-run")
    assert ran.status == 1
    assert "platform: String should have at least 1 character" in ran.err


def test_a_file_that_cannot_be_read_is_told(home: Path, tmp_path: Path) -> None:
    for source in (tmp_path, tmp_path / "missing.ndjson"):
        ran = sosie("submit", "--from", source, "--dry-run")
        assert (ran.status, ran.out) == (1, "")
        assert f"{source}: cannot be read" in ran.err


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        (URI, URI, "--id", "a"),
        ("--from", "-", "--id", "a"),
        (URI, "--views", "-1"),
        (URI, "--views", "many"),
        (URI, "--posted-at", "yesterday"),
    ],
)
def test_misuse_is_told(home: Path, arguments: tuple[str, ...]) -> None:
    assert sosie("submit", *arguments).status == 2


def test_without_brokers_the_setting_is_named_before_anything_is_read(home: Path) -> None:
    ran = sosie("submit", "--from", "missing.ndjson")
    assert (ran.status, ran.out) == (1, "")
    assert "SOSIE_KAFKA_BROKERS: is not set" in ran.err


def test_a_broker_that_is_away_is_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.connection.BOOTSTRAP_TIMEOUT_S", 1.0)  # as ever, only sooner
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        monkeypatch.setenv("SOSIE_KAFKA_BROKERS", f"127.0.0.1:{taken.getsockname()[1]}")
        ran = sosie("submit", URI)
    assert (ran.status, ran.out) == (1, "")
    assert "cannot be reached: Connection refused" in ran.err
    assert "0 of 1 posts were confirmed" in ran.err

"""An event becomes one scan."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import pytest

from monitor.base.errors import DatabaseBusy, FetchRefused, MessageRefused, NotAVideo, SosieError, UnknownVersion
from monitor.scan.result import Posted, ScanResult
from streams.event import Event, Place
from streams.messages import VideoPosted
from streams.videos import VideoHandler

FULL = VideoPosted(
    id="vidhub-1",
    uri="https://videos.example/1.mp4",
    platform="vidhub",
    account="@a",
    posted_at=datetime(2026, 7, 1, 12, tzinfo=UTC),
    caption="été",
    views=2**40,
    purpose="advertising",
    territory="FR",
)


class Scanner:
    """Remembers what it was asked to scan, as the real one does in its database, and may fail."""

    def __init__(self, error: Exception | None = None) -> None:
        self.scanned: list[Posted] = []
        self.threads: set[str] = set()
        self.error = error

    def scan(self, posted: Posted) -> ScanResult:
        self.threads.add(threading.current_thread().name)
        if self.error is not None:
            raise self.error
        self.scanned.append(posted)
        return cast("ScanResult", None)  # nobody reads it

    def has_scanned(self, posted: Posted) -> bool:
        return any((each.id, each.source) == (posted.id, posted.source) for each in self.scanned)


@pytest.fixture
def scanner() -> Scanner:
    return Scanner()


@pytest.fixture
def handler(scanner: Scanner, tmp_path: Path) -> Iterator[VideoHandler]:
    (tmp_path / "files").mkdir()
    made = VideoHandler(scanner, slots=2, files=tmp_path / "files")
    yield made
    made.close()


def handle(handler: VideoHandler, *messages: VideoPosted | bytes | None) -> None:
    async def all_of_them() -> None:
        for message in messages:
            value = message.to_bytes() if isinstance(message, VideoPosted) else message
            await handler(Event(Place("sosie.videos", 0), 0, b"k", value, 1.0))

    asyncio.run(all_of_them())


def test_a_message_is_scanned_with_every_field_it_has(handler: VideoHandler, scanner: Scanner) -> None:
    handle(handler, FULL)
    (posted,) = scanner.scanned
    assert posted == Posted(
        source="https://videos.example/1.mp4",
        id="vidhub-1",
        platform="vidhub",
        account="@a",
        posted_at=datetime(2026, 7, 1, 12, tzinfo=UTC),
        caption="été",
        views=2**40,
        purpose="advertising",
        territory="FR",
    )
    assert all(getattr(posted, each.name) is not None for each in fields(Posted))  # a field that is added to both must be handed on


def test_a_message_of_the_least_is_scanned_with_what_it_has(handler: VideoHandler, scanner: Scanner) -> None:
    handle(handler, VideoPosted(id="a", uri="https://a/"))
    assert scanner.scanned == [Posted(source="https://a/", id="a")]


def test_a_scan_leaves_the_event_loop_free(handler: VideoHandler, scanner: Scanner) -> None:
    handle(handler, FULL)
    assert all(name.startswith("sosie-slot") for name in scanner.threads)


def test_a_post_that_was_scanned_is_not_scanned_again_unless_its_address_is_another(handler: VideoHandler, scanner: Scanner) -> None:
    other = FULL.model_copy(update={"uri": "https://videos.example/2.mp4"})
    handle(handler, FULL, FULL.model_copy(update={"views": 3}), other, other)
    assert [posted.source for posted in scanner.scanned] == [FULL.uri, other.uri]


def test_a_file_below_the_folder_is_scanned_as_its_path(handler: VideoHandler, scanner: Scanner, tmp_path: Path) -> None:
    handle(handler, VideoPosted(id="a", uri=f"file://{tmp_path}/files/a%20b.mp4"))
    assert scanner.scanned[0].source == f"{tmp_path}/files/a b.mp4"


@pytest.mark.parametrize("path", ["/etc/passwd", "{here}/files/link.mp4", "{here}/files/%2e%2e/private.mp4", "{here}/files/../private.mp4"])
def test_a_file_elsewhere_is_refused(handler: VideoHandler, scanner: Scanner, tmp_path: Path, path: str) -> None:
    (tmp_path / "private.mp4").touch()
    (tmp_path / "files" / "link.mp4").symlink_to(tmp_path / "private.mp4")
    with pytest.raises(FetchRefused, match="leads out of SOSIE_WORKER_FILES"):
        handle(handler, VideoPosted(id="a", uri=f"file://{path.format(here=tmp_path)}"))
    assert scanner.scanned == []


def test_a_file_of_another_host_is_refused(handler: VideoHandler, scanner: Scanner, tmp_path: Path) -> None:
    with pytest.raises(FetchRefused, match="names another host"):
        handle(handler, VideoPosted(id="a", uri=f"file://elsewhere{tmp_path}/files/a.mp4"))
    assert scanner.scanned == []


def test_without_a_folder_no_file_is_read(scanner: Scanner, tmp_path: Path) -> None:
    handler = VideoHandler(scanner, slots=1, files=None)
    with pytest.raises(FetchRefused, match="reads no files of its machine"):
        handle(handler, VideoPosted(id="a", uri=f"file://{tmp_path}/files/a.mp4"))
    handler.close()
    assert scanner.scanned == []


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (None, MessageRefused),
        (b"", MessageRefused),
        (b"\xff", MessageRefused),
        (b'{"type":"sosie.video_posted","version":1,"id":"a"}', MessageRefused),
        (b'{"type":"sosie.video_posted","version":2}', UnknownVersion),
    ],
)
def test_what_is_no_message_is_refused_before_anything_is_scanned(
    handler: VideoHandler, scanner: Scanner, value: bytes | None, error: type[SosieError]
) -> None:
    with pytest.raises(error):
        handle(handler, value)
    assert scanner.scanned == []


@pytest.mark.parametrize(
    "error", [NotAVideo("a", "b", "c"), DatabaseBusy("a", "b", "c"), ZeroDivisionError("a bug")], ids=lambda e: type(e).__name__
)
def test_what_the_scan_raises_comes_through_as_it_is(tmp_path: Path, error: Exception) -> None:
    handler = VideoHandler(Scanner(error), slots=1, files=None)
    with pytest.raises(type(error)) as raised:
        handle(handler, FULL)
    handler.close()
    assert raised.value is error


def test_a_closed_handler_begins_nothing(handler: VideoHandler, scanner: Scanner) -> None:
    handler.close()
    with pytest.raises(RuntimeError):
        handle(handler, FULL)
    assert scanner.scanned == []

"""The one shape of a pack's zip: what writes it, and everything that is refused."""

from __future__ import annotations

import io
import stat
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.evidence.archive import MAX_ENTRIES, Archive, ArchiveRefused, write

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
FILES = {"a.txt": b"hello", "stills/b.png": bytes(range(256)), "empty.txt": b""}
GOOD = write(FILES, NOW)


def read(content: bytes) -> dict[str, bytes]:
    archive = Archive(io.BytesIO(content))
    return {name: archive.content(name) for name in archive.entries}


def zipped(fill: Callable[[zipfile.ZipFile], None], **options: int) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", **options) as archive:  # type: ignore[call-overload]
        fill(archive)
    return out.getvalue()


def link(archive: zipfile.ZipFile) -> None:
    info = zipfile.ZipInfo("a.txt")
    info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    archive.writestr(info, "/etc/passwd")


def twice(archive: zipfile.ZipFile) -> None:
    for content in ("one", "two"):
        info = zipfile.ZipInfo("a.txt")
        info.external_attr = 0o100600 << 16
        with pytest.warns(UserWarning, match="Duplicate") if content == "two" else pytest.MonkeyPatch.context():
            archive.writestr(info, content)


def flagged(content: bytes, flag: int) -> bytes:
    """Set a general-purpose flag of the first entry in both of its headers."""
    changed = bytearray(content)
    changed[6] |= flag
    changed[content.index(b"PK\1\2") + 8] |= flag
    return bytes(changed)


def test_what_it_writes_it_reads_and_so_does_everybody() -> None:
    assert read(GOOD) == FILES
    with zipfile.ZipFile(io.BytesIO(GOOD)) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == FILES
    assert write(dict(reversed(FILES.items())), NOW) == GOOD


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "too short"),
        (b"x" * 500, "no zip"),
        (GOOD[:-1], "no zip|cut short"),
        (GOOD + b"x", "after its directory"),
        (b"x" + GOOD, "does not fit"),
        (zipped(lambda z: z.writestr("../a.txt", "x")), "named '../a.txt'"),
        (zipped(lambda z: z.writestr("/etc/a.txt", "x")), "named '/etc/a.txt'"),
        (zipped(lambda z: z.writestr("a\\b.txt", "x")), "named"),
        (zipped(lambda z: z.writestr("é.txt", "x")), "named"),
        (zipped(lambda z: z.writestr(".hidden", "x")), "named"),
        (zipped(lambda z: z.writestr("a.txt", bytes(10**7)), compression=zipfile.ZIP_DEFLATED), "compressed"),
        (zipped(link), "link"),
        (zipped(lambda z: z.mkdir("a")), "named"),
        (zipped(twice), "twice"),
        (flagged(GOOD, 1), "encrypted"),
        (flagged(GOOD, 8), "fields or a place"),
        (zipped(lambda z: [z.writestr(f"{n:05}.txt", "") for n in range(MAX_ENTRIES + 1)] and None), "more than the 1000"),
        (zipped(lambda z: setattr(z, "comment", b"hidden")), "no zip|after its directory"),
        (GOOD.replace(b"hello", b"hell"), "does not fit"),
    ],
)
def test_anything_else_is_refused_by_name(content: bytes, reason: str) -> None:
    with pytest.raises(ArchiveRefused, match=reason):
        read(content)


def test_entries_cannot_share_bytes_and_headers_cannot_disagree() -> None:
    directory = GOOD.index(b"PK\1\2")
    second = GOOD.index(b"PK\1\2", directory + 4)
    overlapping = bytearray(GOOD)
    overlapping[second + 42 : second + 46] = bytes(4)  # its data are those of the first
    with pytest.raises(ArchiveRefused, match="fields or a place"):
        read(bytes(overlapping))
    renamed = bytearray(GOOD)
    renamed[30:35] = b"z.txt"  # what a program reads that goes by the local header
    with pytest.raises(ArchiveRefused, match="fields or a place"):
        read(bytes(renamed))


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255))
def test_a_changed_byte_is_refused_or_in_a_content_or_its_checksum(place: int, value: int) -> None:
    changed = bytearray(GOOD)
    changed[place] = value
    try:
        found = read(bytes(changed))
    except ArchiveRefused:
        return
    assert found.keys() == FILES.keys()  # times stand in both headers, so one change of them is refused


def test_it_does_not_write_what_it_would_not_read() -> None:
    for name in ("../a", "a b", "", "a/b/c/d", "x" * 121, "a\n"):
        with pytest.raises(ArchiveRefused):
            write({name: b""}, NOW)

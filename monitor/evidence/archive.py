"""A zip in exactly one shape: entries sorted by name, stored, without a gap, an extra field, a comment or a byte beside them.

What `write` wrote, every unzipper opens. `Archive` reads that shape and no other, so nothing can hide between the entries, no entry
can be a link, a bomb or a second one of its name, and no two programs can see different files in one pack.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO

MAX_ENTRIES = 1000
MAX_BYTES = 2 * 1024**3
"""Of the whole file; well under what needs zip64."""
MAX_ENTRY_BYTES = 512 * 1024**2
"""Of one entry, because it is held in memory: a still of 8192x8192 takes 200 MB at the very most."""

MAX_NAME = 120

_NAME = re.compile(rf"(?=.{{1,{MAX_NAME}}}\Z)[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*){{0,2}}\Z")
_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_MADE_BY = (3 << 8) | 20  # Unix, version 2.0 of the format
_MODE = 0o100600 << 16
_FLAG_ENCRYPTED = 1


class ArchiveRefused(ValueError):
    """The file is no zip in the shape of a pack; the text says what is wrong, of which entry."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry: where its bytes stand, and the CRC-32 that the zip states for them."""

    name: str
    offset: int
    size_bytes: int
    crc32: int


def write(files: Mapping[str, bytes], when: datetime) -> bytes:
    """The zip of `files`; the same files and time give the same bytes. Raises `ArchiveRefused` for what `Archive` would not read."""
    stamp = _stamp(when)
    body, directory = bytearray(), bytearray()
    if len(files) > MAX_ENTRIES:
        raise ArchiveRefused(f"{len(files)} files are more than the {MAX_ENTRIES} of a pack")
    for name, content in sorted(files.items()):
        if not _NAME.match(name) or len(content) > MAX_ENTRY_BYTES:
            raise ArchiveRefused(f"{name!r} has a name or a size ({len(content)} bytes) that no pack has")
        crc32, offset = zlib.crc32(content), len(body)
        body += _local(name, len(content), crc32, stamp) + content
        directory += _central(name, len(content), crc32, stamp, offset)
        if len(body) > MAX_BYTES:
            raise ArchiveRefused(f"the pack would take more than {MAX_BYTES} bytes")
    return bytes(body + directory + _end(len(files), len(directory), len(body)))


class Archive:
    """An open pack. Reads the directory alone; `content` reads one entry. Not thread-safe."""

    def __init__(self, file: BinaryIO) -> None:
        """Read the directory of a pack. Raises `ArchiveRefused`, and OSError as it comes."""
        self._file = file
        size_bytes = file.seek(0, 2)
        if size_bytes > MAX_BYTES:
            raise ArchiveRefused(f"it has {size_bytes} bytes, more than the {MAX_BYTES} of any pack")
        if size_bytes < _END.size:
            raise ArchiveRefused("it is too short to be a zip")
        end = self._at(size_bytes - _END.size, _END.size)
        magic, _, _, _, count, directory_bytes, directory_at, _ = _END.unpack(end)
        if magic != b"PK\5\6":
            raise ArchiveRefused("it does not end as a pack ends: it is no zip, was cut short, or has bytes after its directory")
        if count > MAX_ENTRIES or directory_bytes > MAX_ENTRIES * (_CENTRAL.size + MAX_NAME):
            raise ArchiveRefused(f"it names {count} entries, more than the {MAX_ENTRIES} of any pack")
        if directory_at + directory_bytes + _END.size != size_bytes or end != _end(count, directory_bytes, directory_at):
            raise ArchiveRefused("its end does not fit its directory")
        self.entries = self._entries(self._at(directory_at, directory_bytes), count, directory_at)

    def content(self, name: str) -> bytes:
        """The bytes of an entry. Raises KeyError."""
        entry = self.entries[name]
        return self._at(entry.offset, entry.size_bytes)

    def _entries(self, directory: bytes, count: int, body_bytes: int) -> dict[str, Entry]:
        found: dict[str, Entry] = {}
        at, place, last = 0, 0, ""
        for number in range(1, count + 1):
            if len(directory) - at < _CENTRAL.size or directory[at : at + 4] != b"PK\1\2":
                raise ArchiveRefused(f"its directory is broken at entry {number}")
            fields = _CENTRAL.unpack_from(directory, at)
            _, _, _, flags, method, clock, day, crc32, packed, size_bytes, length, extra, comment, _, _, mode, _ = fields
            name = directory[at + _CENTRAL.size : at + _CENTRAL.size + length].decode("utf-8", "replace")
            if not _NAME.match(name):
                raise ArchiveRefused(f"entry {number} is named {name[:200]!a}: no file of a pack is")
            if name <= last:
                raise ArchiveRefused(f"{name} stands twice" if name in found else f"{name} stands out of order")
            if flags & _FLAG_ENCRYPTED:
                raise ArchiveRefused(f"{name} is encrypted")
            if method or packed != size_bytes:
                raise ArchiveRefused(f"{name} is compressed, which no file of a pack is")
            if mode != _MODE:
                raise ArchiveRefused(f"{name} is marked as something other than an ordinary file (a link or a folder)")
            if size_bytes > MAX_ENTRY_BYTES:
                raise ArchiveRefused(f"{name} has {size_bytes} bytes, more than the {MAX_ENTRY_BYTES} of any file of a pack")
            stamp = (clock, day)
            central = _central(name, size_bytes, crc32, stamp, place)
            local = _local(name, size_bytes, crc32, stamp)
            if extra or comment or directory[at : at + len(central)] != central or self._at(place, len(local)) != local:
                raise ArchiveRefused(f"{name} has fields or a place that no file of a pack has")
            found[name] = Entry(name, place + len(local), size_bytes, crc32)
            at, place, last = at + len(central), place + len(local) + size_bytes, name
        if at != len(directory) or place != body_bytes:
            raise ArchiveRefused("it holds bytes that belong to no entry")
        return found

    def _at(self, offset: int, size_bytes: int) -> bytes:
        self._file.seek(offset)
        content = self._file.read(size_bytes)
        if len(content) != size_bytes:
            raise ArchiveRefused("it names bytes beyond its end")
        return content


def _local(name: str, size_bytes: int, crc32: int, stamp: tuple[int, int]) -> bytes:
    encoded = name.encode("ascii")
    return _LOCAL.pack(b"PK\3\4", 20, 0, 0, *stamp, crc32, size_bytes, size_bytes, len(encoded), 0) + encoded


def _central(name: str, size_bytes: int, crc32: int, stamp: tuple[int, int], offset: int) -> bytes:
    encoded = name.encode("ascii")
    sizes = (size_bytes, size_bytes, len(encoded), 0, 0)
    return _CENTRAL.pack(b"PK\1\2", _MADE_BY, 20, 0, 0, *stamp, crc32, *sizes, 0, 0, _MODE, offset) + encoded


def _end(count: int, directory_bytes: int, directory_at: int) -> bytes:
    return _END.pack(b"PK\5\6", 0, 0, count, count, directory_bytes, directory_at, 0)


def _stamp(when: datetime) -> tuple[int, int]:
    """The time and day of an instant as MS-DOS counted them: from 1980 on, to two seconds."""
    year = min(max(when.year, 1980), 2107)
    return (when.hour << 11) | (when.minute << 5) | (when.second // 2), ((year - 1980) << 9) | (when.month << 5) | when.day

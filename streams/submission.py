"""From addresses and NDJSON lines to posts, checked whole before any is sent: the errors name the line.

A line is one JSON object with the fields of `streams.messages.VideoPosted`, strictly: what is not such a field is refused, because it
is most likely a misspelt one. `type` and `version` may be left out. `id` too: it is then derived from platform and uri, so that the
same lines again are the same posts.

What is checked waits in a temporary database on disk, so that memory is bounded for any number of posts, and so that the same
id twice is noticed: with equal content it is one post, with another it is refused. Belongs to one thread.
"""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from pydantic import ValidationError

from monitor.base.errors import MessageRefused, NotFound, RequestRefused, SosieError, StorageFull, UnknownVersion
from monitor.registry.territories import require
from streams.messages import MAX_BYTES, VideoPosted, told

SCHEMES = ("http", "https", "file")
TOLD_AT_MOST = 20
_BOM = b"\xef\xbb\xbf"
_FIELDS = tuple(VideoPosted.model_fields)
_SAID = {name: VideoPosted.model_fields[name].default for name in ("type", "version")}
_DOCUMENTED = "docs/messages.md shows the fields of a sosie.video_posted"


@dataclass(frozen=True, slots=True)
class CheckedPost:
    """A post that may be sent: its message as it goes out."""

    id: str
    uri: str
    message: bytes


@dataclass(slots=True)
class Faults:
    """The first of the lines that cannot be used, and how many there are."""

    count: int = 0
    first: list[SosieError] = field(default_factory=list)

    def add(self, error: SosieError) -> None:
        self.count += 1
        if len(self.first) < TOLD_AT_MOST:
            self.first.append(error)


class Posts:
    """Checked posts in their order. `repeated`: how many came again with equal content, and are kept once.

    Use it in a `with`. Raises `StorageFull` when the temporary folder is full.
    """

    def __init__(self) -> None:
        self.count = 0
        self.repeated = 0
        self.files = 0
        self._kept = sqlite3.connect("", isolation_level=None)  # "": a private file, gone when closed
        self._kept.execute("PRAGMA synchronous = OFF")
        self._kept.execute("PRAGMA journal_mode = OFF")
        self._kept.execute("PRAGMA cache_size = -65536")
        self._kept.execute("BEGIN")  # once, because a transaction for each post takes longer than all else; it is never ended
        self._kept.execute("CREATE TABLE posts (number INTEGER PRIMARY KEY, id TEXT UNIQUE, uri TEXT, place TEXT, message BLOB)")

    def add(self, place: str, post: VideoPosted) -> None:
        """Add a post. Raises `MessageRefused` when the id is there already with other content."""
        message = post.to_bytes()
        with _on_disk():
            row = (post.id, post.uri, place, message)
            if self._kept.execute("INSERT OR IGNORE INTO posts (id, uri, place, message) VALUES (?, ?, ?, ?)", row).rowcount:
                self.count += 1
                self.files += post.uri.startswith("file:")
                return
            before, known = self._kept.execute("SELECT place, message FROM posts WHERE id = ?", (post.id,)).fetchone()
        if known != message:
            raise MessageRefused(place, f"its id is that of {before}, with other content", "Give each post an id of its own")
        self.repeated += 1

    def __iter__(self) -> Iterator[CheckedPost]:
        with _on_disk():
            for row in self._kept.execute("SELECT id, uri, message FROM posts ORDER BY number"):
                yield CheckedPost(*row)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._kept.close()


def check_addresses(addresses: Iterable[str], known: Mapping[str, Any], posts: Posts, faults: Faults) -> None:
    """Each address, or path of a file, becomes a post with the `known` fields. Errors name an address without its query."""
    for address in addresses:
        place = address.partition("?")[0][:200]
        with _collected(faults):
            posts.add(place, _post(place, {"uri": address}, known))


def check_lines(lines: IO[bytes], name: str, known: Mapping[str, Any], posts: Posts, faults: Faults) -> None:
    """Each line becomes a post; `known` fields are defaults for those that a line does not have. Blank lines are nothing."""
    for number, line in enumerate(_lines(lines), 1):
        place = f"{name}:{number}"
        with _collected(faults):
            if len(line) > MAX_BYTES:
                raise MessageRefused(place, f"the line has more than {MAX_BYTES} bytes", "Mend the line; no post is that long")
            if number == 1:
                line = line.removeprefix(_BOM)
            if line.strip():
                posts.add(place, _post(place, _object(line, place), known))


def ids_of_file(file: str, platform: str | None = None) -> list[str]:
    """The ids of the posts that `sosie submit --from FILE` submits. Raises `NotFound`, and `MessageRefused` for the first bad line."""
    faults = Faults()
    with Posts() as posts:
        with opened(Path(file)) as lines:
            check_lines(lines, file, {} if platform is None else {"platform": platform}, posts, faults)
        if faults.first:
            raise faults.first[0]
        return [post.id for post in posts]


@contextlib.contextmanager
def opened(file: Path) -> Iterator[IO[bytes]]:
    """The file, open for reading. Raises `NotFound` for what cannot be read."""
    try:
        lines = file.open("rb")
    except OSError as error:
        raise NotFound(file, f"cannot be read: {error.strerror}", "Check the path") from error
    with lines:
        yield lines


def derived_id(platform: str | None, uri: str) -> str:
    """The identity of a post that was given none: the same address on the same platform is the same post."""
    return hashlib.sha256(f"{platform or ''}\n{uri}".encode()).hexdigest()[:32]


def full_address(text: str, place: str) -> str:
    """An address as workers take it; the path of a file becomes file:///…. Raises `NotFound`, `MessageRefused`."""
    scheme, colon, rest = text.partition("://")
    scheme = scheme.lower()
    if not colon:
        return _address_of_file(text, place)
    if scheme not in SCHEMES:
        reason = f"workers fetch {', '.join(SCHEMES)} alone, and the scheme of the uri is {_shown(scheme)}"
        raise MessageRefused(place, reason, "Give an address with one of these, or the path of a file")
    if (scheme == "file") != rest.startswith("/"):
        raise MessageRefused(place, "the uri is not whole", "Write it as https://HOST/… or file:///FOLDER/…")
    return f"{scheme}://{rest}"


def _address_of_file(text: str, place: str) -> str:
    try:
        path = Path(text).absolute()
        found, folder = path.is_file(), path.is_dir()
    except (OSError, ValueError):  # too long, NUL
        found, folder = False, False
    if folder:
        raise MessageRefused(place, "the uri is a folder", "Give the files in it, or their addresses")
    if not found:
        reason = "the uri is no address (http://…, https://…, file:///…) and no file that exists"
        raise NotFound(place, reason, "Check the path, or write the address in full")
    return path.as_uri()


def _lines(file: IO[bytes]) -> Iterator[bytes]:
    """The lines of a file; of one that is too long only the beginning, longer than allowed."""
    while line := file.readline(MAX_BYTES + 2):
        rest = line
        while not rest.endswith(b"\n") and (rest := file.readline(MAX_BYTES)):
            pass
        yield line.rstrip(b"\r\n")


def _object(line: bytes, place: str) -> dict[str, Any]:
    try:
        read = _DECODER.decode(line.decode("utf-8"))
    except UnicodeDecodeError:
        raise MessageRefused(place, "it is not UTF-8", "Write the file in UTF-8") from None
    except _Doubled as error:
        raise MessageRefused(place, f"it has {error} twice", "Leave one of them") from None
    except json.JSONDecodeError as error:
        raise MessageRefused(place, f"it is not JSON: {error.msg} at character {error.pos + 1}", "Write one JSON object per line") from None
    except (ValueError, RecursionError):
        raise MessageRefused(place, "it is not JSON that can be read", "Write one JSON object per line") from None
    if not isinstance(read, dict):
        raise MessageRefused(place, "it is no JSON object", "Write one JSON object per line: {…}")
    return read


def _post(place: str, fields: Mapping[str, Any], known: Mapping[str, Any]) -> VideoPosted:
    _require_fields(fields, place)
    merged = {**known, **fields}
    try:
        if isinstance(merged.get("uri"), str):
            merged["uri"] = full_address(merged["uri"], place)
        if merged.get("id") is None:
            platform, uri = merged.get("platform"), merged.get("uri")
            merged["id"] = derived_id(platform if isinstance(platform, str) else None, uri if isinstance(uri, str) else "")
        if isinstance(merged.get("territory"), str):
            merged["territory"] = _territory(merged["territory"], place)
        return VideoPosted.model_validate(merged)
    except ValidationError as error:
        raise MessageRefused(place, told(error), _DOCUMENTED) from None
    except UnicodeEncodeError:
        raise MessageRefused(place, "it holds half a character (a lone surrogate)", "Write the text in UTF-8") from None


def _territory(code: str, place: str) -> str:
    """The code of a territory, checked when submitted; workers take any two letters, so that a newer country loses no post."""
    try:
        return require(code, place)
    except RequestRefused as error:
        raise MessageRefused(place, error.reason, _DOCUMENTED) from None


def _require_fields(fields: Mapping[str, Any], place: str) -> None:
    for name in fields:
        if name not in _FIELDS:
            near = difflib.get_close_matches(name, _FIELDS, n=1)
            hint = f"Did you mean {near[0]}? {_DOCUMENTED}" if near else _DOCUMENTED
            raise MessageRefused(place, f"{_shown(name)} is no field of a post", hint)
    for name, wanted in _SAID.items():
        if name in fields and (fields[name] != wanted or type(fields[name]) is not type(wanted)):
            raise UnknownVersion(place, f"its {name} is not {json.dumps(wanted)}", "Leave it out, or mend it")


def _shown(name: str) -> str:
    return ascii(name if len(name) <= 40 else f"{name[:40]}…")


class _Doubled(ValueError):
    """A field that an object has twice."""


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(pairs)
    if len(read) < len(pairs):
        raise _Doubled(_shown(Counter(name for name, _ in pairs).most_common(1)[0][0]))
    return read


def _no_constant(name: str) -> None:
    raise ValueError(name)


_DECODER = json.JSONDecoder(object_pairs_hook=_without_doubles, parse_constant=_no_constant)  # NaN is no JSON


@contextlib.contextmanager
def _collected(faults: Faults) -> Iterator[None]:
    try:
        yield
    except (MessageRefused, NotFound) as error:
        faults.add(error)


@contextlib.contextmanager
def _on_disk() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        raise StorageFull("The temporary folder", f"the posts could not be kept there: {error}", "Free space, or set TMPDIR") from error

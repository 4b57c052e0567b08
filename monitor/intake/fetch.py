"""Bytes from outside, once, under guards: `fetch` yields a file with its size and SHA-256.

A local file stays where it is. An http(s) body goes to a file of its own in the scratch folder, unlinked
when the context ends. What can go wrong with a URL, in the order it is looked for:

- not http(s), a user name in it, not a URL         FetchRefused
- an address that may not be reached, at any hop    BlockedAddress
- DNS, refused or broken connection, TLS            FetchFailed
- too many redirects, 4xx, an encoded body          FetchRefused
- 5xx, 408, 425, 429                                FetchFailed
- more bytes than allowed, announced or sent        TooLarge
- slower than allowed, or past the total time       FetchFailed
- no room on the disk, or none that can be written  StorageFull, StorageUnavailable

No proxy, cookie or password of the environment is used. Errors show scheme, host and path, never a query:
it may be a signed link. Of a host name, the system's resolver decides how long an answer may take.
"""

from __future__ import annotations

import hashlib
import re
import ssl
import stat
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import httpcore
import httpx

from monitor.base import disk_errors
from monitor.base.errors import FetchFailed, FetchRefused, NotFound, StorageUnavailable, TooLarge
from monitor.intake.addresses import Resolver, resolve
from monitor.intake.scratch import scratch_file
from monitor.intake.transport import STALL_S, GuardedBackend

RATE_WINDOW_S = 10.0
_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_REDIRECTS = frozenset((301, 302, 303, 307, 308))
_TRY_LATER = frozenset((408, 425, 429))
_HEADERS: dict[bytes | str, bytes | str] = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "sosie", "Connection": "close"}


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """What one fetch may cost. `timeout_s` covers all redirects; the rate is that of the body, over 10 s windows."""

    max_bytes: int
    timeout_s: float
    min_bytes_per_s: float
    max_redirects: int
    allow_private: bool


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file to read and not to change; `sha256` in lower-case hex.

    `source` is what the caller asked for, of a URL without its query, which may be a secret.
    """

    source: str
    path: Path
    sha256: str
    size_bytes: int


@contextmanager
def fetch(source: str, *, scratch: Path, limits: FetchLimits, resolver: Resolver = resolve) -> Iterator[Fetched]:
    """Yield the bytes of a path or URL as a file; the limits hold for URLs, and a local file is read as it is.

    `scratch` is made where it is missing. Thread-safe: fetches share nothing. Raises NotFound for a path that
    is no readable file, and for a URL what the module's table says; nothing is left in `scratch` then.
    """
    if _URL.match(source):
        with _downloaded(source, scratch, limits, resolver) as fetched:
            yield fetched
    else:
        yield _hashed(source)


def _hashed(source: str) -> Fetched:
    path = Path(source)
    try:
        mode = path.stat().st_mode  # before opening: a pipe would block
        if not stat.S_ISREG(mode):
            what = "a folder" if stat.S_ISDIR(mode) else "not an ordinary file"
            raise NotFound(source, f"it is {what}", "Give the path of a file")
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256")
            return Fetched(source, path, digest.hexdigest(), file.tell())
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a NUL in the path
        raise NotFound(source, "no such file", "Check the path") from None
    except PermissionError:
        raise NotFound(source, "it may not be read", "Change its permissions, or run as a user who may read it") from None
    except OSError as error:
        raise FetchFailed(source, f"it cannot be read ({error.strerror})", "Check the disk or the network share") from error


@contextmanager
def _downloaded(source: str, scratch: Path, limits: FetchLimits, resolver: Resolver) -> Iterator[Fetched]:
    with ExitStack() as stack:
        with _storage_errors(scratch):
            path = stack.enter_context(scratch_file(scratch))
            with path.open("wb") as file:
                sha256, size_bytes = _download(source, file, limits, resolver)
        yield Fetched(_shown(_parsed(source)), path, sha256, size_bytes)


@contextmanager
def _storage_errors(scratch: Path) -> Iterator[None]:
    """Name an OSError as a fault of storage, since nothing the server does is one: the connection's were named by `_network_errors`."""
    try:
        yield
    except OSError as error:
        reason = f"the download cannot be written ({error.strerror or type(error).__name__})"
        raise disk_errors.named(error, scratch) or StorageUnavailable(scratch, reason, "Check the folder and its permissions") from error


def _download(source: str, file: IO[bytes], limits: FetchLimits, resolver: Resolver) -> tuple[str, int]:
    deadline = time.monotonic() + limits.timeout_s
    url = _parsed(source)
    for _ in range(limits.max_redirects + 1):
        shown = _shown(url)
        backend = GuardedBackend(source=shown, deadline=deadline, allow_private=limits.allow_private, resolver=resolver)
        with (
            _network_errors(shown, deadline, limits),
            httpcore.ConnectionPool(ssl_context=_tls(url), network_backend=backend) as pool,
            pool.stream("GET", _for_httpcore(url), headers=_HEADERS) as response,
        ):
            headers = httpx.Headers(response.headers)
            if response.status in _REDIRECTS and "location" in headers:
                url = _parsed(headers["location"], base=url)
                continue
            _check_answer(response.status, headers, shown, limits)
            return _store(response, file, shown, limits)
    raise FetchRefused(_shown(_parsed(source)), f"it redirects more than {limits.max_redirects} times", "Give the final address")


def _store(response: httpcore.Response, file: IO[bytes], shown: str, limits: FetchLimits) -> tuple[str, int]:
    digest = hashlib.sha256()
    size_bytes = 0
    window_start, window_bytes = time.monotonic(), 0
    for chunk in response.iter_stream():
        size_bytes += len(chunk)
        if size_bytes > limits.max_bytes:
            raise _too_large(shown, f"it sends more than the {limits.max_bytes} bytes allowed")
        digest.update(chunk)
        file.write(chunk)
        window_bytes += len(chunk)
        if (elapsed_s := time.monotonic() - window_start) >= RATE_WINDOW_S:
            if window_bytes < limits.min_bytes_per_s * elapsed_s:
                rate = f"{window_bytes / elapsed_s:.0f} bytes/s, less than {limits.min_bytes_per_s:g}"
                raise FetchFailed(shown, f"the server is too slow ({rate})", "Try again later, or lower SOSIE_FETCH_MIN_BYTES_PER_S")
            window_start, window_bytes = time.monotonic(), 0
    return digest.hexdigest(), size_bytes


def _check_answer(status: int, headers: httpx.Headers, shown: str, limits: FetchLimits) -> None:
    if status >= 500 or status in _TRY_LATER:
        raise FetchFailed(shown, f"the server answers {status}", "Try again later")
    if status != 200:
        raise FetchRefused(shown, f"the server answers {status}", "Check the address; it may need a sign-in or have expired")
    if (encoding := headers.get("content-encoding", "identity")) != "identity":
        raise FetchRefused(shown, f"the body is encoded ({encoding[:40]!a}) although plain bytes were asked for", "Serve the file as it is")
    announced = headers.get("content-length", "")
    if announced.isdecimal() and int(announced[:20]) > limits.max_bytes:
        raise _too_large(shown, f"it announces {announced[:20]} bytes, {limits.max_bytes} are allowed")


def _too_large(shown: str, reason: str) -> TooLarge:
    return TooLarge(shown, reason, "If it is genuine, raise SOSIE_FETCH_MAX_BYTES")


@contextmanager
def _network_errors(shown: str, deadline: float, limits: FetchLimits) -> Iterator[None]:
    try:
        yield
    except httpcore.TimeoutException:
        late = time.monotonic() >= deadline
        reason = f"it did not arrive within {limits.timeout_s:g} s" if late else f"the server was silent for {STALL_S:g} s"
        raise FetchFailed(shown, reason, "Try again later" + (", or raise SOSIE_FETCH_TIMEOUT_S" if late else "")) from None
    except (httpcore.NetworkError, httpcore.ProtocolError) as error:
        raise FetchFailed(shown, f"the connection failed ({str(error)[:200] or type(error).__name__})", "Try again later") from None


def _parsed(text: str, base: httpx.URL | None = None) -> httpx.URL:
    """The URL in `text`, relative to `base` after a redirect, checked for form; its query and password are in no error."""
    bare = re.sub(r"//[^/]*@", "//", re.split(r"[?#]", text)[0])[:200]
    shown = bare if base is None else f"{_shown(base)} (redirecting to {bare})"
    try:
        url = httpx.URL(text) if base is None else base.join(text)
    except (httpx.InvalidURL, ValueError):
        raise FetchRefused(shown, "it is not a well-formed URL", "Check the address") from None
    if url.scheme not in ("http", "https") or not url.host or (url.port or 0) > 65535:
        raise FetchRefused(shown, "it is not an http or https address", "Give an http(s) URL, or the path of a file")
    if url.userinfo:
        raise FetchRefused(shown, "it carries a user name or password", "Give an address that needs none, such as a signed link")
    return url


def _shown(url: httpx.URL) -> str:
    port = f":{url.port}" if url.port else ""
    host = f"[{url.host}]" if ":" in url.host else url.host
    return f"{url.scheme}://{host}{port}{url.path}"[:200]


def _for_httpcore(url: httpx.URL) -> httpcore.URL:
    return httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)


def _tls(url: httpx.URL) -> ssl.SSLContext | None:
    """The TLS context of an https address: certificates of the system and of certifi; SSL_CERT_FILE adds an intranet's own."""
    return httpcore.default_ssl_context() if url.scheme == "https" else None

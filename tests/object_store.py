"""A real S3-compatible server (moto's) as a process on loopback, and a proxy in front of it that misbehaves as told."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from socketserver import StreamRequestHandler, ThreadingTCPServer
from uuid import uuid4

import pytest

START_TIMEOUT_S = 60.0
ACCESS_KEY, SECRET_KEY = "AKIATEST", "a-secret-that-must-never-be-shown"
SLOW_DOWN = (
    b"HTTP/1.1 503 Slow Down\r\nContent-Type: application/xml\r\nContent-Length: 60\r\n\r\n"
    b"<Error><Code>SlowDown</Code><Message>Slow.</Message></Error>"
)
FULL = (
    b"HTTP/1.1 507 Insufficient Storage\r\nContent-Type: application/xml\r\nContent-Length: 69\r\n\r\n"
    b"<Error><Code>XMinioStorageFull</Code><Message>Full.</Message></Error>"
)


# One request at a time: moto looks at a condition and writes in two steps, where S3 takes one.
_SERVE = """
import sys, threading
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple
application, turn = DomainDispatcherApplication(create_backend_app), threading.Lock()
def serial(environ, start_response):
    with turn:
        return [b"".join(application(environ, start_response))]
run_simple("127.0.0.1", int(sys.argv[1]), serial, threaded=True)
"""


@dataclass(frozen=True)
class ObjectStore:
    """A running server. Anything goes as a key, until `require_keys`."""

    url: str

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def make_bucket(self) -> str:
        name = f"sosie-{uuid4().hex[:12]}"
        self._ask("PUT", f"/{name}")
        return name

    def require_keys(self) -> None:
        """From now on refuse keys that no user has; moto checks the rest of the signature then too."""
        self._ask("POST", "/moto-api/reset-auth", b"0")

    def _ask(self, method: str, path: str, body: bytes = b"") -> None:
        request = urllib.request.Request(self.url + path, data=body or None, method=method, headers={"Content-Type": "text/plain"})
        with urllib.request.urlopen(request, timeout=120):
            pass


@contextmanager
def running_object_store() -> Iterator[ObjectStore]:
    """A server of its own."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-c", _SERVE, str(port)]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SOSIE_", "AWS_"))}
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=kept)
    try:
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            assert process.poll() is None, "moto's server ended at once; is moto installed?"
            assert time.monotonic() < deadline, "moto's server did not start"
            time.sleep(0.05)
        yield ObjectStore(f"http://127.0.0.1:{port}")
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="session")
def object_store() -> Iterator[ObjectStore]:
    """One server for all tests; each takes a bucket of its own."""
    with running_object_store() as store:
        yield store


@dataclass
class Faults:
    """What the proxy does to the next requests whose method matches, first come first served; then it only passes on."""

    planned: list[tuple[str, str | bytes]] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)

    def plan(self, method: str, *what: str | bytes) -> None:
        """`"lose"`: pass on, then cut the line without an answer; `"refuse"`: cut it at once; `"cut"`: half the body; `"flip"`: one bit
        of it; `"shorten"`: half the body, and a length to match; bytes: that answer, and the request goes nowhere."""
        self.planned += [(method, each) for each in what]

    def take(self, method: str) -> str | bytes | None:
        self.seen.append(method)
        for i, (wanted, what) in enumerate(self.planned):
            if wanted == method:
                del self.planned[i]
                return what
        return None


class _Proxy(ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, upstream_port: int) -> None:
        super().__init__(("127.0.0.1", 0), _Exchange)
        self.upstream_port = upstream_port
        self.faults = Faults()
        self.lock = threading.Lock()


class _Exchange(StreamRequestHandler):
    """One request per connection."""

    server: _Proxy

    def handle(self) -> None:
        head, body = _message(self.rfile)
        if not head:
            return
        with self.server.lock:
            fault = self.server.faults.take(head.split(b" ", 1)[0].decode())
        if fault == "refuse":
            return
        if isinstance(fault, bytes):
            self.wfile.write(fault.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
            return
        with socket.create_connection(("127.0.0.1", self.server.upstream_port), 30) as upstream, upstream.makefile("rb") as answer:
            upstream.sendall(_closing(head) + body)
            answered, content = _message(answer, has_body=not head.startswith(b"HEAD"))
        if fault == "lose":
            return
        if fault == "flip":
            content = bytes([content[0] ^ 1]) + content[1:]
        if fault == "shorten":
            content = content[: len(content) // 2]
            answered = re.sub(rb"(?i)content-length: *\d+", b"Content-Length: %d" % len(content), answered)
        if fault == "cut":
            content = content[: len(content) // 2]
        self.wfile.write(_closing(answered) + content)


def _message(stream, *, has_body: bool = True) -> tuple[bytes, bytes]:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = stream.readline()
        if not line:
            return b"", b""
        head += line
    found = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    return head, stream.read(int(found[1])) if found and has_body else b""


def _closing(head: bytes) -> bytes:
    return re.sub(rb"(?i)\r\nconnection:[^\r]*", b"", head).replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1)


@contextmanager
def faulty_proxy(store: ObjectStore) -> Iterator[tuple[str, Faults]]:
    """The address of a proxy in front of the server, and what it is to do wrong."""
    with _Proxy(store.port) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{proxy.server_address[1]}", proxy.faults
        finally:
            proxy.shutdown()
            thread.join()

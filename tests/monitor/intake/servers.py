"""Real servers on loopback for the fetch tests: a small file server, and one that plays any bytes at any pace."""

from __future__ import annotations

import datetime
import gzip
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

CLIP = bytes(range(256)) * 400
OK = b"HTTP/1.1 200 OK\r\n"


class FileServer(ThreadingHTTPServer):
    """`/clip` is a file; other paths redirect, refuse, set cookies... `seen` keeps each request's path and headers."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.seen: list[tuple[str, dict[str, str]]] = []

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"


class _Handler(BaseHTTPRequestHandler):
    server: FileServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.seen.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
        path, _, query = self.path.partition("?")
        if path == "/clip":
            self._answer(200, CLIP)
        elif path == "/empty":
            self._answer(200, b"")
        elif path == "/gzip":
            self._answer(200, gzip.compress(bytes(50_000_000)), **{"Content-Encoding": "gzip"})
        elif path == "/to":
            self._answer(302, b"", Location=query, **{"Set-Cookie": "session=1"})
        elif path == "/loop":
            self._answer(307, b"", Location="/loop")
        elif path.startswith("/status/"):
            self._answer(int(path.rpartition("/")[2]), b"words")
        else:
            self._answer(404, b"nothing here")

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        with suppress(OSError):
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def file_server(tls: tuple[Path, list[str | None]] | None = None) -> Iterator[FileServer]:
    """A running file server; with `tls`, over HTTPS with the certificate of that file, noting the names asked for."""
    server = FileServer()
    if tls is not None:
        certificate, names = tls
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        context.sni_callback = lambda _socket, name, _context: names.append(name)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def raw_server(*parts: bytes | float | Callable[[], Iterator[bytes]]) -> Iterator[str]:
    """The URL of a server that, after a request's first bytes, plays its parts: bytes, a pause in seconds, or a stream."""
    stopping = threading.Event()

    def play(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.recv(65536)
            for part in parts:
                if isinstance(part, bytes):
                    connection.sendall(part)
                elif isinstance(part, (int, float)):
                    stopping.wait(part)
                else:
                    for piece in part():
                        if stopping.is_set():
                            return
                        connection.sendall(piece)

    def accept(listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=play, args=(connection,), daemon=True).start()

    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=accept, args=(listener,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/clip"
    finally:
        stopping.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def drip(piece: bytes, every_s: float) -> Callable[[], Iterator[bytes]]:
    """An endless stream of small pieces."""

    def pieces() -> Iterator[bytes]:
        while True:
            yield piece
            time.sleep(every_s)

    return pieces


def self_signed(folder: Path, name: str) -> Path:
    """A certificate and its key in one PEM file, for a host name or an address."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    try:
        alternative: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        alternative = x509.DNSName(name)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = folder / "server.pem"
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return file

"""A real nginx of a test's own: a free port on loopback, a folder of its own, stopped by its pid.

Without nginx its tests skip and say so; where `CI` is set that is a failure.
"""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

START_TIMEOUT_S = 60.0
_PORTS = range(20_000, 32_000)  # below the ephemeral ports
_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def nginx_program() -> str:
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if found is None:
        message = "NGINX MISSING: the console is not tested behind a real proxy by this run (install the package nginx-light)"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return found


@contextmanager
def running_nginx(folder: Path, server: Callable[[int], str]) -> Iterator[int]:
    """Serve `server(port)`, a `server` block that listens on 127.0.0.1 at that port; yields the port once it answers."""
    program = nginx_program()
    folder.mkdir(parents=True)
    port = _free_port()
    (folder / "nginx.conf").write_text(
        "\n".join(
            (
                "daemon off;",
                *(["user root;"] if os.geteuid() == 0 else []),
                "worker_processes 1;",
                f"pid {folder}/pid;",
                f"error_log {folder}/error.log;",
                "events { worker_connections 64; }",
                "http {",
                f"access_log {folder}/access.log;",
                *(f"{name}_temp_path {folder}/{name};" for name in _TEMPORARY),
                server(port),
                "}",
            )
        )
    )
    process = subprocess.Popen([program, "-p", str(folder), "-e", f"{folder}/error.log", "-c", "nginx.conf"], stdin=subprocess.DEVNULL)
    try:
        _wait_until_it_listens(process, port, folder / "error.log")
        yield port
    finally:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_it_listens(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"nginx did not start: {log.read_text() if log.exists() else 'it wrote nothing'}")
        time.sleep(0.05)


def _free_port() -> int:
    while True:
        with socket.socket() as candidate:
            candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                candidate.bind(("127.0.0.1", random.SystemRandom().choice(_PORTS)))
            except OSError:
                continue
            return int(candidate.getsockname()[1])

"""`sosie serve` as its users start it: the installed script, a free port, Ctrl+C."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import httpx

from tests.monitor.household import Ran, finished, rows, script, sosie

get = partial(httpx.get, timeout=60)  # of a busy machine


@contextmanager
def served() -> Iterator[tuple[subprocess.Popen[str], str, list[str]]]:
    """The server's process, its address, and what it printed up to there; killed if the block leaves it running."""
    process = script("serve", "--port", "0")
    assert process.stdout
    printed: list[str] = []
    try:
        for line in process.stdout:
            printed.append(line)
            if address := re.search(r"http://127\.0\.0\.1:\d+", line):
                yield process, address[0], printed
                return
        raise AssertionError(f"it never said where it is: {printed} {process.communicate()[1]}")
    finally:
        process.kill()
        process.communicate()


def stopped(process: subprocess.Popen[str]) -> Ran:
    process.send_signal(signal.SIGINT)
    return finished(process, 60)


def test_it_answers_tells_the_password_once_and_stops_on_ctrl_c(furnished: Path) -> None:
    with served() as (process, address, printed):
        assert get(f"{address}/health").json() == {"status": "ok", "database": "ok"}
        metrics = get(f"{address}/metrics")
        assert metrics.status_code == 200
        assert "sosie_queue" in metrics.text
        assert get(f"{address}/api/cases").status_code == 401
        assert get(f"{address}/queue", headers={"Accept": "text/html"}, follow_redirects=True).url.path == "/sign-in"
        told = re.search(r"password (\S+)", "".join(printed))
        assert told
        with httpx.Client(base_url=address, timeout=60) as client:
            page = client.get("/sign-in")
            fields = dict(re.findall(r'<input[^>]*name="([^"]+)"[^>]*value="([^"]*)"', page.text))
            answer = client.post("/sign-in", data=fields | {"name": "admin", "password": told[1]}, headers={"Origin": address})
            assert answer.status_code == 303, answer.text
            assert client.get("/queue").status_code == 200
        ran = stopped(process)
        assert ran.status == 0
        assert "Traceback" not in ran.err
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", int(address.rpartition(":")[2]))) != 0

    with served() as (process, address, printed):
        assert "password" not in "".join(printed)
        assert get(f"{address}/health").status_code == 200
        assert "password" not in stopped(process).out
    assert rows(furnished, "accounts") == {"accounts": 1}


def test_a_port_in_use_is_an_error_that_names_it_and_makes_no_account(furnished: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = sosie("serve", "--port", str(port))
    assert ran.status == 1
    assert f"127.0.0.1:{port}: cannot listen there: Address already in use. Stop what uses it, or give --port 0" in ran.err
    assert "password" not in ran.out
    assert rows(furnished, "accounts") == {"accounts": 0}

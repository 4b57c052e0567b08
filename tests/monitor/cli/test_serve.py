"""`sosie serve` as its users start it: the installed script, a free port, Ctrl+C."""

from __future__ import annotations

import json
import re
import signal
import socket
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import httpx
import pytest

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
        assert get(f"{address}/health/ready").json() == {"status": "ok", "database": "ok"}
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


def test_metrics_have_a_port_of_their_own_and_nobody_is_believed_who_says_he_is_a_proxy(
    furnished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOSIE_SERVE_METRICS_PORT", "0")
    monkeypatch.setenv("SOSIE_SERVE_ROOT_PATH", "/sosie")
    monkeypatch.setenv("SOSIE_METRICS_TOKEN", "a token of sixteen or more")
    with served() as (process, address, _):
        assert process.stdout
        told = re.fullmatch(r"Its metrics are at (http://127\.0\.0\.1:\d+)/metrics\n", process.stdout.readline())
        assert told
        with httpx.Client(base_url=told[1]) as machine:
            assert "sosie_queue" in machine.get("/metrics").text
            assert machine.get("/health/ready", headers={"Host": "10.1.2.3"}).json() == {"status": "ok", "database": "ok"}
            assert machine.get("/health/live").status_code == 200
            assert {machine.get(path, headers={"Host": address[7:]}).status_code for path in ("/queue", "/sign-in", "/sosie/sign-in")} == {
                404
            }
            forwarded = {"X-Forwarded-For": "203.0.113.9"}
            assert machine.get("/metrics", headers=forwarded).status_code == 403
            with_token = forwarded | {"Authorization": "Bearer a token of sixteen or more"}
            assert machine.get("/metrics", headers=with_token).status_code == 200
        with httpx.Client(base_url=f"{address}/sosie") as client:
            forged = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}
            page = client.get("/sign-in", headers=forged)
            assert "secure" not in page.headers["set-cookie"].lower()
            fields = dict(re.findall(r'<input[^>]*name="([^"]+)"[^>]*value="([^"]*)"', page.text))
            assert client.post("/sign-in", data=fields | {"name": "admin", "password": "wrong"}, headers=forged).status_code == 401
        assert stopped(process).status == 0
    with closing(sqlite3.connect(furnished / "sosie.sqlite3")) as database:
        query = "SELECT detail FROM audit_events WHERE action = 'account.sign_in_failed'"
        assert [json.loads(detail)["address"] for (detail,) in database.execute(query)] == ["127.0.0.1"]


def test_settings_that_do_not_fit_are_told_before_an_account_is_made(furnished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value, said in (
        ("SOSIE_SERVE_METRICS_PORT", "{port}", "is the console's own port"),
        ("SOSIE_SERVE_ROOT_PATH", "/cases", "/cases is an address of the console's own"),
    ):
        with monkeypatch.context() as given:
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                port = free.getsockname()[1]
            given.setenv("SOSIE_SERVE_METRICS_HOST", "127.0.0.2")
            given.setenv(name, value.format(port=port))
            ran = sosie("serve", "--port", str(port))
        assert ran.status == 1
        assert f"{name}: {said}" in ran.err
    assert rows(furnished, "accounts") == {"accounts": 0}


def test_a_port_in_use_is_an_error_that_names_it_and_makes_no_account(furnished: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = sosie("serve", "--port", str(port))
    assert ran.status == 1
    assert f"127.0.0.1:{port}: cannot listen there: Address already in use. Stop what uses it, or give --port 0" in ran.err
    assert "password" not in ran.out
    assert rows(furnished, "accounts") == {"accounts": 0}

"""Whom a request comes from."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from monitor.base.settings import load
from monitor.console.forwarding import Forwarding


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    request = Request(scope)
    seen = {"client": request.client.host if request.client else None, "scheme": request.url.scheme, "host": request.headers.get("host")}
    await JSONResponse(seen)(scope, receive, send)


def seen(peer: str, headers: list[tuple[str, str]]) -> dict[str, Any]:
    proxies = load({"SOSIE_SERVE_PROXIES": "10.0.0.0/8,192.0.2.7,fd00::/8"}).serve_proxies
    client = TestClient(Forwarding(echo, proxies), "http://inside", client=(peer, 1))
    answer: dict[str, Any] = client.get("/", headers=headers).json()
    return answer


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("10.0.0.1", ["203.0.113.7"], "203.0.113.7"),
        ("192.0.2.7", ["203.0.113.7"], "203.0.113.7"),
        ("fd00::1", ["2001:db8::7"], "2001:db8::7"),
        ("10.0.0.1", ["198.51.100.1, 203.0.113.7"], "203.0.113.7"),
        ("10.0.0.1", ["198.51.100.1, 203.0.113.7, 10.9.9.9"], "203.0.113.7"),
        ("10.0.0.1", ["198.51.100.1", "203.0.113.7, 192.0.2.7"], "203.0.113.7"),
        ("10.0.0.1", ["203.0.113.7:4711"], "203.0.113.7"),
        ("10.0.0.1", ["[2001:db8::7]:4711"], "2001:db8::7"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("203.0.113.99", ["198.51.100.1"], "203.0.113.99"),
        ("192.0.2.8", ["198.51.100.1"], "192.0.2.8"),
        ("testclient", ["198.51.100.1"], "testclient"),
    ],
)
def test_the_client_is_the_rightmost_address_that_is_no_trusted_proxy(peer: str, forwarded: list[str], client: str) -> None:
    assert seen(peer, [("X-Forwarded-For", each) for each in forwarded])["client"] == client


@pytest.mark.parametrize(("peer", "believed"), [("10.0.0.1", True), ("203.0.113.9", False)])
def test_scheme_and_host_are_those_a_trusted_proxy_tells(peer: str, believed: bool) -> None:
    told = seen(peer, [("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "evil.example, queue.example.org")])
    assert (told["scheme"], told["host"]) == (("https", "queue.example.org") if believed else ("http", "inside"))


def test_a_scheme_that_is_none_and_another_standard_are_not_read() -> None:
    told = seen("10.0.0.1", [("X-Forwarded-Proto", "gopher"), ("Forwarded", "for=203.0.113.7;proto=https;host=evil.example")])
    assert told == {"client": "10.0.0.1", "scheme": "http", "host": "inside"}

"""Under which name a cookie is set and read, and with what around it."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient
from prometheus_client import CollectorRegistry
from starlette.requests import Request
from starlette.responses import Response

from monitor.console.app import create_app
from monitor.console.auth import SESSION_COOKIE
from monitor.console.cookies import Cookies
from monitor.review import accounts
from monitor.review.accounts import Role
from tests.monitor.console.desk import PASSWORD, Desk, sign_in


def request(scheme: str, cookie: str = "") -> Request:
    headers = [(b"host", b"queue.example.org"), (b"cookie", cookie.encode())]
    return Request({"type": "http", "scheme": scheme, "path": "/", "query_string": b"", "headers": headers, "server": ("10.0.0.1", 80)})


@pytest.mark.parametrize(
    ("cookies", "scheme", "name", "path", "secure"),
    [
        (Cookies("", False), "http", "c", "/", False),
        (Cookies("", False), "https", "__Host-c", "/", True),
        (Cookies("", True), "http", "__Host-c", "/", True),
        (Cookies("/sosie", False), "http", "c", "/sosie", False),
        (Cookies("/sosie", False), "https", "__Secure-c", "/sosie", True),
    ],
)
def test_name_path_and_secure_follow_scheme_and_root_path(cookies: Cookies, scheme: str, name: str, path: str, secure: bool) -> None:
    given, ended = Response(), Response()
    cookies.set(request(scheme), given, "c", "value", 60)
    cookies.delete(request(scheme), ended, "c")
    for response, value, max_age_s in ((given, "value", 60), (ended, '""', 0)):
        first, *attributes = response.headers["set-cookie"].split("; ")
        assert first == f"{name}={value}"
        assert set(attributes) == {"HttpOnly", f"Max-Age={max_age_s}", f"Path={path}", "SameSite=lax", *(["Secure"] if secure else [])}


def test_over_https_a_cookie_that_anybody_could_have_set_is_not_read() -> None:
    """Another host of the domain, or plain http, may set `c`, and not `__Host-c`."""
    cookies = Cookies("", False)
    assert cookies.get(request("https", "c=forged"), "c") is None
    assert cookies.get(request("https", "c=forged; __Host-c=ours"), "c") == "ours"
    assert cookies.get(request("http", "c=ours"), "c") == "ours"


def test_secure_by_setting_where_no_proxy_says_https(desk: Desk) -> None:
    with desk.store.session() as session:
        accounts.create_account(session, "ana", PASSWORD, role=Role.REVIEWER, actor="test", now=desk.clock())
    made = create_app(desk.configured({"SOSIE_SERVE_COOKIES": "secure"}), desk.store, registry=CollectorRegistry(), clock=desk.clock)
    client = TestClient(made, "https://localhost", follow_redirects=False)
    cookies = sign_in(client, "ana").headers.get_list("set-cookie")
    assert all(cookie.startswith("__Host-") and "; Secure" in cookie for cookie in cookies)
    assert f"__Host-{SESSION_COOKIE}" in client.cookies
    assert client.get("/queue").status_code == 200

"""Headers, host names, body sizes: what holds for every answer."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from monitor.console.security import HEADERS, allowed_hosts, is_allowed
from tests.monitor.console.desk import Desk


@pytest.fixture
def client(desk: Desk) -> TestClient:
    return desk.person()


@pytest.mark.parametrize(
    "path", ["/queue", "/nowhere", "/api/cases", "/api/cases/none", "/references/none", "/static/sosie.css", "/health"]
)
def test_every_answer_carries_the_headers(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy


def test_pages_are_not_stored_and_static_files_are_revalidated(client: TestClient) -> None:
    assert client.get("/queue").headers["cache-control"] == "no-store"
    assert client.get("/api/me").headers["cache-control"] == "no-store"
    assert client.get("/static/sosie.css").headers["cache-control"] == "no-cache"


def test_an_unforeseen_error_carries_the_headers_and_no_details(desk: Desk, client: TestClient) -> None:
    @desk.app.get("/boom")
    def boom() -> None:
        raise ZeroDivisionError("a secret detail")

    answer = client.get("/boom")
    assert answer.status_code == 500
    assert answer.headers["content-security-policy"] == HEADERS["Content-Security-Policy"]
    assert "secret detail" not in answer.text


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:8000", "", "[::2]"])
def test_a_foreign_host_name_is_refused(client: TestClient, host: str) -> None:
    answer = client.get("/queue", headers={"Host": host})
    assert answer.status_code == 421
    assert "Queue" not in answer.text


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8000", "127.0.0.1:8000", "[::1]:8000"])
def test_loopback_names_are_answered(client: TestClient, host: str) -> None:
    assert client.get("/queue", headers={"Host": host}).status_code == 200


def test_the_configured_host_is_allowed_but_every_address_is_not_a_name() -> None:
    assert "queue.example" in allowed_hosts("Queue.example")
    assert allowed_hosts("0.0.0.0") == allowed_hosts("127.0.0.1")


@pytest.mark.parametrize(
    ("host", "allowed"),
    [("queue.example.org", True), ("a.example.net", True), ("a.b.example.net", True), ("example.net", False), ("evilexample.net", False),
     ("queue.example.org.evil", False), ("x.queue.example.org", False), ("", False), (None, False)],
)  # fmt: skip
def test_named_hosts_and_all_below_a_starred_one_are_allowed(host: str | None, allowed: bool) -> None:
    assert is_allowed(host, allowed_hosts("127.0.0.1", ("queue.example.org", "*.example.net"))) is allowed


@pytest.mark.parametrize("path", ["/health", "/health/live", "/health/ready"])
def test_health_answers_to_any_name(client: TestClient, path: str) -> None:
    """Kubelets and load balancers ask by address."""
    assert client.get(path, headers={"Host": "10.1.2.3:8000"}).status_code == 200


def test_a_write_that_the_browser_calls_cross_site_is_refused(client: TestClient) -> None:
    for site in ("cross-site", "same-site"):
        assert client.post("/sign-in", data={}, headers={"Sec-Fetch-Site": site}).status_code == 403


def test_a_huge_body_is_refused(client: TestClient) -> None:
    answer = client.post("/sign-in", data={"name": "x" * 200_000})
    assert answer.status_code == 413


def test_no_page_names_another_host_for_scripts_styles_or_pictures(client: TestClient) -> None:
    for path in ("/queue", "/api/docs", "/nowhere"):
        html = client.get(path).text
        assert 'src="http' not in html
        assert "<style" not in html
        assert " style=" not in html
        assert "onclick" not in html

"""Nothing but the sign-in page, the static files and a word of health is open to strangers."""

from __future__ import annotations

import pytest
from fastapi.routing import iter_route_contexts
from fastapi.testclient import TestClient
from starlette.routing import Mount

from monitor.console.auth import SESSION_COOKIE, SESSION_S
from monitor.review import accounts
from monitor.review.accounts import Role
from monitor.review.cases import Moment
from tests.monitor.console.desk import PASSWORD, Desk, csrf, picture, sign_in

OPEN = {("GET", "/sign-in"), ("POST", "/sign-in"), ("GET", "/health"), ("GET", "/health/live"), ("GET", "/health/ready")}
NAME = "Ada Moreau"


def routes(desk: Desk) -> list[tuple[str, str]]:
    """Every (method, path) the application answers, `/static` aside."""
    found = []
    for context in iter_route_contexts(desk.app.routes):
        route = context.original_route
        if isinstance(route, Mount):
            assert route.path == "/static", "a new mount: is it open to strangers?"
            continue
        found += [(method, context.path) for method in sorted(context.methods)]
    return found


@pytest.fixture
def paths(desk: Desk) -> dict[str, str]:
    """Real ids for the path parameters, so that a refusal is not a mere "not found"."""
    likeness = desk.likeness(NAME)
    picture(desk.home / "evidence" / "x" / "0.jpg")
    case_id = desk.case(likeness, moments=[Moment(1.0, 0.9, None, "evidence/x/0.jpg")])
    return {"case_id": case_id, "position": "0", "reference_id": desk.reference(likeness)}


def test_the_walk_sees_the_routes(desk: Desk) -> None:
    seen = routes(desk)
    assert {("GET", "/queue"), ("POST", "/cases/{case_id}/verdict"), ("GET", "/api/openapi.json"), ("GET", "/metrics")} <= set(seen)
    assert set(seen) >= OPEN


def test_every_route_refuses_a_stranger(desk: Desk, paths: dict[str, str]) -> None:
    client = desk.stranger()
    closed = set(routes(desk)) - OPEN
    assert len(closed) > 20
    for method, path in closed:
        answer = client.request(method, path.format(**paths), data={"token": "1"} if method == "POST" else None)
        assert answer.status_code == 401, f"{method} {path} answered {answer.status_code}"
        assert NAME not in answer.text
        assert not answer.headers["content-type"].startswith("image/")


def test_every_route_refuses_an_altered_session(desk: Desk, paths: dict[str, str]) -> None:
    cookie = desk.person().cookies[SESSION_COOKIE]
    client = desk.stranger()
    client.cookies.set(SESSION_COOKIE, cookie[:-4] + ("aaaa" if not cookie.endswith("aaaa") else "bbbb"))
    closed = sorted(set(routes(desk)) - OPEN)
    answers = [client.request(method, path.format(**paths)).status_code for method, path in closed]
    assert len(closed) > 20
    assert [(route, status) for route, status in zip(closed, answers, strict=True) if status != 401] == []


def test_every_write_refuses_a_missing_or_foreign_csrf_token(desk: Desk, paths: dict[str, str]) -> None:
    foreign = csrf(desk.person("ben"))
    client = desk.person("ana")
    writes = [path.format(**paths) for method, path in routes(desk) if method != "GET" and (method, path) not in OPEN]
    assert len(writes) >= 9
    for path in writes:
        body = {"token": 1, "verdict": "deepfake", "reason": "x"}
        for headers in ({}, {"X-CSRF-Token": foreign}, {"X-CSRF-Token": ""}):
            answer = (
                client.post(path, json=body, headers=headers) if path.startswith("/api") else client.post(path, data=body, headers=headers)
            )
            assert answer.status_code == 403, f"{path} answered {answer.status_code} to {headers}"
    assert desk.token(paths["case_id"]) == 0


def test_a_browser_is_led_to_the_sign_in_page_and_back(desk: Desk, paths: dict[str, str]) -> None:
    answer = desk.stranger().get("/queue?state=all", headers={"Accept": "text/html"})
    assert answer.status_code == 303
    assert answer.headers["location"] == "/sign-in?next=/queue%3Fstate%3Dall"


@pytest.mark.parametrize("change", ["disabled", "new password", "expired"])
def test_a_session_ends(desk: Desk, change: str) -> None:
    client = desk.person("ana")
    assert client.get("/queue").status_code == 200
    with desk.store.session() as session:
        if change == "disabled":
            accounts.disable_account(session, "ana", actor="test", now=desk.clock())
        elif change == "new password":
            accounts.set_password(session, "ana", PASSWORD + "!", actor="test", now=desk.clock())
        else:
            desk.clock.advance(SESSION_S)
    assert client.get("/queue").status_code == 401


def test_signing_out_ends_the_session_in_this_browser(desk: Desk) -> None:
    desk.person("ana")
    client = desk.stranger()
    sign_in(client, "ana")
    assert client.get("/queue").status_code == 200
    assert client.post("/sign-out", data={"csrf_token": csrf(client)}).headers["location"] == "/sign-in"
    assert client.get("/queue").status_code == 401


def test_an_account_without_the_capability_is_refused(desk: Desk) -> None:
    reviewer, admin = desk.person("ana"), desk.person("root", Role.ADMIN)
    assert reviewer.get("/metrics").status_code == 403
    assert admin.get("/metrics").status_code == 200


def test_metrics_are_open_to_a_scraper_on_this_machine_only(desk: Desk) -> None:
    local: TestClient = desk.stranger(host="127.0.0.1")
    assert local.get("/metrics").status_code == 200
    assert local.get("/metrics", headers={"X-Forwarded-For": "203.0.113.9"}).status_code == 401
    assert desk.stranger(host="203.0.113.9").get("/metrics").status_code == 401


def test_health_says_one_word_per_part(desk: Desk) -> None:
    for path in ("/health", "/health/ready"):
        answer = desk.stranger().get(path)
        assert answer.status_code == 200
        assert answer.json() == {"status": "ok", "database": "ok"}
    assert desk.stranger().get("/health/live").json() == {"status": "ok"}


def test_health_says_when_the_database_is_not_one(desk: Desk) -> None:
    desk.store.close()
    (desk.home / "sosie.sqlite3-wal").unlink(missing_ok=True)
    (desk.home / "sosie.sqlite3").write_bytes(b"not a database " * 1000)
    assert desk.stranger().get("/health/live").status_code == 200, "a restart would not mend it"
    answer = desk.stranger().get("/health")
    assert answer.status_code == 503
    assert answer.json() == {"status": "unavailable", "database": "unavailable"}

"""Signing in: the form, the cookie, the throttle."""

from __future__ import annotations

import threading

import pytest

from monitor.base import audit
from monitor.console.auth import SESSION_COOKIE
from monitor.console.signin import local_path
from monitor.console.throttle import Throttle
from monitor.review import accounts
from monitor.review.accounts import Role
from tests.monitor.console.desk import PASSWORD, Clock, Desk, csrf_of, sign_in


@pytest.fixture
def account(desk: Desk) -> str:
    with desk.store.session() as session:
        return accounts.create_account(session, "ana", PASSWORD, role=Role.REVIEWER, actor="test", now=desk.clock()).id


def test_the_cookie_is_http_only_lax_and_expires(desk: Desk, account: str) -> None:
    answer = sign_in(desk.stranger(), "ana", next="/cases/1")
    assert answer.headers["location"] == "/cases/1"
    cookie = next(value for value in answer.headers.get_list("set-cookie") if value.startswith(SESSION_COOKIE)).lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "max-age=43200" in cookie


def test_it_is_recorded(desk: Desk, account: str) -> None:
    sign_in(desk.stranger(), "ana")
    with desk.store.session(read_only=True) as session:
        assert audit.events(session, subject_type="account", subject_id=account)[-1].action == "account.signed_in"


def test_unknown_name_and_wrong_password_get_the_same_answer(desk: Desk, account: str) -> None:
    wrong, unknown = sign_in(desk.stranger(), "ana", "wrong"), sign_in(desk.stranger(), "zoe", "wrong")
    assert wrong.status_code == unknown.status_code == 401
    message = "This name and password do not belong together."
    assert message in wrong.text
    assert message in unknown.text
    assert SESSION_COOKIE not in wrong.cookies


def test_the_form_needs_the_token_of_this_browser(desk: Desk, account: str) -> None:
    token = csrf_of(desk.stranger().get("/sign-in").text)
    data = {"csrf_token": token, "name": "ana", "password": PASSWORD}
    other = desk.stranger()
    assert other.post("/sign-in", data=data).status_code == 403
    other.get("/sign-in")
    assert other.post("/sign-in", data=data).status_code == 403


def test_after_five_failures_not_even_the_right_password_is_looked_at(desk: Desk, account: str) -> None:
    client = desk.stranger()
    assert [sign_in(client, "ana", "wrong").status_code for _ in range(5)] == [401] * 5
    refused = sign_in(client, "ana")
    assert refused.status_code == 429
    assert 0 < int(refused.headers["retry-after"]) <= Throttle.WINDOW_S + 1
    desk.clock.advance(Throttle.WINDOW_S + 1)
    assert sign_in(client, "ana").status_code == 303


def test_letter_case_does_not_give_more_attempts(desk: Desk, account: str) -> None:
    client = desk.stranger()
    answers = [sign_in(client, name, "wrong").status_code for name in ("ana", "Ana", " ANA", "aNa", "anA", "ana ")]
    assert answers == [401] * 5 + [429]


def test_many_names_from_one_address_are_throttled_and_others_are_not(desk: Desk, account: str) -> None:
    attacker = desk.stranger(host="203.0.113.9")
    throttle: Throttle = desk.app.state.context.throttle
    for _ in range(Throttle.LIMIT_PER_ADDRESS - 1):
        throttle.enter("203.0.113.9", Throttle.LIMIT_PER_ADDRESS)
    assert [sign_in(attacker, name, "wrong").status_code for name in ("zoe", "ana")] == [401, 429]
    assert sign_in(desk.stranger(host="127.0.0.1"), "ana").status_code == 303


def test_the_throttle_counts_parallel_attempts() -> None:
    throttle = Throttle(Clock())
    allowed: list[int] = []
    threads = [threading.Thread(target=lambda: allowed.append(throttle.enter("k", 5))) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert allowed.count(0) == 5


def test_the_throttle_forgets_old_keys() -> None:
    throttle = Throttle(Clock())
    for number in range(Throttle.MAX_KEYS + 50):
        throttle.enter(str(number), 5)
    assert len(throttle._attempts) == Throttle.MAX_KEYS


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "evil",
        "",
        "/\tevil",
        "javascript:alert(1)",
        "/queue\r\nSet-Cookie: a=b",
    ],
)
def test_it_never_leads_to_another_site(desk: Desk, account: str, target: str) -> None:
    assert local_path(target) == "/queue"
    assert sign_in(desk.stranger(), "ana", next=target).headers["location"] == "/queue"

"""Signing in: the form, the cookie, the throttle."""

from __future__ import annotations

import threading

import pytest
from argon2 import PasswordHasher

from monitor.base import audit
from monitor.base.errors import DatabaseBusy
from monitor.console import signin
from monitor.console.auth import SESSION_COOKIE
from monitor.console.signin import LIMIT_PER_ADDRESS, LIMIT_PER_NAME, SHOWN_CHARS, local_path
from monitor.console.throttle import Throttle, origin_of
from monitor.review import accounts
from monitor.review.accounts import Role
from tests.monitor.console.desk import PASSWORD, Clock, Desk, csrf_of, sign_in


@pytest.fixture(autouse=True)
def _cheap_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests try many, and none tests the hash."""
    monkeypatch.setattr(accounts, "_hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    accounts._hash_of_nobody.cache_clear()


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


@pytest.mark.parametrize("name", ["Ana", " ANA", "ana ", "\N{FULLWIDTH LATIN SMALL LETTER A}na"])
def test_another_spelling_of_a_name_does_not_give_more_attempts(desk: Desk, account: str, name: str) -> None:
    client = desk.stranger()
    assert [sign_in(client, "ana", "wrong").status_code for _ in range(LIMIT_PER_NAME)] == [401] * LIMIT_PER_NAME
    assert sign_in(client, name, "wrong").status_code == 429


def test_many_names_from_one_address_are_throttled_and_others_are_not(desk: Desk, account: str) -> None:
    attacker = desk.stranger(host="203.0.113.9")
    throttle: Throttle = desk.app.state.context.throttle
    for _ in range(LIMIT_PER_ADDRESS - 1):
        throttle.enter({"address 203.0.113.9": LIMIT_PER_ADDRESS})
    assert [sign_in(attacker, name, "wrong").status_code for name in ("zoe", "ana")] == [401, 429]
    assert sign_in(desk.stranger(host="127.0.0.1"), "ana").status_code == 303


def test_who_signs_in_is_never_throttled_for_it(desk: Desk, account: str) -> None:
    assert [sign_in(desk.stranger(), "ana").status_code for _ in range(LIMIT_PER_ADDRESS + 5)] == [303] * (LIMIT_PER_ADDRESS + 5)


def test_signing_in_between_gives_an_address_no_more_attempts(desk: Desk, account: str) -> None:
    """Else somebody with an account could guess at others' for ever."""
    for number in range(LIMIT_PER_ADDRESS):
        assert sign_in(desk.stranger(), f"victim {number}", "wrong").status_code == 401
        if number == LIMIT_PER_ADDRESS // 2:
            assert sign_in(desk.stranger(), "ana").status_code == 303
    assert sign_in(desk.stranger(), "another victim", "wrong").status_code == 429


def test_attempts_that_were_refused_do_not_count_against_others_at_the_address(desk: Desk, account: str) -> None:
    client = desk.stranger()
    answers = [sign_in(client, "zoe", "wrong").status_code for _ in range(LIMIT_PER_ADDRESS + 5)]
    assert answers == [401] * LIMIT_PER_NAME + [429] * (LIMIT_PER_ADDRESS + 5 - LIMIT_PER_NAME)
    assert sign_in(client, "ana").status_code == 303


def test_an_attempt_whose_password_nobody_could_look_at_does_not_count(desk: Desk, account: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(accounts, "verify_password", refuse)
        assert {sign_in(desk.stranger(), "ana").status_code for _ in range(LIMIT_PER_NAME + 1)} == {503}
    assert sign_in(desk.stranger(), "ana").status_code == 303


def refuse(*_: object) -> None:
    raise DatabaseBusy("The database", "is locked", "Try again")


# In the trail


def told(desk: Desk) -> list[tuple[str, str, str, dict[str, str]]]:
    with desk.store.session(read_only=True) as session:
        events = reversed(audit.latest(session, limit=1000))
        return [(each.action, each.actor, each.subject_id, each.detail) for each in events if each.action != "account.created"]


def test_each_failure_stands_in_the_trail_and_throttling_once(desk: Desk, account: str) -> None:
    client = desk.stranger(host="203.0.113.9")
    for _ in range(LIMIT_PER_NAME + 3):
        sign_in(client, "Ana ", "a wrong password")
    sign_in(client, "zoe", "a wrong password")
    detail = {"name": "Ana ", "address": "203.0.113.9"}
    assert told(desk) == [
        *[("account.sign_in_failed", "console", account, detail)] * LIMIT_PER_NAME,
        ("account.sign_in_throttled", "console", account, detail),
        ("account.sign_in_failed", "console", "unknown", detail | {"name": "zoe"}),
    ]
    desk.clock.advance(Throttle.WINDOW_S + 1)
    for _ in range(LIMIT_PER_NAME + 2):
        sign_in(client, "ana", "a wrong password")
    assert [action for action, *_ in told(desk)].count("account.sign_in_throttled") == 2, "each time it begins"


def test_no_password_is_in_the_trail_and_no_name_is_longer_than_a_name(desk: Desk, account: str) -> None:
    sign_in(desk.stranger(), "ana", "hunter2 hunter2")
    sign_in(desk.stranger(), "x" * 200, "hunter2 hunter2")
    sign_in(desk.stranger(), "a\x00\x1b[2Jb\u202e", "hunter2 hunter2")
    events = told(desk)
    assert "hunter2" not in str(events)
    assert [detail["name"] for *_, detail in events] == ["ana", "x" * SHOWN_CHARS, "a\ufffd\ufffd[2Jb\ufffd"]


def test_a_flood_of_failures_does_not_flood_the_trail(desk: Desk, account: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signin, "TRAIL_LIMIT", 3)
    for number in range(6):
        assert sign_in(desk.stranger(host=f"203.0.113.{number}"), "ana", "wrong").status_code == 401
    assert [action for action, *_ in told(desk)] == ["account.sign_in_failed"] * 3 + ["account.sign_ins_left_out"]
    sign_in(desk.stranger(), "ana")
    assert told(desk)[-1][0] == "account.signed_in", "a success is never left out"


# The throttle


def test_the_throttle_counts_parallel_attempts() -> None:
    throttle = Throttle(Clock())
    answers: list[object] = []
    threads = [threading.Thread(target=lambda: answers.append(throttle.enter({"k": 5}))) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers.count(None) == 5
    assert [refusal.first for refusal in answers if refusal is not None].count(True) == 1


def test_the_throttle_counts_under_all_keys_or_none() -> None:
    throttle = Throttle(Clock())
    assert throttle.enter({"a": 2, "b": 1}) is None
    assert throttle.enter({"a": 2, "b": 1}) is not None
    assert throttle.enter({"a": 2}) is None
    assert throttle.enter({"a": 2}) is not None


def test_the_throttle_forgets_old_keys() -> None:
    throttle = Throttle(Clock())
    for number in range(Throttle.MAX_KEYS + 50):
        throttle.enter({str(number): 5})
    assert len(throttle._tries) == Throttle.MAX_KEYS


def test_one_household_is_one_origin() -> None:
    assert origin_of("2001:db8:1:2::1") == origin_of("2001:db8:1:2:ffff::9") != origin_of("2001:db8:1:3::1")
    assert origin_of("203.0.113.1") != origin_of("203.0.113.2")
    assert origin_of("unknown") == "unknown"


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
        "/../elsewhere",
        "/cases/%2e%2E/%2e%2e/elsewhere",
        "/cases\\..\\..\\elsewhere",
    ],
)
def test_it_never_leads_to_another_site(desk: Desk, account: str, target: str) -> None:
    assert local_path(target) == "/queue"
    assert sign_in(desk.stranger(), "ana", next=target).headers["location"] == "/queue"

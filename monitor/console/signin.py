"""Signing in and out: the only pages a stranger sees.

The sign-in form carries a CSRF token of its own, tied to a short-lived visitor cookie. Failed attempts are counted per
(address, account name) and per address, in memory: after a limit the password is not even looked at until the window
has passed. One password is checked at a time: the hash is made to be expensive, and must not be a way to stop the server.

Whoever signs in, fails to, or is throttled stands in the audit trail, with the client's address and the name as typed, cut: one event an
attempt, and one when throttling begins. Beyond `TRAIL_LIMIT` failures in a window the trail says only that there are more.
"""

from __future__ import annotations

import secrets
import threading
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import unquote

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import RedirectResponse, Response

from monitor.base import audit
from monitor.console.auth import SESSION_COOKIE, SESSION_S, Capability, Principal, SentToken, require, same_token
from monitor.console.context import Context, ContextDep
from monitor.console.throttle import origin_of
from monitor.review import accounts
from monitor.review.accounts import Account

router = APIRouter(include_in_schema=False)

VISITOR_COOKIE = "sosie_visitor"
VISITOR_S = 3600
LIMIT_PER_NAME = 5
LIMIT_PER_ADDRESS = 20
TRAIL_LIMIT = 1000
SHOWN_CHARS = 64
"""Of a name as typed, in the trail: long enough for a name, too short to store anything."""

_TRAIL = "trail"
_one_password_at_a_time = threading.Lock()


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt to sign in, from `address` as `name`."""

    address: str
    name: str

    @classmethod
    def of(cls, request: Request, name: str) -> Attempt:
        """The attempt in a request, unprintable characters of the name replaced: no account's name and not every database holds any."""
        printable = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in name)
        return cls(request.client.host if request.client else "unknown", printable)

    @property
    def origin(self) -> str:
        return f"address {origin_of(self.address)}"

    @property
    def origin_and_name(self) -> str:
        return f"name {origin_of(self.address)} {accounts.name_key(self.name)}"

    @property
    def limits(self) -> dict[str, int]:
        return {self.origin: LIMIT_PER_ADDRESS, self.origin_and_name: LIMIT_PER_NAME}


@router.get("/sign-in")
def sign_in_page(request: Request, context: ContextDep, next: str = "/queue") -> Response:
    return _page(request, context, next=next)


@router.post("/sign-in")
def sign_in(
    request: Request,
    context: ContextDep,
    token: SentToken,
    name: Annotated[str, Form(max_length=200)] = "",
    password: Annotated[str, Form(max_length=1000)] = "",
    next: Annotated[str, Form(max_length=2000)] = "/queue",
) -> Response:
    visitor = context.door.cookies.get(request, VISITOR_COOKIE)
    if visitor is None or not same_token(token, context.door.sessions.csrf_token(visitor)):
        return _page(request, context, next=next, name=name, error="The form was out of date. Please try again.", status=403)
    attempt = Attempt.of(request, name)
    if (refusal := context.throttle.enter(attempt.limits)) is not None:
        if refusal.first:
            _record_failure(context, "account.sign_in_throttled", attempt)
        error = f"Too many attempts. Try again in {refusal.wait_s} seconds."
        answer = _page(request, context, next=next, name=name, error=error, status=429)
        answer.headers["Retry-After"] = str(refusal.wait_s)
        return answer
    account = _verified(context, attempt, password)
    if account is None:
        _record_failure(context, "account.sign_in_failed", attempt)
        return _page(request, context, next=next, name=name, error="This name and password do not belong together.", status=401)
    context.throttle.take_back(attempt.origin)
    context.throttle.forget(attempt.origin_and_name)
    _record(context, "account.signed_in", actor=account.name, subject_id=account.id, detail={"address": attempt.address})
    response = RedirectResponse(context.root + local_path(next), 303)
    context.door.cookies.set(request, response, SESSION_COOKIE, context.door.sessions.issue(account), SESSION_S)
    context.door.cookies.delete(request, response, VISITOR_COOKIE)
    return response


@router.post("/sign-out")
def sign_out(request: Request, context: ContextDep, principal: Annotated[Principal, Depends(require(Capability.READ_CASES))]) -> Response:
    response = RedirectResponse(f"{context.root}/sign-in", 303)
    context.door.cookies.delete(request, response, SESSION_COOKIE)
    return response


def local_path(text: str) -> str:
    """`text` if it is a path inside the console, else the queue: no open redirect, and no way out of the root path."""
    plain = text.startswith("/") and not text.startswith("//") and "\\" not in text and text.isprintable()
    climbs = {".", ".."} & set(unquote(text.partition("?")[0]).split("/"))
    return text if plain and not climbs else "/queue"


def _verified(context: Context, attempt: Attempt, password: str) -> Account | None:
    try:
        with _one_password_at_a_time, context.store.session(read_only=True) as session:
            return accounts.verify_password(session, attempt.name, password)
    except BaseException:
        for key in attempt.limits:
            context.throttle.take_back(key)  # nobody looked at the password
        raise


def _record_failure(context: Context, action: str, attempt: Attempt) -> None:
    detail = {"name": attempt.name[:SHOWN_CHARS], "address": attempt.address}
    if (flood := context.throttle.enter({_TRAIL: TRAIL_LIMIT})) is None:
        with context.store.session(read_only=True) as session:
            account = accounts.find_account(session, attempt.name)
        _record(context, action, actor="console", subject_id=account.id if account else "unknown", detail=detail)
    elif flood.first:
        _record(context, "account.sign_ins_left_out", actor="console", subject_id="unknown", detail={"beyond": str(TRAIL_LIMIT)})


def _record(context: Context, action: str, *, actor: str, subject_id: str, detail: dict[str, str]) -> None:
    with context.store.session() as session:
        audit.record(session, now=context.clock(), actor=actor, action=action, subject_type="account", subject_id=subject_id, detail=detail)


def _page(request: Request, context: Context, *, next: str, name: str = "", error: str | None = None, status: int = 200) -> Response:
    cookies = context.door.cookies
    visitor = cookies.get(request, VISITOR_COOKIE) or secrets.token_urlsafe(16)
    token = context.door.sessions.csrf_token(visitor)
    response = context.page(request, "sign_in.html", status=status, next=local_path(next), name=name, error=error, csrf_token=token)
    cookies.set(request, response, VISITOR_COOKIE, visitor, VISITOR_S)
    return response

"""Signing in and out: the only pages a stranger sees.

The sign-in form carries a CSRF token of its own, tied to a short-lived visitor cookie. Failed attempts are counted per
(address, account name) and per address, in memory: after a limit the password is not even looked at until the window
has passed. One password is checked at a time: the hash is made to be expensive, and must not be a way to stop the server.
"""

from __future__ import annotations

import secrets
import threading
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import RedirectResponse, Response

from monitor.base import audit
from monitor.console.auth import SESSION_COOKIE, SESSION_S, Capability, Principal, SentToken, require, same_token
from monitor.console.context import Context, ContextDep
from monitor.console.throttle import Throttle
from monitor.review import accounts

router = APIRouter(include_in_schema=False)

VISITOR_COOKIE = "sosie_visitor"
VISITOR_S = 3600


_one_password_at_a_time = threading.Lock()


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
    visitor = request.cookies.get(VISITOR_COOKIE)
    if visitor is None or not same_token(token, context.door.sessions.csrf_token(visitor)):
        return _page(request, context, next=next, name=name, error="The form was out of date. Please try again.", status=403)
    address = request.client.host if request.client else "unknown"
    account_key = f"{address}\n{name.strip().casefold()}"
    wait_s = context.throttle.enter(address, Throttle.LIMIT_PER_ADDRESS) or context.throttle.enter(account_key, Throttle.LIMIT)
    if wait_s:
        answer = _page(request, context, next=next, name=name, error=f"Too many attempts. Try again in {wait_s} seconds.", status=429)
        answer.headers["Retry-After"] = str(wait_s)
        return answer
    with _one_password_at_a_time, context.store.session(read_only=True) as session:
        account = accounts.verify_password(session, name, password)
    if account is None:
        return _page(request, context, next=next, name=name, error="This name and password do not belong together.", status=401)
    context.throttle.forget(account_key)
    with context.store.session() as session:
        audit.record(
            session, now=context.clock(), actor=account.name, action="account.signed_in", subject_type="account", subject_id=account.id
        )
    response = RedirectResponse(local_path(next), 303)
    _set_cookie(request, response, SESSION_COOKIE, context.door.sessions.issue(account), SESSION_S)
    response.delete_cookie(VISITOR_COOKIE)
    return response


@router.post("/sign-out")
def sign_out(principal: Annotated[Principal, Depends(require(Capability.READ_CASES))]) -> Response:
    response = RedirectResponse("/sign-in", 303)
    response.delete_cookie(SESSION_COOKIE)
    return response


def local_path(text: str) -> str:
    """`text` if it is a path on this server, else the queue: no open redirect."""
    plain = text.startswith("/") and not text.startswith(("//", "/\\")) and text.isprintable()
    return text if plain else "/queue"


def _page(request: Request, context: Context, *, next: str, name: str = "", error: str | None = None, status: int = 200) -> Response:
    visitor = request.cookies.get(VISITOR_COOKIE) or secrets.token_urlsafe(16)
    token = context.door.sessions.csrf_token(visitor)
    response = context.page(request, "sign_in.html", status=status, next=local_path(next), name=name, error=error, csrf_token=token)
    _set_cookie(request, response, VISITOR_COOKIE, visitor, VISITOR_S)
    return response


def _set_cookie(request: Request, response: Response, name: str, value: str, max_age_s: int) -> None:
    response.set_cookie(name, value, max_age=max_age_s, httponly=True, samesite="lax", secure=request.url.scheme == "https")

"""Every failure a person or a program can meet, in a form each can use.

Under `/api`: `application/problem+json` (RFC 9457) with the error's stable code. Elsewhere: a page that says what happened and
what to do next. Neither carries a stack trace or what the caller typed.
"""

from __future__ import annotations

import contextlib
import logging
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse, Response

from monitor.base.errors import DatabaseBusy, LeaseHeld, LeaseLost, NotFound, RequestRefused, SosieError, StorageFull, TransientError
from monitor.console.context import Context
from monitor.console.mounting import inner_path
from monitor.console.security import HEADERS

log = logging.getLogger(__name__)

RETRY_AFTER_S = 5
STATUS: dict[type[SosieError], int] = {
    NotFound: 404,
    LeaseHeld: 409,
    LeaseLost: 409,
    RequestRefused: 422,
    DatabaseBusy: 503,
    StorageFull: 507,
}
TITLES = {
    400: "That request makes no sense",
    401: "Please sign in",
    403: "Not allowed",
    404: "Nothing here",
    405: "Not that way",
    409: "Somebody was faster",
    413: "Too much text",
    422: "Something is missing",
    500: "Sosie made a mistake",
    503: "Something Sosie needs is busy or away",
    507: "The disk is full",
}
PROBLEM_JSON = "application/problem+json"


def install(app: FastAPI) -> None:
    app.add_exception_handler(SosieError, _sosie_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(Exception, _bug)


def status_of(error: SosieError) -> int:
    return STATUS.get(type(error), 503 if isinstance(error, TransientError) else 500)


def _sosie_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, SosieError)
    status = status_of(error)
    if status >= 500:
        log.error("%s: %s", error.code, error)
    headers = {"Retry-After": str(RETRY_AFTER_S)} if isinstance(error, TransientError) else {}
    return _answer(request, status, error.code, f"{error.thing}: {error.reason}.", f"{error.next_step}.", headers)


def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    reads = request.method in ("GET", "HEAD")
    if error.status_code == 401 and reads and not _is_api(request) and "text/html" in request.headers.get("accept", ""):
        here = inner_path(request) + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(f"{request.app.state.root_path}/sign-in?next={quote(here, safe='/')}", 303)
    code = {401: "not_signed_in", 403: "forbidden", 404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "http")
    what, what_next = {
        401: ("You are not signed in, or your session has ended.", "Sign in, then go back: what you typed is still in the form."),
        404: ("There is no page at this address.", "Go back to the queue."),
    }.get(error.status_code, (f"{str(error.detail).rstrip('.')}.", "Go back to the queue."))
    headers = dict(error.headers or {})
    if error.status_code == 401:
        headers["WWW-Authenticate"] = 'Session realm="sosie"'
    return _answer(request, error.status_code, code, what, what_next, headers)


def _validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    fields = [{"pointer": "/" + "/".join(map(str, item["loc"])), "detail": item["msg"]} for item in error.errors()]
    what = "; ".join(f"{field['pointer'].rpartition('/')[2]}: {field['detail']}" for field in fields)
    return _answer(request, 422, "bad_request", f"{what}.", "Mend the named fields.", {}, errors=fields)


def _bug(request: Request, error: Exception) -> Response:
    """The answer to an unforeseen error; made outside `Guard`, it sets the headers itself. The traceback is in the log."""
    what = "An error nobody foresaw; it stands in the server's log. Nothing was changed."
    answer = _answer(request, 500, "bug", what, "Try again, and report it if it stays.", {})
    answer.headers.update(HEADERS | {"Cache-Control": "no-store"})
    return answer


def _answer(
    request: Request, status: int, code: str, what: str, what_next: str, headers: dict[str, str], errors: list[dict[str, str]] | None = None
) -> Response:
    title = TITLES.get(status, "That did not work")
    if _is_api(request):
        body = {"type": f"urn:sosie:problem:{code}", "title": title, "status": status, "code": code, "detail": f"{what} {what_next}"}
        if errors is not None:
            body["errors"] = errors
        return JSONResponse(body, status, headers, media_type=PROBLEM_JSON)
    context: Context = request.app.state.context
    if status in (404, 405) and not hasattr(request.state, "principal"):
        with contextlib.suppress(SosieError):  # no route, so `require` never ran: find out whose page this is
            request.state.principal = context.door.principal(request)
    page = context.page(request, "error.html", status=status, title=title, what=what, what_next=what_next)
    page.headers.update(headers)
    return page


def _is_api(request: Request) -> bool:
    return inner_path(request).startswith("/api/")

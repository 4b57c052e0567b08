"""The reviewer's pages: queue, case, claim, verdict. They work without JavaScript.

Every rule a page shows is enforced by `monitor.review`; a write that comes too late gets the case page again with status 409,
what the reviewer typed still in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import RedirectResponse, Response

from monitor.base.errors import LeaseHeld, LeaseLost, RequestRefused, SosieError
from monitor.console.auth import Principal, Reader, Reviewer
from monitor.console.context import Context, ContextDep
from monitor.console.files import frame
from monitor.console.problems import status_of
from monitor.review import queue, verdicts
from monitor.review.cases import CaseState
from monitor.review.verdicts import Verdict
from monitor.scan.views import QUEUE_PAGE, VERDICT_HINTS, case_view, queue_view

router = APIRouter(include_in_schema=False)

REASON_MAX = 4000
NOTICES = {
    "nothing-free": "Nothing is waiting that nobody has claimed.",
    "recorded": "Your verdict is recorded.",
    "released": "You gave the case back.",
    "reopened": "The case is in the queue again.",
}

ShownState = Literal["open", "decided", "all"]
Text = Annotated[str, Form(max_length=REASON_MAX)]
Token = Annotated[int, Form()]


@dataclass(frozen=True, slots=True)
class Draft:
    """A verdict that stands in the form and is not recorded yet."""

    verdict: str = ""
    reason: str = ""

    def __bool__(self) -> bool:
        return bool(self.verdict or self.reason.strip())


@router.get("/")
def home(context: ContextDep, principal: Reader) -> Response:
    return RedirectResponse(f"{context.root}/queue", 303)


@router.get("/queue")
def queue_page(
    request: Request,
    context: ContextDep,
    principal: Reader,
    state: ShownState = "open",
    likeness: str = "",
    name: Annotated[str, Query(alias="queue")] = "",
    after: str = "",
    said: str = "",
) -> Response:
    shown = None if state == "all" else CaseState(state)
    with context.store.session(read_only=True) as session:
        view = queue_view(
            session,
            state=shown,
            likeness_id=likeness or None,
            name=name or None,
            after=after or None,
            now=context.clock(),
            limit=QUEUE_PAGE,
        )
    return context.page(request, "queue.html", view=view, state=state, likeness=likeness, name=name, after=after, notice=NOTICES.get(said))


@router.post("/queue/next")
def claim_next(
    context: ContextDep,
    principal: Reviewer,
    likeness: Annotated[str, Form(max_length=100)] = "",
    name: Annotated[str, Form(alias="queue", max_length=100)] = "",
) -> Response:
    return _to_next(context, principal, likeness_id=likeness or None, name=name or None, otherwise="nothing-free")


@router.get("/cases/{case_id}")
def case_page(request: Request, case_id: str, context: ContextDep, principal: Reader, said: Annotated[str, Query()] = "") -> Response:
    return _case_page(request, context, principal, case_id, notice=NOTICES.get(said))


@router.post("/cases/{case_id}/claim")
def claim(request: Request, case_id: str, context: ContextDep, principal: Reviewer, verdict: Text = "", reason: Text = "") -> Response:
    draft = Draft(verdict, reason)
    try:
        with context.store.session() as session:
            queue.claim(session, case_id, reviewer=principal.name, lease_s=context.settings.lease_s, now=context.clock())
    except (LeaseHeld, RequestRefused) as error:
        return _case_page(request, context, principal, case_id, draft=draft, error=error)
    return (
        _case_page(request, context, principal, case_id, draft=draft) if draft else RedirectResponse(f"{context.root}/cases/{case_id}", 303)
    )


@router.post("/cases/{case_id}/renew")
def renew(
    request: Request, case_id: str, context: ContextDep, principal: Reviewer, token: Token, verdict: Text = "", reason: Text = ""
) -> Response:
    draft = Draft(verdict, reason)
    try:
        with context.store.session() as session:
            queue.renew(session, case_id, reviewer=principal.name, token=token, lease_s=context.settings.lease_s, now=context.clock())
    except LeaseLost as error:
        return _case_page(request, context, principal, case_id, draft=draft, error=error)
    return (
        _case_page(request, context, principal, case_id, draft=draft) if draft else RedirectResponse(f"{context.root}/cases/{case_id}", 303)
    )


@router.post("/cases/{case_id}/release")
def release(request: Request, case_id: str, context: ContextDep, principal: Reviewer, token: Token) -> Response:
    try:
        with context.store.session() as session:
            queue.release(session, case_id, reviewer=principal.name, token=token, now=context.clock())
    except LeaseLost as error:
        return _case_page(request, context, principal, case_id, error=error)
    return RedirectResponse(f"{context.root}/queue?said=released", 303)


@router.post("/cases/{case_id}/verdict")
def give_verdict(
    request: Request,
    case_id: str,
    context: ContextDep,
    principal: Reviewer,
    token: Token,
    verdict: Text = "",
    reason: Text = "",
    seen: Annotated[int | None, Form()] = None,
    then: Literal["stay", "next"] = Form("stay"),
) -> Response:
    draft = Draft(verdict, reason)
    missing = {
        field: text
        for field, given, text in (
            ("verdict", verdict, "Choose a verdict."),
            ("reason", reason.strip(), "Say why. One sentence is enough; it is what an appeal will be read against."),
        )
        if not given
    }
    if missing:
        return _case_page(request, context, principal, case_id, draft=draft, missing=missing, status=422)
    try:
        with context.store.session() as session:
            verdicts.decide(
                session,
                case_id,
                reviewer=principal.name,
                token=token,
                verdict=verdict,
                reason=reason,
                now=context.clock(),
                seen=seen,
            )
    except (LeaseLost, RequestRefused) as error:
        return _case_page(request, context, principal, case_id, draft=draft, error=error)
    if then == "next":
        return _to_next(context, principal, otherwise="recorded")
    return RedirectResponse(f"{context.root}/cases/{case_id}?said=recorded", 303)


@router.post("/cases/{case_id}/reopen")
def reopen(request: Request, case_id: str, context: ContextDep, principal: Reviewer, reason: Text = "") -> Response:
    if not reason.strip():
        missing = {"reopening": "Say why the case should be looked at again."}
        return _case_page(request, context, principal, case_id, missing=missing, status=422)
    try:
        with context.store.session() as session:
            verdicts.reopen(session, case_id, reviewer=principal.name, reason=reason, now=context.clock())
    except RequestRefused as error:
        return _case_page(request, context, principal, case_id, error=error)
    return RedirectResponse(f"{context.root}/cases/{case_id}?said=reopened", 303)


def _to_next(
    context: Context, principal: Principal, *, otherwise: str, likeness_id: str | None = None, name: str | None = None
) -> Response:
    with context.store.session() as session:
        lease = queue.claim_next(
            session, reviewer=principal.name, lease_s=context.settings.lease_s, now=context.clock(), likeness_id=likeness_id, name=name
        )
    return RedirectResponse(context.root + (f"/cases/{lease.case_id}" if lease else f"/queue?said={otherwise}"), 303)


def _case_page(
    request: Request,
    context: Context,
    principal: Principal,
    case_id: str,
    *,
    draft: Draft = Draft(),
    missing: dict[str, str] | None = None,
    notice: str | None = None,
    error: SosieError | None = None,
    status: int = 200,
) -> Response:
    now = context.clock()
    with context.store.session(read_only=True) as session:
        view = case_view(session, case_id)
    case = view.case
    claimed = case.claimed(now)
    return context.page(
        request,
        "case.html",
        status=status_of(error) if error else status,
        view=view,
        framings={position: frame(context, moment) for position, moment in view.moments},
        claimed=claimed,
        mine=claimed and case.lease_owner == principal.name,
        seconds_left=int((case.lease_expires_at - now).total_seconds()) if claimed and case.lease_expires_at else 0,
        lease_s=context.settings.lease_s,
        verdicts=tuple(Verdict),
        hints=VERDICT_HINTS,
        draft=draft,
        missing=missing or {},
        notice=notice,
        error=error,
    )

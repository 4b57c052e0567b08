"""The JSON API: the same verbs as the pages, for scripts of a signed-in person (API keys will enter through `auth.require`).

Errors are `application/problem+json`. Writes need the `X-CSRF-Token` that `GET /api/me` gives. Times are ISO 8601 in UTC.
The description is at `/api/openapi.json`, and as a plain page at `/api/docs`.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse, Response

from monitor.console.auth import Reader, Reviewer
from monitor.console.context import ContextDep
from monitor.review import queue, verdicts
from monitor.review.cases import Case, CaseState
from monitor.review.queue import Lease
from monitor.review.verdicts import Verdict
from monitor.review.videos import Post
from monitor.scan.views import CaseView, PostStanding, QueueRow, case_view, queue_view


class Problem(BaseModel):
    """RFC 9457. `code` is stable; `detail` says what happened and what to do next."""

    type: str
    title: str
    status: int
    code: str
    detail: str


class Me(BaseModel):
    name: str
    capabilities: list[str]
    csrf_token: str = Field(description="send it as X-CSRF-Token with every write")


class LikenessOut(BaseModel):
    id: str
    name: str
    deceased_on: date | None


class Reason(BaseModel):
    code: str
    weight: float = Field(description="log-odds")
    text: str


class CoveredOut(BaseModel):
    """The verdict that was given on earlier posts of the same bytes, and covers this one."""

    verdict: Verdict
    decided_at: datetime


class CaseOut(BaseModel):
    id: str
    likeness: LikenessOut
    video_sha256: str
    state: CaseState
    verdict: Verdict | None
    risk: float = Field(description="0 to 1")
    reasons: list[Reason]
    opened_at: datetime
    reopened_at: datetime | None = Field(description="when it last came back to the queue")
    events: int = Field(description="counts what happened to the case; give it as `seen` with a verdict")
    queue: str
    priority: int = Field(description="1 comes first")
    due_at: datetime | None = Field(description="when it should be decided")
    claimed_by: str | None = Field(description="whoever holds a live claim")
    claimed_until: datetime | None


class QueueItem(CaseOut):
    posts: int


class QueuePage(BaseModel):
    items: list[QueueItem]
    next: str | None = Field(description="pass it as `after`; null on the last page")
    open: int
    claimed: int
    decided: int


class MomentOut(BaseModel):
    time_s: float
    score: float
    still: str = Field(description="address of the picture")
    reference: str | None = Field(description="address of the picture it resembles")


class MarkOut(BaseModel):
    name: str
    generator: str | None
    score: float = Field(description="0 to 1, evidence from 0.5 on")
    ranges: list[tuple[float, float]] = Field(description="when it is seen, in seconds")
    at_s: float = Field(description="the clearest moment")
    box: tuple[float, float, float, float] = Field(description="where it is then: left, top, right, bottom in fractions of the picture")


class PostOut(BaseModel):
    id: str
    source: str
    platform: str | None
    account: str | None
    posted_at: datetime | None
    caption: str | None
    views: int | None
    purpose: str | None
    territory: str | None
    risk: float | None = Field(description="as its assessment stands; null where the latest scan does not find the likeness")
    flagged: bool
    flag_lost_at: datetime | None = Field(description="it was flagged until then")
    covered_by: CoveredOut | None = Field(description="the verdict that covers the post without having been given on it")


class VerdictOut(BaseModel):
    reviewer: str
    verdict: Verdict
    reason: str
    decided_at: datetime
    posts: list[str] | None = Field(description="the posts it was given on; null: of an earlier release, which did not say")


class EventOut(BaseModel):
    at: datetime
    actor: str
    action: str
    detail: dict[str, Any]


class CaseDetail(CaseOut):
    moments: list[MomentOut]
    provenance: list[str]
    history: dict[str, Any] = Field(description="the manifests of the file, as `sosie provenance --json` gives them")
    watermarks: list[MarkOut] = Field(description="visible marks of generators that are seen, the surest first; each may be forged")
    posts: list[PostOut]
    versions: dict[str, str]
    verdicts: list[VerdictOut]
    audit: list[EventOut]


class LeaseOut(BaseModel):
    """A claim. `token` is the fencing token that renew, release and verdict must present."""

    case_id: str
    token: int
    expires_at: datetime


class LeaseIn(BaseModel):
    token: int


class VerdictIn(BaseModel):
    token: int
    verdict: Verdict
    reason: str = Field(min_length=1, max_length=4000)
    seen: int | None = Field(
        None, description="the case's `events` as you read them: the verdict is given on the posts of then; null: on all"
    )


class ReopenIn(BaseModel):
    reason: str = Field(min_length=1, max_length=4000)


_PROBLEM: dict[str, Any] = {"model": Problem, "content": {"application/problem+json": {}}}
_NAMED = {401: "Not signed in", 403: "Not allowed, or no CSRF token", 404: "Unknown", 409: "The claim is not yours", 422: "Not acceptable"}
_ANSWERS: dict[int | str, dict[str, Any]] = {status: _PROBLEM | {"description": text} for status, text in _NAMED.items()}
_ANSWERS[503] = _PROBLEM | {"description": "The database or the storage is busy or away: try again"}

router = APIRouter(prefix="/api", responses=_ANSWERS)


@router.get("/me", tags=["account"])
def me(principal: Reader) -> Me:
    """Who is signed in."""
    return Me(name=principal.name, capabilities=sorted(principal.capabilities), csrf_token=principal.csrf_token)


@router.get("/cases", tags=["queue"])
def list_cases(
    context: ContextDep,
    principal: Reader,
    state: Literal["open", "decided", "all"] = "open",
    likeness: Annotated[str | None, Query(description="a likeness id")] = None,
    name: Annotated[str | None, Query(alias="queue", description="the name of a queue; default: all")] = None,
    after: Annotated[str | None, Query(description="`next` of the page before")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> QueuePage:
    """Cases by priority, then by risk, highest first; the oldest first among equals."""
    now = context.clock()
    shown = None if state == "all" else CaseState(state)
    with context.store.session(read_only=True) as session:
        view = queue_view(session, state=shown, likeness_id=likeness, name=name, after=after, now=now, limit=limit)
    return QueuePage(
        items=[_item(row, now) for row in view.rows],
        next=view.next,
        open=view.counts.open,
        claimed=view.counts.claimed,
        decided=view.counts.decided,
    )


@router.post("/cases/next", tags=["claim"], responses={204: {"description": "Nothing is free"}}, response_model=LeaseOut)
def claim_next(context: ContextDep, principal: Reviewer) -> Any:
    """Claim the most urgent case that nobody holds."""
    with context.store.session() as session:
        lease = queue.claim_next(session, reviewer=principal.name, lease_s=context.settings.lease_s, now=context.clock())
    return _lease(lease) if lease else Response(status_code=204)


@router.get("/cases/{case_id}", tags=["queue"])
def get_case(case_id: str, context: ContextDep, principal: Reader) -> CaseDetail:
    """Everything the case page shows."""
    with context.store.session(read_only=True) as session:
        view = case_view(session, case_id)
    return _detail(view, context.clock(), context.root)


@router.post("/cases/{case_id}/claim", tags=["claim"])
def claim(case_id: str, context: ContextDep, principal: Reviewer) -> LeaseOut:
    """Take the case for a while. Your own live claim is renewed and keeps its token."""
    with context.store.session() as session:
        return _lease(queue.claim(session, case_id, reviewer=principal.name, lease_s=context.settings.lease_s, now=context.clock()))


@router.post("/cases/{case_id}/renew", tags=["claim"])
def renew(case_id: str, body: LeaseIn, context: ContextDep, principal: Reviewer) -> LeaseOut:
    """Extend a live claim."""
    with context.store.session() as session:
        lease = queue.renew(
            session, case_id, reviewer=principal.name, token=body.token, lease_s=context.settings.lease_s, now=context.clock()
        )
    return _lease(lease)


@router.post("/cases/{case_id}/release", tags=["claim"], status_code=204)
def release(case_id: str, body: LeaseIn, context: ContextDep, principal: Reviewer) -> None:
    """Give the case back to the queue."""
    with context.store.session() as session:
        queue.release(session, case_id, reviewer=principal.name, token=body.token, now=context.clock())


@router.post("/cases/{case_id}/verdict", tags=["claim"])
def give_verdict(case_id: str, body: VerdictIn, context: ContextDep, principal: Reviewer) -> VerdictOut:
    """Decide the case. Sending the same again changes nothing and answers the same."""
    with context.store.session() as session:
        given = verdicts.decide(
            session,
            case_id,
            reviewer=principal.name,
            token=body.token,
            verdict=body.verdict,
            reason=body.reason,
            now=context.clock(),
            seen=body.seen,
        )
    return _verdict(given)


@router.post("/cases/{case_id}/reopen", tags=["verdict"])
def reopen(case_id: str, body: ReopenIn, context: ContextDep, principal: Reviewer) -> CaseOut:
    """Put a decided case back in the queue, with a reason. Its verdicts stay on record."""
    now = context.clock()
    with context.store.session() as session:
        case = verdicts.reopen(session, case_id, reviewer=principal.name, reason=body.reason, now=now)
        return CaseOut(**_case(case, case_view(session, case_id).likeness, now))


@router.get("/openapi.json", include_in_schema=False)
def openapi(request: Request, principal: Reader) -> Response:
    return JSONResponse(request.app.openapi())


@router.get("/docs", include_in_schema=False)
def docs(request: Request, context: ContextDep, principal: Reader) -> Response:
    """The endpoints as a plain page: no script, nothing from another host."""
    endpoints = [
        (method.upper(), path, operation)
        for path, methods in request.app.openapi()["paths"].items()
        for method, operation in methods.items()
    ]
    return context.page(request, "api.html", endpoints=endpoints)


def _case(case: Case, likeness: Any, now: datetime) -> dict[str, Any]:
    claimed = case.claimed(now)
    return {
        "id": case.id,
        "likeness": LikenessOut(id=likeness.id, name=likeness.name, deceased_on=likeness.deceased_on),
        "video_sha256": case.video_sha256,
        "state": case.state,
        "verdict": case.verdict,
        "risk": case.risk,
        "reasons": case.reasons,
        "opened_at": case.opened_at,
        "reopened_at": case.reopened_at,
        "events": case.events,
        "queue": case.queue,
        "priority": case.priority,
        "due_at": case.due_at,
        "claimed_by": case.lease_owner if claimed else None,
        "claimed_until": case.lease_expires_at if claimed else None,
    }


def _item(row: QueueRow, now: datetime) -> QueueItem:
    return QueueItem(**_case(row.case, row.likeness, now), posts=row.posts)


def _detail(view: CaseView, now: datetime, root: str) -> CaseDetail:
    case_id = view.case.id
    return CaseDetail(
        **_case(view.case, view.likeness, now),
        moments=[
            MomentOut(
                time_s=moment.time_s,
                score=moment.score,
                still=f"{root}/cases/{case_id}/stills/{position}",
                reference=f"{root}/references/{moment.reference_id}" if moment.reference_id else None,
            )
            for position, moment in view.moments
        ],
        provenance=list(view.provenance),
        history=view.history.to_json(),
        watermarks=[MarkOut.model_validate(mark, from_attributes=True) for mark in view.marks],
        posts=[_post(post, view.standings[post.id]) for post in view.posts],
        versions=view.case.versions,
        verdicts=[_verdict(given) for given in view.verdicts],
        audit=[EventOut.model_validate(event, from_attributes=True) for event in view.trail],
    )


def _post(post: Post, standing: PostStanding) -> PostOut:
    given = standing.covered_by
    return PostOut(
        **{name: getattr(post, name) for name in _OF_POST},
        risk=standing.risk,
        flagged=standing.flagged,
        flag_lost_at=standing.flag_lost_at,
        covered_by=None if given is None else CoveredOut.model_validate(given, from_attributes=True),
    )


_OF_POST = ("id", "source", "platform", "account", "posted_at", "caption", "views", "purpose", "territory")


def _verdict(given: verdicts.GivenVerdict) -> VerdictOut:
    posts = None if given.uses is None else [use["post"] for use in given.uses]
    return VerdictOut(
        reviewer=given.reviewer, verdict=Verdict(given.verdict), reason=given.reason, decided_at=given.decided_at, posts=posts
    )


def _lease(lease: Lease) -> LeaseOut:
    return LeaseOut(case_id=lease.case_id, token=lease.token, expires_at=lease.expires_at)

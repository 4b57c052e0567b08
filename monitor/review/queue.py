"""The queue: cases in order, and the leases under which reviewers work on them.

A claim is a lease with a fencing token. Each new claim gets a token greater than any before it on that case, so whoever held an
older one cannot write any more. A lease is live while `now < expires_at`; at `expires_at` it is over, for its owner too.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import Session

from monitor.base.errors import LeaseHeld, LeaseLost, RequestRefused
from monitor.review.cases import Case, CasePost, CaseState, lock_case, record
from monitor.review.videos import Post

MAX_PAGE = 500


@dataclass(frozen=True, slots=True)
class Lease:
    """Proof of a claim: whoever changes the case shows its token."""

    case_id: str
    owner: str
    token: int
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Item:
    """One line of the queue. `views` adds up what the posts' platforms said, unknown counting as 0."""

    case: Case
    posts: int
    views: int


@dataclass(frozen=True, slots=True)
class Page:
    """One page of the queue. `next` is the cursor of the page after this one; None: this was the last."""

    items: tuple[Item, ...]
    next: str | None


@dataclass(frozen=True, slots=True)
class Counts:
    """How many cases are in each state. `claimed` cases are among the `open` ones."""

    open: int
    claimed: int
    decided: int


def page(
    session: Session,
    *,
    state: CaseState | None = CaseState.OPEN,
    likeness_id: str | None = None,
    name: str | None = None,
    after: str | None = None,
    limit: int = 50,
) -> Page:
    """Cases by priority, then by risk, the riskiest first, then the oldest; `state` None: open and decided ones; `name` one queue.

    New cases neither shift nor repeat a line on later pages; only a case that grew more urgent meanwhile may be met on an earlier one.
    Raises `RequestRefused` for a cursor that `page` did not make, or a limit outside 1 to 500.
    """
    if not 1 <= limit <= MAX_PAGE:
        raise RequestRefused("The page size", f"{limit} is outside 1 to {MAX_PAGE}", "Ask for fewer cases per page")
    totals = (
        select(CasePost.case_id, func.count().label("posts"), func.coalesce(func.sum(Post.views), 0).label("views"))
        .join(Post, Post.id == CasePost.post_id)
        .group_by(CasePost.case_id)
        .subquery()
    )
    query = select(Case, totals.c.posts, totals.c.views).join(totals, totals.c.case_id == Case.id).order_by(*_ORDER).limit(limit + 1)
    if state is not None:
        query = query.where(Case.state == state)
    if likeness_id is not None:
        query = query.where(Case.likeness_id == likeness_id)
    if name is not None:
        query = query.where(Case.queue == name)
    if after is not None:
        query = query.where(_beyond(after))
    items = tuple(Item(case, int(posts), int(views)) for case, posts, views in session.execute(query))
    more = len(items) > limit
    return Page(items[:limit], _cursor(items[limit - 1].case) if more else None)


def counts(session: Session, *, now: datetime) -> Counts:
    """How many cases there are in each state, for the page's head and for the gauges."""
    by_state = {row[0]: row[1] for row in session.execute(select(Case.state, func.count()).group_by(Case.state))}
    claimed = session.scalars(select(func.count()).select_from(Case).where(Case.state == CaseState.OPEN, ~_free(now))).one()
    return Counts(open=by_state.get(CaseState.OPEN, 0), claimed=claimed, decided=by_state.get(CaseState.DECIDED, 0))


def oldest_open(session: Session) -> datetime | None:
    """Since when the open case that waits longest has waited, a reopened one since it was reopened; None when all are decided."""
    since = func.coalesce(Case.reopened_at, Case.opened_at, type_=Case.opened_at.type)
    return session.scalars(select(since).where(Case.state == CaseState.OPEN).order_by(since).limit(1)).one_or_none()


def claim(session: Session, case_id: str, *, reviewer: str, lease_s: float, now: datetime) -> Lease:
    """Claim one case. Its own live claim is renewed and keeps its token; anything else gets a greater one.

    Raises `LeaseHeld` while another reviewer's claim is live, `RequestRefused` for a decided case, `NotFound`.
    """
    case = lock_case(session, case_id)
    if case.state == CaseState.DECIDED:
        raise RequestRefused(f"Case {case_id}", f"is decided ({case.verdict})", "Reopen it, with a reason, to decide again")
    if case.claimed(now) and case.lease_owner != reviewer:
        raise LeaseHeld(
            f"Case {case_id}",
            f"{case.lease_owner} has claimed it until {_until(case)}",
            f"Take another case, or ask {case.lease_owner} to release it",
        )
    return _renew(session, case, lease_s, now) if case.claimed(now) else _grant(session, case, reviewer, lease_s, now)


def names(session: Session) -> list[str]:
    """The queues that have open cases."""
    return list(session.scalars(select(Case.queue).where(Case.state == CaseState.OPEN).distinct().order_by(Case.queue)))


def overdue(session: Session, *, now: datetime) -> int:
    """How many open cases are past the time by which they should have been decided."""
    return session.scalars(select(func.count()).select_from(Case).where(Case.state == CaseState.OPEN, Case.due_at < now)).one()


def claim_next(
    session: Session, *, reviewer: str, lease_s: float, now: datetime, likeness_id: str | None = None, name: str | None = None
) -> Lease | None:
    """Claim the first open case in the queue's order that nobody, the reviewer included, has a live claim on; None: there is none.

    Two reviewers asking at once get two cases: PostgreSQL skips the row another transaction holds, SQLite lets one in at a time.
    """
    query = select(Case).where(Case.state == CaseState.OPEN, _free(now)).order_by(*_ORDER).limit(1)
    if likeness_id is not None:
        query = query.where(Case.likeness_id == likeness_id)
    if name is not None:
        query = query.where(Case.queue == name)
    first = query.with_for_update(skip_locked=True).execution_options(populate_existing=True)
    case = session.scalars(first).one_or_none()
    return None if case is None else _grant(session, case, reviewer, lease_s, now)


def renew(session: Session, case_id: str, *, reviewer: str, token: int, lease_s: float, now: datetime) -> Lease:
    """Extend a live claim to `lease_s` from now. Raises `LeaseLost` when it is no longer the reviewer's, `NotFound`."""
    case = lock_case(session, case_id)
    require_lease(case, reviewer=reviewer, token=token, now=now)
    return _renew(session, case, lease_s, now)


def release(session: Session, case_id: str, *, reviewer: str, token: int, now: datetime) -> None:
    """Give a claim back before it ends. Raises `LeaseLost` when it is no longer the reviewer's, `NotFound`."""
    case = lock_case(session, case_id)
    require_lease(case, reviewer=reviewer, token=token, now=now)
    end_lease(case)
    record(session, case, "case.released", actor=reviewer, now=now, detail={"token": token})


def require_lease(case: Case, *, reviewer: str, token: int, now: datetime) -> None:
    """Raise `LeaseLost` unless the reviewer holds the live claim with this token on the (locked) case."""
    if case.claimed(now) and case.lease_owner == reviewer and case.lease_token == token:
        return
    if case.state == CaseState.DECIDED:
        reason = f"it was decided meanwhile ({case.verdict})"
    elif case.claimed(now) and case.lease_owner != reviewer:
        reason = f"{case.lease_owner} has claimed it until {_until(case)}"
    elif case.lease_expires_at is not None and case.lease_token == token and case.lease_owner == reviewer:
        reason = f"your claim ended at {_until(case)}"
    else:
        reason = "that claim was released or replaced by a newer one"
    raise LeaseLost(f"Case {case.id}", f"{reason}; nothing was changed", "Copy your text if you need it, and claim the case again")


def end_lease(case: Case) -> None:
    """End the claim on a case, which is nobody's from now on. The token stays: the next claim's must be greater."""
    case.lease_owner = None
    case.lease_expires_at = None


def _grant(session: Session, case: Case, reviewer: str, lease_s: float, now: datetime) -> Lease:
    case.lease_owner = reviewer
    case.lease_token += 1
    lease = _renew(session, case, lease_s, now)
    record(session, case, "case.claimed", actor=reviewer, now=now, detail={"token": lease.token, "until": lease.expires_at.isoformat()})
    return lease


def _renew(session: Session, case: Case, lease_s: float, now: datetime) -> Lease:
    expires_at = now + timedelta(seconds=lease_s)
    case.lease_expires_at = expires_at
    session.flush()
    return Lease(case.id, str(case.lease_owner), case.lease_token, expires_at)


def _free(now: datetime) -> ColumnElement[bool]:
    return or_(Case.lease_expires_at.is_(None), Case.lease_expires_at <= now)


def _until(case: Case) -> str:
    return f"{case.lease_expires_at:%H:%M:%S} UTC"


_ORDER = (Case.priority, Case.risk.desc(), Case.opened_at, Case.id)


def _cursor(case: Case) -> str:
    return base64.urlsafe_b64encode(json.dumps([case.priority, case.risk, case.opened_at.isoformat(), case.id]).encode()).decode()


def _beyond(cursor: str) -> ColumnElement[bool]:
    try:
        priority, risk, opened_at_text, case_id = json.loads(base64.urlsafe_b64decode(cursor.encode()))
        priority, risk, opened_at, case_id = int(priority), float(risk), datetime.fromisoformat(opened_at_text), str(case_id)
        if opened_at.tzinfo is None or not (case_id.isascii() and case_id.isprintable()) or abs(priority) >= 2**31:
            raise ValueError("a time without a zone, no id, or no priority")
    except (ValueError, TypeError, OverflowError, RecursionError) as error:  # the last two: numbers and nesting beyond all measure
        raise RequestRefused(
            "The page address", "its `after` part is not one this queue gave out", "Start again from the first page"
        ) from error
    behind = or_(
        Case.risk < risk,
        and_(Case.risk == risk, Case.opened_at > opened_at),
        and_(Case.risk == risk, Case.opened_at == opened_at, Case.id > case_id),
    )
    return or_(Case.priority > priority, and_(Case.priority == priority, behind))

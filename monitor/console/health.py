"""Health and metrics of the console, for machines.

`/health/live` answers while the process does, `/health/ready` (and `/health`) while a page could be answered; both are open to all under
any host name, and say one word per part. `/metrics` is open to those `Exposition` admits; to others it takes a signed-in account.
Metrics carry no person's name. `metrics_port.py` answers the same on a port of its own.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse, Response

from monitor.base.database import Store
from monitor.base.errors import SosieError
from monitor.base.exposition import CONTENT_TYPE
from monitor.console.auth import Capability, SentToken, require
from monitor.console.context import ContextDep

router = APIRouter(include_in_schema=False)

_require_metrics = require(Capability.READ_METRICS)


def _metrics_reader(request: Request, context: ContextDep, token: SentToken) -> None:
    if not context.exposition.admits(peer(request), request.headers):
        _require_metrics(request, token)


@router.get("/health/live")
def live() -> Response:
    """An answer of 200 while the process runs."""
    return JSONResponse({"status": "ok"})


@router.get("/health")
@router.get("/health/ready")
def ready(context: ContextDep) -> Response:
    """An answer of 200 when a page could be answered now, of 503 when not."""
    return readiness(context.store)


@router.get("/metrics")
def metrics(context: ContextDep, allowed: Annotated[None, Depends(_metrics_reader)]) -> Response:
    return Response(context.exposition.text(), media_type=CONTENT_TYPE)


def readiness(store: Store) -> Response:
    """An answer that says whether this database, at whatever version, can be asked."""
    try:
        there = store.version() is not None
    except SosieError:
        there = False
    if not there:
        return JSONResponse({"status": "unavailable", "database": "unavailable"}, 503)
    return JSONResponse({"status": "ok", "database": "ok"})


def peer(request: Request) -> str | None:
    return request.client.host if request.client else None

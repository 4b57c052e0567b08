"""For machines: is it up, and what do the counters say.

`/health` is open to all and says one word per part, nothing else. `/metrics` is open to a scraper on the same machine (a
loopback peer whose request no proxy forwarded); from elsewhere it takes a signed-in account. Metrics carry no person's name.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import JSONResponse, Response

from monitor.base.errors import SosieError
from monitor.console.auth import Capability, SentToken, require
from monitor.console.context import ContextDep
from monitor.console.security import is_loopback

router = APIRouter(include_in_schema=False)

FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")
_require_metrics = require(Capability.READ_METRICS)


def _metrics_reader(request: Request, token: SentToken) -> None:
    local = is_loopback(request.client.host if request.client else None)
    if not local or any(name in request.headers for name in FORWARDED):
        _require_metrics(request, token)


@router.get("/health")
def health(context: ContextDep) -> Response:
    """200 when a page could be answered now, 503 when not."""
    try:
        context.store.version()
    except SosieError:
        return JSONResponse({"status": "unavailable", "database": "unavailable"}, 503)
    return JSONResponse({"status": "ok", "database": "ok"})


@router.get("/metrics")
def metrics(context: ContextDep, allowed: Annotated[None, Depends(_metrics_reader)]) -> Response:
    return Response(generate_latest(context.registry), media_type=CONTENT_TYPE_LATEST)

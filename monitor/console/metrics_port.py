"""The console's own port for machines: `/metrics`, `/health/live` and `/health/ready`, and nothing else. Nobody signs in there.

It may listen where the console must not, say on a pod's address behind which a scraper stands. Both ports are served by one server.
"""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from monitor.base.database import Store
from monitor.base.exposition import CONTENT_TYPE, REFUSAL, Exposition
from monitor.console.health import live, peer, readiness


def make_metrics_app(store: Store, exposition: Exposition) -> Starlette:
    """Metrics for scrapers that `exposition` admits, health for everybody, under any host name."""

    def metrics(request: Request) -> Response:
        if not exposition.admits(peer(request), request.headers):
            return PlainTextResponse(REFUSAL, 403)
        return Response(exposition.text(), media_type=CONTENT_TYPE)

    def alive(_: Request) -> Response:
        return live()

    def ready(_: Request) -> Response:
        return readiness(store)

    return Starlette(routes=[Route("/metrics", metrics), Route("/health/live", alive), Route("/health/ready", ready)])


class ByPort:
    """ASGI application: what arrives at one port goes to one application, everything else to another.

    The port is that of the socket, so that no header can choose.
    """

    def __init__(self, otherwise: ASGIApp, port: int, at_port: ASGIApp) -> None:
        self._otherwise = otherwise
        self._port = port
        self._at_port = at_port

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        server = scope.get("server") if scope["type"] == "http" else None
        app = self._at_port if server is not None and server[1] == self._port else self._otherwise
        await app(scope, receive, send)

"""Whom a request comes from, where a proxy stands before the console.

`X-Forwarded-For`, `-Proto` and `-Host` count only when the peer of the connection is a trusted proxy (`SOSIE_SERVE_PROXIES`); from
anybody else they are ignored. The client is the rightmost address of `X-Forwarded-For` that is no trusted proxy: what stands to the left
of it, the client may have written itself. RFC 7239's `Forwarded` is not read.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any, cast

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from monitor.base.settings import Network


class Forwarding:
    """ASGI middleware: sets the scope's client, scheme and Host to what a trusted proxy says they were. Outermost; holds no state."""

    def __init__(self, app: ASGIApp, proxies: Sequence[Network]) -> None:
        self._proxies = tuple(proxies)
        self._client_and_scheme: ASGIApp = cast(Any, ProxyHeadersMiddleware(cast(Any, app), [str(network) for network in proxies]))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._trusted(scope) and (named := Headers(scope=scope).getlist("x-forwarded-host")):
            scope = {**scope, "headers": list(scope["headers"])}
            MutableHeaders(scope=scope)["host"] = named[-1].rpartition(",")[2].strip()
        await self._client_and_scheme(scope, receive, send)

    def _trusted(self, scope: Scope) -> bool:
        try:
            peer = ipaddress.ip_address(scope["client"][0]) if scope.get("client") else None
        except ValueError:
            return False
        return peer is not None and any(peer in network for network in self._proxies)

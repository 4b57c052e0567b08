"""What every answer of the console carries, and which requests never reach a page.

`Guard` is a pure ASGI middleware: it refuses a Host header that is not ours (DNS rebinding: a hostile page resolves its
own name to 127.0.0.1 and reads the queue through the reviewer's browser), refuses state-changing requests that the browser
itself calls cross-site, and sets the headers below. Order in the stack does not matter to it; it holds no state.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    )
)

HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), autoplay=()",
}

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_EVERY_ADDRESS = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - compared with, not bound to


def allowed_hosts(serve_host: str) -> frozenset[str]:
    """The names a browser may use: loopback, and the configured host unless it means "every address"."""
    return LOOPBACK_NAMES | ({serve_host.lower()} - _EVERY_ADDRESS)


def is_loopback(address: str | None) -> bool:
    try:
        return address is not None and ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


class Guard:
    """Refuses foreign hosts and cross-site writes; sets `HEADERS`; pages and pictures are never stored, static files revalidated."""

    def __init__(self, app: ASGIApp, hosts: Collection[str]) -> None:
        self._app = app
        self._hosts = frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                headers.setdefault("Cache-Control", "no-cache" if scope["path"].startswith("/static/") else "no-store")
            await send(message)

        headers = Headers(scope=scope)
        if _host_name(headers.getlist("host")) not in self._hosts:
            refusal = PlainTextResponse("This server does not answer to that name. Use the address that `sosie serve` printed.\n", 421)
            await refusal(scope, receive, send_guarded)
        elif scope["method"] not in SAFE_METHODS and headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            refusal = PlainTextResponse("A page of another site sent this request. Nothing was changed.\n", 403)
            await refusal(scope, receive, send_guarded)
        else:
            await self._app(scope, receive, send_guarded)


def _host_name(values: list[str]) -> str | None:
    """`[::1]:8000` -> `::1`; None when the header is missing or doubled."""
    if len(values) != 1:
        return None
    host = values[0].lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]

"""The headers that every answer of the console carries, and the requests that never reach a page.

`Guard` is a pure ASGI middleware: it refuses a Host header that is not ours (DNS rebinding: a hostile page resolves its
own name to 127.0.0.1 and reads the queue through the reviewer's browser; `/health` alone answers to any name), refuses
state-changing requests that the browser itself calls cross-site, and sets the headers below. It holds no state.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

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

HEALTH = ("/health", "/health/live", "/health/ready")
"""Asked by pod addresses and load balancers, under whatever name; they tell nothing a stranger may not know."""

UNKNOWN_NAME = "This server does not answer to that name. Use the address `sosie serve` printed, or add the name to SOSIE_SERVE_NAMES.\n"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_EVERY_ADDRESS = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - compared with, not bound to


def allowed_hosts(serve_host: str, names: Iterable[str] = ()) -> frozenset[str]:
    """The names a browser may use: loopback, the given ones, and the configured host unless it means "every address"."""
    return LOOPBACK_NAMES | ({serve_host.lower()} - _EVERY_ADDRESS) | set(names)


def is_allowed(host: str | None, hosts: Collection[str]) -> bool:
    """Whether a host is among `hosts`, in which `*.example.org` allows every name below example.org, and not example.org itself."""
    if host is None:
        return False
    below = (f"*{host[dot.start() :]}" for dot in re.finditer(r"\.", host))
    return host in hosts or any(pattern in hosts for pattern in below)


class Guard:
    """Refuses foreign hosts and cross-site writes; sets `HEADERS`; pages and pictures are never stored, static files revalidated."""

    def __init__(self, app: ASGIApp, hosts: Collection[str], root_path: str) -> None:
        self._app = app
        self._hosts = frozenset(hosts)
        self._health = frozenset(f"{root_path}{path}" for path in HEALTH)
        self._static = f"{root_path}/static/"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                headers.setdefault("Cache-Control", "no-cache" if scope["path"].startswith(self._static) else "no-store")
            await send(message)

        headers = Headers(scope=scope)
        if scope["path"] not in self._health and not is_allowed(_host_name(headers.getlist("host")), self._hosts):
            refusal = PlainTextResponse(UNKNOWN_NAME, 421)
            await refusal(scope, receive, send_guarded)
        elif scope["method"] not in SAFE_METHODS and headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            refusal = PlainTextResponse("A page of another site sent this request. Nothing was changed.\n", 403)
            await refusal(scope, receive, send_guarded)
        else:
            await self._app(scope, receive, send_guarded)


def _host_name(values: list[str]) -> str | None:
    """The name in a Host header, without the port, such as `::1` of `[::1]:8000`; None when the header is missing or doubled."""
    if len(values) != 1:
        return None
    host = values[0].lower().strip()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].removesuffix(".")

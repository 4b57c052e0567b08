"""The root path: where under a public address the console is, say `/sosie` on a host that serves other things too.

The proxy may hand on paths with the root path or without it: both mean the same page. Every address the console writes carries it.
"""

from __future__ import annotations

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send


class Mounting:
    """ASGI middleware: what lies inside it sees every path under `root_path`, whether or not the proxy took that away. No state."""

    def __init__(self, app: ASGIApp, root_path: str) -> None:
        self._app = app
        self._root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            root, path = self._root_path, scope["path"]
            if path == root:
                scope = {**scope, "path": f"{root}/"}
            elif not path.startswith(f"{root}/"):
                scope = {**scope, "path": root + path}
            scope["root_path"] = root
        await self._app(scope, receive, send)


def inner_path(request: HTTPConnection) -> str:
    """The request's path inside the console, without the root path."""
    path = str(request.scope["path"])
    root: str = request.app.state.root_path
    return path.removeprefix(root) if path.startswith(f"{root}/") else path

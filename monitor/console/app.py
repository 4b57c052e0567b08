"""The console as one ASGI application: reviewers' pages, the JSON API under `/api`, `/health` and `/metrics`.

From the outside in: whom the request comes from (`forwarding.py`), the root path (`mounting.py`), what is refused at once (`security.py`).

Synchronous endpoints on a thread pool, because the store is synchronous. Nothing is fetched from elsewhere: no script, style,
font or picture comes from another host.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from prometheus_client import CollectorRegistry
from starlette.staticfiles import StaticFiles

from monitor.base.database import Store
from monitor.base.errors import ConfigError
from monitor.base.exposition import Exposition
from monitor.base.settings import Settings
from monitor.base.storage import open_blobs
from monitor.console import api, files, health, pages, problems, signin
from monitor.console.auth import Door, Sessions, load_secret
from monitor.console.context import HERE, Context, make_templates
from monitor.console.cookies import Cookies
from monitor.console.forwarding import Forwarding
from monitor.console.mounting import Mounting
from monitor.console.security import Guard, allowed_hosts
from monitor.console.throttle import Throttle

MAX_BODY_BYTES = 64 * 1024


def utc_now() -> datetime:
    return datetime.now(UTC)


def create_app(settings: Settings, store: Store, *, registry: CollectorRegistry, clock: Callable[[], datetime] = utc_now) -> FastAPI:
    """Wire the console to a migrated store. The caller keeps the store and closes it.

    Reads or makes the signing key in the home. Raises `ConfigError` when that file cannot serve as a key, or the root path is the
    beginning of an address of the console's own.
    """
    root = settings.serve_root_path
    app = FastAPI(
        title="Sosie",
        summary="The review queue for protected likenesses.",
        version="1",
        servers=[{"url": root}] if root else None,
        openapi_url=None,  # served by api.py, to signed-in accounts
        docs_url=None,
        redoc_url=None,
        max_body_size=MAX_BODY_BYTES,
    )
    cookies = Cookies(root, settings.serve_cookies == "secure")
    door = Door(Sessions(load_secret(settings.home), clock), store, cookies)
    app.state.door, app.state.root_path = door, root
    exposition = Exposition.of(registry, settings)
    app.state.context = Context(settings, store, open_blobs(settings), exposition, clock, door, Throttle(clock), make_templates(root))
    for part in (pages, files, api, signin, health):
        app.include_router(part.router)
    app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")
    problems.install(app)
    app.add_middleware(Guard, hosts=allowed_hosts(settings.serve_host, settings.serve_names), root_path=root)
    if root:
        _require_room_for(root, app)
        app.add_middleware(Mounting, root_path=root)
    if settings.serve_proxies:
        app.add_middleware(Forwarding, proxies=settings.serve_proxies)
    return app


def _require_room_for(root: str, app: FastAPI) -> None:
    """Refuse a root path that begins an address of the console's own. Such an address, through a proxy that takes the root path away, could
    not be told from one through a proxy that keeps it."""
    first = f"/{root.split('/')[1]}"
    if any(f"{context.path}/".startswith(f"{first}/") for context in iter_route_contexts(app.routes)):
        raise ConfigError("SOSIE_SERVE_ROOT_PATH", f"{first} is an address of the console's own", "Choose another, such as /sosie")

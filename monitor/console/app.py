"""The console as one ASGI application: reviewers' pages, the JSON API under `/api`, `/health` and `/metrics`.

Synchronous endpoints on a thread pool, because the store is synchronous. Nothing is fetched from elsewhere: no script, style,
font or picture comes from another host.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from starlette.staticfiles import StaticFiles

from monitor.base.database import Store
from monitor.base.settings import Settings
from monitor.base.storage import open_blobs
from monitor.console import api, files, health, pages, problems, signin
from monitor.console.auth import Door, Sessions, load_secret
from monitor.console.context import HERE, Context, make_templates
from monitor.console.security import Guard, allowed_hosts
from monitor.console.throttle import Throttle

MAX_BODY_BYTES = 64 * 1024


def utc_now() -> datetime:
    return datetime.now(UTC)


def create_app(settings: Settings, store: Store, *, registry: CollectorRegistry, clock: Callable[[], datetime] = utc_now) -> FastAPI:
    """Wire the console to a migrated store. The caller keeps the store and closes it.

    Reads or makes the signing key in the home. Raises `ConfigError` when that file cannot serve as a key.
    """
    app = FastAPI(
        title="Sosie",
        summary="The review queue for protected likenesses.",
        version="1",
        openapi_url=None,  # served by api.py, to signed-in accounts
        docs_url=None,
        redoc_url=None,
        max_body_size=MAX_BODY_BYTES,
    )
    door = Door(Sessions(load_secret(settings.home), clock), store)
    app.state.door = door
    app.state.context = Context(settings, store, open_blobs(settings), registry, clock, door, Throttle(clock), make_templates())
    for part in (pages, files, api, signin, health):
        app.include_router(part.router)
    app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")
    problems.install(app)
    app.add_middleware(Guard, hosts=allowed_hosts(settings.serve_host))
    return app

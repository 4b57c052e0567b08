"""The worker's own port: /health/live, /health/ready, /metrics. It answers from the event loop that does the work, so that a
blocked loop is a failed probe. Nothing else is served, and nothing can be changed through it."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from monitor.base.errors import ConfigError
from monitor.base.exposition import CONTENT_TYPE, REFUSAL, Exposition
from streams.health import Answer

Probe = Callable[[], Answer]


@asynccontextmanager
async def open_port(
    host: str, port: int, *, live: Probe, ready: Probe, refresh: Callable[[], None], exposition: Exposition
) -> AsyncIterator[int]:
    """Serve until the block ends; yields the port, which is a free one where 0 was asked for. Raises `ConfigError`.

    `refresh` sets the gauges that are read from the loop's own objects, before each scrape.
    """

    async def metrics(request: web.Request) -> web.Response:
        if not exposition.admits(request.remote, request.headers):
            return web.Response(status=403, text=REFUSAL)
        refresh()
        body = await asyncio.to_thread(exposition.text)  # gauges may ask the database
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE})

    app = web.Application()
    app.add_routes([web.get("/health/live", _probe(live)), web.get("/health/ready", _probe(ready)), web.get("/metrics", metrics)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        try:
            await site.start()
        except OSError as error:
            raise ConfigError(
                f"{host}:{port}",
                f"cannot listen there: {_reason(error)}",
                "Stop what uses it, or set SOSIE_WORKER_PORT to 0 for a free one",
            ) from error
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


def _reason(error: OSError) -> str:
    """The system's own words for an error, which asyncio words anew, at length; errors of looking up a name have numbers of their own."""
    return str(error.strerror) if isinstance(error, socket.gaierror) else os.strerror(error.errno or 0)


def _probe(ask: Probe) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(_: web.Request) -> web.Response:
        told = ask()
        return web.Response(
            status=200 if told.ok else 503,
            text=json.dumps({"status": "ok" if told.ok else "unavailable", "reason": told.reason}),
            content_type="application/json",
        )

    return answer

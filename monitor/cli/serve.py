"""`sosie serve`"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
import uvicorn
from starlette.types import ASGIApp

from monitor.base import settings
from monitor.base.errors import ConfigError
from monitor.base.exposition import Exposition
from monitor.cli.output import out
from monitor.console.app import create_app
from monitor.console.metrics_port import ByPort, make_metrics_app
from monitor.review import accounts
from monitor.scan.housekeeping import house_kept
from monitor.scan.standing_metrics import watch_index, watch_outbox, watch_queue
from monitor.scan.workshop import Workshop


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on (SOSIE_SERVE_HOST).")] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0 takes a free one (SOSIE_SERVE_PORT).")] = None,
) -> None:
    """Serve the reviewers' console until interrupted."""
    overrides: dict[str, Any] = {"serve_host": host, "serve_port": port}
    with Workshop(settings.load(**{name: value for name, value in overrides.items() if value is not None})) as workshop:
        serve_console(workshop)


def serve_console(workshop: Workshop) -> None:
    """Listen, say where, make the first account if there is none, and serve until interrupted.

    Raises `ConfigError` for an address that cannot be listened on or a setting that cannot be used, before an account is made.
    """
    configured, store, registry = workshop.settings, workshop.store, workshop.metrics.registry
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(_listen(configured.serve_host, configured.serve_port, "give --port 0 for a free one"))]
        if configured.serve_metrics_port is not None:
            free = "set SOSIE_SERVE_METRICS_PORT to 0 for a free one"
            sockets.append(stack.enter_context(_listen(configured.serve_metrics_host, configured.serve_metrics_port, free)))
            if _port(sockets[0]) == _port(sockets[1]):
                raise ConfigError("SOSIE_SERVE_METRICS_PORT", "is the console's own port", f"Choose another, or {free}")
        app: ASGIApp = create_app(configured, store, registry=registry)
        with store.session() as session:
            password = accounts.ensure_admin(session, now=datetime.now(UTC))
        watch_queue(workshop.metrics, store)
        watch_outbox(workshop.metrics, store)
        watch_index(workshop.metrics, workshop.blobs)
        if configured.kafka_brokers is not None:
            from streams.lag_watch import LagWatch  # here, because Kafka's client takes its time to import

            LagWatch(configured, registry).start(threading.Event())
        if password is not None:
            out.print(f"Account [bold]admin[/], password [bold]{password}[/]  (printed this once)")
        out.print(f"Sosie is at {_address(sockets[0], configured.serve_host)}{configured.serve_root_path}  (Ctrl+C stops it)")
        for apart in sockets[1:]:
            app = ByPort(app, _port(apart), make_metrics_app(store, Exposition.of(registry, configured)))
            out.print(f"Its metrics are at {_address(apart, configured.serve_metrics_host)}/metrics")
        # Whom a request comes from is for the console to say: uvicorn by itself believes every proxy on this machine.
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, proxy_headers=False))
        with house_kept(workshop), contextlib.suppress(KeyboardInterrupt):  # uvicorn has shut down, and passes the signal on
            server.run(sockets=sockets)


def _port(listening: socket.socket) -> int:
    return int(listening.getsockname()[1])


def _address(listening: socket.socket, host: str) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{_port(listening)}"


def _listen(host: str, port: int, otherwise: str) -> socket.socket:
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise ConfigError(
            f"{host}:{port}", f"cannot listen there: {os.strerror(error.errno or 0)}", f"Stop what uses it, or {otherwise}"
        ) from error

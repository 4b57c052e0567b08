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

from monitor.base import settings
from monitor.base.errors import ConfigError
from monitor.cli.output import out
from monitor.console.app import create_app
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
    """Listen, say where, make the first account if there is none, and serve until interrupted."""
    configured = workshop.settings
    with _listen(configured.serve_host, configured.serve_port) as listening:
        with workshop.store.session() as session:
            password = accounts.ensure_admin(session, now=datetime.now(UTC))
        watch_queue(workshop.metrics, workshop.store)
        watch_outbox(workshop.metrics, workshop.store)
        watch_index(workshop.metrics, workshop.blobs)
        if configured.kafka_brokers is not None:
            from streams.lag_watch import LagWatch  # here, because Kafka's client takes its time to import

            LagWatch(configured, workshop.metrics.registry).start(threading.Event())
        app = create_app(configured, workshop.store, registry=workshop.metrics.registry)
        if password is not None:
            out.print(f"Account [bold]admin[/], password [bold]{password}[/]  (printed this once)")
        out.print(f"Sosie is at http://{configured.serve_host}:{listening.getsockname()[1]}  (Ctrl+C stops it)")
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
        with house_kept(workshop), contextlib.suppress(KeyboardInterrupt):  # uvicorn has shut down, and passes the signal on
            server.run(sockets=[listening])


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise ConfigError(
            f"{host}:{port}", f"cannot listen there: {os.strerror(error.errno or 0)}", "Stop what uses it, or give --port 0 for a free one"
        ) from error

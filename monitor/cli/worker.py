"""`sosie worker`"""

from __future__ import annotations

import asyncio
import os
import threading
from typing import Annotated, Any

import typer

from monitor.base import settings
from monitor.cli.output import err, out
from monitor.scan.housekeeping import house_kept
from monitor.scan.workshop import Workshop


def worker(
    slots: Annotated[
        int | None, typer.Option(min=1, max=64, help="Videos in work at once (SOSIE_WORKER_SLOTS), a decoding process each.")
    ] = None,
    port: Annotated[int | None, typer.Option(help="Port of /health and /metrics; 0 takes a free one (SOSIE_WORKER_PORT).")] = None,
) -> None:
    """Take posts from Kafka and scan them, until SIGTERM. Every event ends as a result or as a dead letter.

    On SIGTERM what is in flight has SOSIE_WORKER_STOP_S to end; the rest is handed back, and 20 s later the process is gone.
    """
    from streams.worker import STOPPING_S, Worker  # here, because importing Faust takes a second

    overrides: dict[str, Any] = {} if port is None else {"worker_port": port}
    configured = settings.load(**overrides)
    wanted = slots or configured.worker_slots
    configured = configured.model_copy(update={"worker_slots": wanted, "decode_workers": max(wanted, configured.decode_workers)})

    def told(actual: int) -> None:
        where = f"http://{configured.worker_host}:{actual}"
        out.print(f"Worker of {configured.kafka_brokers}, {wanted} slots. {where}/health/live, /health/ready, /metrics  (SIGTERM stops it)")

    def stopping() -> None:
        err.print(f"stopping; what is in flight has {configured.worker_stop_s:g} s")
        limit = threading.Timer(configured.worker_stop_s + STOPPING_S, _leave)
        limit.daemon = True
        limit.start()

    with Workshop(configured) as workshop, house_kept(workshop):
        asyncio.run(_run(Worker, workshop, told, stopping))


async def _run(kind: Any, workshop: Workshop, told: Any, stopping: Any) -> None:
    await kind(workshop).run(told=told, stopping=stopping)


def _leave() -> None:
    """End the process at once, because a thread hangs in a system call, say a dead network share. What that thread was at is not
    acknowledged, so it may be left behind."""
    err.print("[bold red]sosie:[/] the worker did not stop in time and leaves without waiting; nothing that was acknowledged is lost")
    os._exit(70)

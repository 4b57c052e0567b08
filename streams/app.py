"""The Faust app of the video workers: one topic in, raw bytes, no acknowledging of its own (see `streams.faust_broker`)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import faust

from monitor.base.settings import Settings
from streams.connection import faust_options
from streams.event import Event, Place
from streams.faust_broker import event_of, place_of
from streams.topics import VIDEOS, worker_group

_NEVER_S = 10 * 365 * 24 * 3600.0
_BUFFER = 64


def make_app(
    settings: Settings,
    folder: Path,
    *,
    take: Callable[[Event], Awaitable[None]],
    assigned: Callable[[frozenset[Place]], None],
    revoked: Callable[[frozenset[Place]], Awaitable[None]],
) -> faust.App:
    """An app that hands every event of the videos topic to `take`, one after the other; start it with `await app.start()`.

    `assigned` hears all partitions that are held from now on, `revoked` those that are taken away, while offsets can still be
    committed for them. `folder` is where Faust keeps what it insists on writing.
    """
    session_s = settings.kafka_session_s
    app = faust.App(
        id=worker_group(settings.kafka_prefix),
        **faust_options(settings),
        datadir=folder,
        store="memory://",
        web_enabled=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        autodiscover=False,
        processing_guarantee="at_least_once",
        consumer_auto_offset_reset="earliest",
        stream_wait_empty=False,  # `Delivery.drain` waits, and within a limit
        stream_buffer_maxsize=_BUFFER,  # the default of 4096 would be fetched to be thrown away at each rebalance
        broker_max_poll_records=_BUFFER,
        broker_session_timeout=session_s,
        broker_heartbeat_interval=max(0.3, session_s / 5),
        broker_rebalance_timeout=max(10.0, session_s),
        broker_request_timeout=max(40.0, session_s + 10),
        broker_max_poll_interval=_NEVER_S,  # a full window fetches nothing for as long as a video takes; /health/live judges progress
        worker_redirect_stdouts=False,
    )
    topic = app.topic(
        VIDEOS.name(settings.kafka_prefix),
        key_type=bytes,
        value_type=bytes,
        key_serializer="raw",
        value_serializer="raw",
        allow_empty=True,
        acks=False,
    )

    async def videos(stream: Any) -> None:
        events: AsyncIterator[Any] = stream.noack().events()
        async for event in events:
            await take(event_of(event.message))

    async def on_assigned(_: Any, *arguments: Any, **__: Any) -> None:
        assigned(frozenset(map(place_of, arguments[0])))

    async def on_revoked(_: Any, *arguments: Any, **__: Any) -> None:
        await revoked(frozenset(map(place_of, arguments[0])))

    app.agent(topic, name="videos")(videos)
    signals: Any = app  # Faust's types of these two know no coroutine
    signals.on_partitions_assigned.connect(on_assigned)
    signals.on_partitions_revoked.connect(on_revoked)
    return app

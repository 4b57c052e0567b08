"""Why Faust's own acknowledging is switched off: what its consumer does with events nobody handled.

These tests pass while Faust has the faults. When one fails Faust was mended, and `streams.faust_broker` may be simplified.
"""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import faust
import pytest
from faust.types import TP
from faust.types.tuples import ConsumerMessage

PARTITION = TP("videos", 0)


@pytest.fixture
def app(tmp_path: Path) -> faust.App:
    """An app with a real consumer that was never started: its bookkeeping needs no broker."""
    return faust.App("acks", broker="kafka://127.0.0.1:9", datadir=tmp_path, store="memory://", web_enabled=False)


def message(offset: int, generation: int) -> ConsumerMessage:
    return ConsumerMessage("videos", 0, offset, 1.0, 0, {}, None, b"value", None, tp=PARTITION, generation_id=generation)


@pytest.mark.parametrize(
    ("committed", "acknowledged", "commits"),
    [
        (None, 15, 16),  # 0 to 14 were never handled
        (14, 15, 16),  # 14 was never handled
        (13, 15, None),  # only a gap of two is seen
    ],
)
def test_the_consumer_commits_past_events_that_were_never_handled(
    app: faust.App, committed: int | None, acknowledged: int, commits: int | None
) -> None:
    async def scenario() -> int | None:
        consumer: Any = app.consumer
        consumer._committed_offset[PARTITION] = committed
        consumer._acked[PARTITION].append(acknowledged)
        offset: int | None = consumer._new_offset(PARTITION)
        return offset

    assert asyncio.run(scenario()) == commits


def test_without_cython_a_stream_acknowledges_what_it_skips_as_of_an_older_generation_even_with_noack(app: faust.App) -> None:
    async def scenario() -> tuple[list[object], list[int]]:
        app.finalize()
        topic = app.topic("videos", value_type=bytes, value_serializer="raw")
        stream = topic.stream().noack()
        app.topics._acking_topics.add("videos")  # type: ignore[attr-defined]
        app.consumer_generation_id = 2
        app.flow_control.resume()
        event = await topic.decode(message(15, generation=1))
        event.message.refcount = 1
        stream.channel.queue.put_nowait(event)
        seen: list[object] = []

        async def read() -> None:
            seen.extend([each async for each in stream._py_aiter()])

        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(read(), 0.5)
        consumer: Any = app.consumer
        return seen, consumer._acked[PARTITION]

    assert asyncio.run(scenario()) == ([], [15])

"""`streams.broker.Broker` over a Faust app: the only file that touches Faust's insides.

Faust's own acknowledging is switched off (`acks=False` on the topic), because it can lose events around a rebalance:
`Consumer._new_offset` commits past events that were never handled, before the first commit or when exactly one is missing, and
without Cython a stream acknowledges what it skips as left over from an older generation, even with `noack()`.
`tests/streams/test_faust_acks.py` shows both. So offsets are committed from our own ledger, through `Consumer._commit`: Faust's
private name for what its own committer ends in, for which pyproject.toml pins Faust below the next minor version.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from faust import App
from faust.types import TP

from streams.dead_letters import dead_letter
from streams.event import Event, Place
from streams.failures import Failure
from streams.log import Log
from streams.publisher import Publisher, Record

T = TypeVar("T")

COMMIT_TIMEOUT_S = 30.0


class FaustBroker:
    """Commits and seeks through the app's consumer; asks the log and keeps dead letters in a thread each."""

    def __init__(self, app: App, log: Log, publisher: Publisher, dead_letter_topic: str) -> None:
        self._app = app
        self._log = log
        self._publisher = publisher
        self._dead_letter_topic = dead_letter_topic
        self._asking = ThreadPoolExecutor(1, thread_name_prefix="sosie-log")
        self._keeping = ThreadPoolExecutor(1, thread_name_prefix="sosie-dead-letters")

    async def commit(self, offsets: Mapping[Place, int]) -> bool:
        """Commit the offsets; False during a rebalance, for a partition that is not ours any more, or when the broker does not answer."""
        consumer: Any = self._app.consumer
        wanted = {_tp(place): offset for place, offset in offsets.items()}
        if not set(wanted) <= consumer.assignment():
            return False
        try:
            return bool(await asyncio.wait_for(consumer._commit(wanted), COMMIT_TIMEOUT_S))
        except TimeoutError:
            return False

    async def seek(self, place: Place, offset: int) -> None:
        await self._app.consumer.seek(_tp(place), offset)

    def pause(self, place: Place) -> None:
        self._app.consumer.pause_partitions([_tp(place)])

    def resume(self, place: Place) -> None:
        self._app.consumer.resume_partitions([_tp(place)])

    async def start_of(self, place: Place) -> int:
        return await self._in(self._asking, lambda: self._log.start_of(place))

    async def first_at(self, place: Place, offset: int) -> int | None:
        return await self._in(self._asking, lambda: self._log.first_at(place, offset))

    async def put_aside(self, failure: Failure) -> None:
        letter = dead_letter(failure)
        record = Record(key=letter.id.encode(), value=letter.to_bytes())
        await self._in(self._keeping, lambda: self._publisher.publish(self._dead_letter_topic, [record]))

    def close(self) -> None:
        """Wait for what the threads are at, and end the threads."""
        self._asking.submit(self._log.close)
        self._asking.shutdown(wait=True)
        self._keeping.shutdown(wait=True)

    async def _in(self, thread: ThreadPoolExecutor, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(thread, call)


def event_of(message: Any) -> Event:
    """A Faust message as the rest of `streams` sees it."""
    headers = message.headers or ()
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    return Event(
        place=Place(message.topic, message.partition),
        offset=message.offset,
        key=message.key,
        value=message.value,
        timestamp_s=message.timestamp,
        headers={name: bytes(value) for name, value in pairs if value is not None},
    )


def place_of(tp: TP) -> Place:
    return Place(tp.topic, tp.partition)


def _tp(place: Place) -> TP:
    return TP(place.topic, place.partition)

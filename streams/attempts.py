"""The record of events begun and not ended, kept where every machine sees it, so that an event that ends its worker can be told from its
neighbours.

A row is written before an event's handler begins, and deleted once it has ended, well or badly; a row that somebody else left
behind says that its worker did not live to the end of it. One transaction at a time: all that began and ended while it ran goes
with the next, so that events that are handled side by side share their transactions.

A crash between two steps leaves a row too many, which costs its event a try of its own. Calls come from one event loop; the
database is asked in one thread. Raises what `Store.session` raises.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol, TypeVar
from uuid import uuid4

from sqlalchemy import BigInteger, delete, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from monitor.base.database import Base, Store, insert_if_absent
from streams.event import Event, Place

T = TypeVar("T")

KEPT = timedelta(days=30)
"""Rows of events that nobody was delivered again (their topic is gone, their offset was moved) are kept so long."""


@dataclass(frozen=True, slots=True)
class Left:
    """What is known of an event that somebody began and did not end.

    `tries`: so often it was begun and not ended. `alone`: so often of these it alone was at work, and others are known to get through.
    """

    tries: int
    alone: int


class Attempts(Protocol):
    """What `streams.gate` needs of the record."""

    async def left(self, place: Place) -> Mapping[int, Left]:
        """The events that others began on a partition and did not end, by offset."""

    async def begin(self, event: Event, *, alone: bool) -> None:
        """Record that an event's work begins, before it does; returns when the record is durable."""

    def end(self, place: Place, offset: int) -> None:
        """Record that an event's work has ended: what we and others left of it is forgotten, durably soon."""

    async def flush(self) -> None:
        """Make the ends that were recorded durable now."""


class Attempt(Base):
    """One event that was begun. Deleted when it ends."""

    __tablename__ = "attempts"

    topic: Mapped[str] = mapped_column(primary_key=True)
    partition: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    position: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    owner: Mapped[str]
    tries: Mapped[int]
    alone: Mapped[int]
    begun_at: Mapped[datetime]


@dataclass(frozen=True, slots=True, eq=False)
class _Beginning:
    """An event that somebody waits to begin; `durable` is done when its row is."""

    event: Event
    alone: bool
    durable: asyncio.Future[None]


class DatabaseAttempts:
    """The record of attempts in a table of the database. One per process; close it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._owner = uuid4().hex
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sosie-attempts")
        self._before: dict[tuple[Place, int], str] = {}  # who left the rows that we have seen
        self._begun: list[_Beginning] = []  # not yet being written
        self._ended: dict[tuple[Place, int], tuple[str, ...]] = {}
        self._writer: asyncio.Task[None] | None = None

    async def left(self, place: Place) -> Mapping[int, Left]:
        def read() -> list[Attempt]:
            query = select(Attempt).filter_by(topic=place.topic, partition=place.partition).where(Attempt.owner != self._owner)
            with self._store.session(read_only=True) as session:
                return list(session.scalars(query))

        rows = await self._in_thread(read)
        self._before |= {(place, row.position): row.owner for row in rows}
        return {row.position: Left(row.tries, row.alone) for row in rows}

    async def begin(self, event: Event, *, alone: bool) -> None:
        beginning = _Beginning(event, alone, asyncio.get_running_loop().create_future())
        self._begun.append(beginning)
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_begun())
        try:
            await beginning.durable
        except asyncio.CancelledError:
            if beginning in self._begun:
                self._begun.remove(beginning)
            else:
                self.end(event.place, event.offset)
            raise

    def end(self, place: Place, offset: int) -> None:
        key = (place, offset)
        self._ended[key] = (self._owner, self._before.pop(key, self._owner))

    async def flush(self) -> None:
        if self._ended:
            await self._write(())

    def close(self) -> None:
        """Wait for what the thread is at, and end the thread."""
        self._thread.shutdown(wait=True)

    async def _write_begun(self) -> None:
        """Write the beginnings that wait, until none does.

        A failure is that of all beginnings that were written together; what waits by then is tried.
        """
        while self._begun:
            begun, self._begun = self._begun, []
            try:
                await self._write(begun)
            except Exception as error:  # noqa: BLE001 -- told to each of those who wait
                _tell(begun, error)
            else:
                _tell(begun)

    async def _write(self, begun: Sequence[_Beginning]) -> None:
        ended, self._ended = self._ended, {}

        def write() -> None:
            with self._store.session() as session:
                _delete(session, ended)
                for beginning in sorted(begun, key=lambda each: _order(each.event.place, each.event.offset)):
                    self._begin(session, beginning.event, beginning.alone)

        try:
            await self._in_thread(write)
        except BaseException:
            self._ended = ended | self._ended
            raise

    def _begin(self, session: Session, event: Event, alone: bool) -> None:
        key = {"topic": event.place.topic, "partition": event.place.partition, "position": event.offset}
        now = datetime.now(UTC)
        if not insert_if_absent(session, Attempt, **key, owner=self._owner, tries=1, alone=int(alone), begun_at=now):
            changed = {"owner": self._owner, "begun_at": now, "tries": Attempt.tries + 1, "alone": Attempt.alone + int(alone)}
            session.execute(update(Attempt).filter_by(**key).values(**changed))

    async def _in_thread(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)


def _order(place: Place, offset: int) -> tuple[str, int, int]:
    """The place of a row in the one order for all: who locks rows in that order does not wait in a circle."""
    return place.topic, place.partition, offset


def _tell(begun: Sequence[_Beginning], error: Exception | None = None) -> None:
    for beginning in begun:
        if not beginning.durable.done():  # cancelled meanwhile
            if error is None:
                beginning.durable.set_result(None)
            else:
                beginning.durable.set_exception(error)


def _delete(session: Session, ended: Mapping[tuple[Place, int], tuple[str, ...]]) -> None:
    """Delete the rows of these owners alone: whoever holds a partition now may have begun its events anew."""
    for (place, offset), owners in sorted(ended.items(), key=lambda each: _order(*each[0])):
        key = {"topic": place.topic, "partition": place.partition, "position": offset}
        session.execute(delete(Attempt).filter_by(**key).where(Attempt.owner.in_(owners)))


def prune(store: Store, *, now: datetime) -> None:
    """Delete rows that nobody will ask for any more."""
    with store.session() as session:
        session.execute(delete(Attempt).where(Attempt.begun_at < now - KEPT))

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
from functools import partial
from typing import Any, Protocol, TypeVar
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

    def hand_back(self, place: Place, offset: int) -> None:
        """Record that a try was broken off from outside: that try counts for nothing, and what others left is as before, durably soon."""

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


_Key = tuple[Place, int]


@dataclass(frozen=True, slots=True, eq=False)
class _Beginning:
    """An event that somebody waits to begin; `durable` is done when its row is."""

    event: Event
    alone: bool
    durable: asyncio.Future[None]

    @property
    def key(self) -> _Key:
        return self.event.place, self.event.offset


@dataclass(frozen=True, slots=True)
class _Over:
    """A try of ours that is over; `before` is the owner whose row it took. `alone` is None for a try that ended, and so clears the event;
    of one that was handed back it is whether the event was alone at work.
    """

    before: str | None
    alone: bool | None


class DatabaseAttempts:
    """The record of attempts in a table of the database. One per process; close it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._owner = uuid4().hex
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sosie-attempts")
        self._before: dict[_Key, str] = {}  # who left the rows that we have seen
        self._waiting: list[_Beginning] = []  # not yet being written
        self._trying: dict[_Key, bool] = {}  # whether alone
        self._over: dict[_Key, _Over] = {}  # not yet being written
        self._writing = asyncio.Lock()
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
        self._waiting.append(beginning)
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_beginnings())
        try:
            await beginning.durable
        except asyncio.CancelledError:
            if beginning in self._waiting:
                self._waiting.remove(beginning)
            elif beginning.durable.done() and not beginning.durable.cancelled():  # written, and cancelled before it could go on
                self.hand_back(*beginning.key)
            raise

    def end(self, place: Place, offset: int) -> None:
        key = (place, offset)
        self._trying.pop(key, None)
        self._over[key] = _Over(self._before.pop(key, None), alone=None)

    def hand_back(self, place: Place, offset: int) -> None:
        key = (place, offset)
        if (alone := self._trying.pop(key, None)) is not None:
            self._over[key] = _Over(self._before.get(key), alone)

    async def flush(self) -> None:
        if self._over:
            await self._write(())

    def close(self) -> None:
        """Wait for what the thread is at, and end the thread."""
        self._thread.shutdown(wait=True)

    async def _write_beginnings(self) -> None:
        """Write the beginnings that wait, until none does.

        A failure is that of all beginnings that were written together; what waits by then is tried.
        """
        while self._waiting:
            begun, self._waiting = self._waiting, []
            self._trying |= {each.key: each.alone for each in begun}
            try:
                await self._write(begun)
            except BaseException as error:
                for each in begun:
                    self._trying.pop(each.key, None)
                _tell(begun, error)
                if not isinstance(error, Exception):
                    raise
            else:
                _tell(begun)
                for each in begun:
                    if each.durable.cancelled():  # while it was written; what could not be written is not taken back
                        self.hand_back(*each.key)

    async def _write(self, begun: Sequence[_Beginning]) -> None:
        """Write what is over and what begins in one transaction, row by row in the one order for all, so that none waits in a circle."""
        async with self._writing:
            over, self._over = self._over, {}
            steps: list[tuple[_Key, Callable[[Session], None]]] = [
                *((key, partial(self._forget, key, each)) for key, each in over.items()),
                *((each.key, partial(self._begin, each)) for each in begun),  # after what is over of the same event: sorting is stable
            ]
            steps.sort(key=lambda step: (step[0][0].topic, step[0][0].partition, step[0][1]))

            def write() -> None:
                with self._store.session() as session:
                    for _, step in steps:
                        step(session)

            try:
                await self._in_thread(write)
            except BaseException:
                self._over = over | self._over
                raise

    def _begin(self, beginning: _Beginning, session: Session) -> None:
        row, now, alone = _row(beginning.key), datetime.now(UTC), int(beginning.alone)
        if not insert_if_absent(session, Attempt, **row, owner=self._owner, tries=1, alone=alone, begun_at=now):
            changed = {"owner": self._owner, "begun_at": now, "tries": Attempt.tries + 1, "alone": Attempt.alone + alone}
            session.execute(update(Attempt).filter_by(**row).values(**changed))

    def _forget(self, key: _Key, over: _Over, session: Session) -> None:
        """Delete what we and others left before us, or take back a try of ours from whoever's row it is in by now.

        Whoever holds the partition may have begun the event anew, and that row stays.
        """
        row = _row(key)
        if over.alone is None:
            session.execute(delete(Attempt).filter_by(**row).where(Attempt.owner.in_((self._owner, over.before or self._owner))))
            return
        without = {"tries": Attempt.tries - 1, "alone": Attempt.alone - int(over.alone)}
        session.execute(delete(Attempt).filter_by(**row, owner=self._owner, tries=1))
        session.execute(update(Attempt).filter_by(**row).where(Attempt.tries > 1).values(**without))
        if over.before is not None:
            session.execute(update(Attempt).filter_by(**row, owner=self._owner).values(owner=over.before))

    async def _in_thread(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)


def _row(key: _Key) -> dict[str, Any]:
    return {"topic": key[0].topic, "partition": key[0].partition, "position": key[1]}


def _tell(begun: Sequence[_Beginning], error: BaseException | None = None) -> None:
    for beginning in begun:
        if beginning.durable.done():  # cancelled meanwhile
            continue
        if error is None:
            beginning.durable.set_result(None)
        elif isinstance(error, Exception):
            beginning.durable.set_exception(error)
        else:
            beginning.durable.cancel()


def prune(store: Store, *, now: datetime) -> None:
    """Delete rows that nobody will ask for any more."""
    with store.session() as session:
        session.execute(delete(Attempt).where(Attempt.begun_at < now - KEPT))

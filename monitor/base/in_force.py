"""What operators put in force, for every machine of one database: items, each of a kind, pinned by their SHA-256. Knows neither lists nor
marks.

An item is a name, bytes and a few plain details. Putting one in force, or ending it, moves the kind's generation on; whoever asks what is
in force reads that number, and the items only where it moved. So a change on one machine reaches every worker with its next video.

Nothing is lost: an item that ends stays, with from when until when and by whom. The database refuses to delete or to rewrite one.
Bytes that are not those that were put in force are never used. Whoever puts or ends an item need not read what was there before, so a
damaged one can always be replaced or ended.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from threading import Lock
from typing import Any, Generic, TypeVar

from sqlalchemy import JSON, BigInteger, Dialect, Index, LargeBinary, Select, select, text, update
from sqlalchemy.orm import Mapped, Session, mapped_column
from sqlalchemy.types import TypeDecorator

from monitor.base import audit
from monitor.base.database import Base, Store, insert_if_absent, locked
from monitor.base.errors import InForceUnreadable
from monitor.base.inherited import Inheritance, Inherited

__all__ = ["DAMAGED", "Change", "Item", "Shelf"]

T = TypeVar("T")

_log = logging.getLogger(__name__)

DAMAGED = "what the database holds is not what was put in force"
INHERITOR = "release 0.1"
"""The actor of what was taken over from a folder."""


class InForceKind(Base):
    """One row for each kind of which anything was ever put in force; its lock makes changes one after the other."""

    __tablename__ = "in_force_kinds"

    kind: Mapped[str] = mapped_column(primary_key=True)
    generation: Mapped[int] = mapped_column(BigInteger)


class _Detail(TypeDecorator[dict[str, Any]]):
    """A column of JSON objects; any other value comes back as None, so that a damaged row can be shown, replaced and ended too."""

    impl = JSON
    cache_ok = True

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:
        read = super().result_processor(dialect, coltype)

        def processed(value: Any) -> Any:
            try:
                found = value if read is None else read(value)
            except ValueError:
                return None
            return found if isinstance(found, dict) else None

        return processed


class InForceItem(Base):
    """One item that was put in force, from `added_at` until `until` (None: it still is)."""

    __tablename__ = "in_force_items"
    __table_args__ = (
        Index(
            "uq_in_force_items_kind_name",
            "kind",
            "name",
            unique=True,
            sqlite_where=text("until IS NULL"),
            postgresql_where=text("until IS NULL"),
        ),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(audit.RowNumber, primary_key=True)
    kind: Mapped[str]
    name: Mapped[str]
    sha256: Mapped[str]
    content: Mapped[bytes] = mapped_column(LargeBinary)
    detail: Mapped[dict[str, Any]] = mapped_column(_Detail)
    added_at: Mapped[datetime]
    added_by: Mapped[str]
    until: Mapped[datetime | None]
    ended_by: Mapped[str | None]


@dataclass(frozen=True, slots=True)
class Item:
    """An item in force. `content` is None where it was not asked for, or is not what was put in force (`damaged`)."""

    id: int
    name: str
    sha256: str
    detail: Mapping[str, Any]
    added_at: datetime
    added_by: str
    content: bytes | None = None
    damaged: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """A change of the items of one kind, in a transaction that keeps all other changes of the kind out. `items` shows the kind so far."""

    session: Session
    kind: str
    actor: str
    now: datetime

    def items(self, name: str | None = None) -> tuple[Item, ...]:
        """The items in force, with contents: all, or those of this name."""
        return _held(self.session, self.kind, name)

    def put(self, name: str, content: bytes, detail: Mapping[str, Any]) -> bool:
        """Put content in force under a name, in place of the item that has the name. False where the very same is in force, undamaged."""
        digest = hashlib.sha256(content).hexdigest()
        for before in self.items(name):
            if not before.damaged and (before.sha256, before.detail) == (digest, detail):
                return False
            self.end(before)
        self._add(Inherited(name, digest, content, detail, self.now))
        return True

    def end(self, item: Item) -> None:
        """End an item: it is in force no more; its row stays."""
        row = InForceItem
        self.session.execute(update(row).where(row.id == item.id, row.until.is_(None)).values(until=self.now, ended_by=self.actor))

    def record(self, action: str, subject_id: str, **detail: object) -> None:
        """Audit the change, in its transaction. What belongs together (`probe`, `probe.kept`) has one subject."""
        subject = self.kind.partition(".")[0]
        audit.record(
            self.session,
            now=self.now,
            actor=self.actor,
            action=f"{subject}.{action}",
            subject_type=subject,
            subject_id=subject_id,
            detail=detail,
        )

    def inherit(self, found: Sequence[Inherited]) -> None:
        """Take over a folder's items that were never in force here, damaged or not, as they were. Undamaged takes the place of damaged."""
        ever = _ever(self.session, self.kind)
        taken = []
        for each in found:
            before = self.items(each.name)
            if (each.name, each.sha256) in ever or any(not item.damaged for item in before):
                continue
            for item in before:
                self.end(item)
            self._add(each)
            taken.append(each.name)
        if taken:
            self.record("taken_over", self.kind, names=taken)

    def _add(self, each: Inherited) -> None:
        row = InForceItem(kind=self.kind, name=each.name, sha256=each.sha256, content=each.content, detail=dict(each.detail))
        row.added_at, row.added_by = each.added_at, self.actor
        self.session.add(row)
        self.session.flush()


class Shelf(Generic[T]):
    """The items in force of one kind, and the value that `make` makes of them. Thread-safe; any number of processes and machines may share
    the database.

    `make` gets the items by name, undamaged, once for each change; `damaged` gives the error that says what to do about one that is not.
    """

    def __init__(
        self,
        store: Store,
        kind: str,
        make: Callable[[Sequence[Item]], T],
        damaged: Callable[[Item], InForceUnreadable],
        inheritance: Inheritance | None = None,
    ) -> None:
        self._store = store
        self._kind = kind
        self._make = make
        self._damaged = damaged
        self._inheritance = inheritance
        self._lock = Lock()
        self._read: tuple[int, T] | None = None

    def items(self) -> tuple[Item, ...]:
        """The items in force, by name, without contents.

        Raises what reading the database raises, and `InForceUnreadable` for a folder of release 0.1 that cannot be taken over.
        """
        self._inherit()
        with self._store.session(read_only=True) as session:
            return _items(session, self._kind)

    def held(self, name: str | None = None) -> tuple[Item, ...]:
        """The items in force, with contents: all, or those of this name; damaged items show that they are. Raises as `items` does."""
        self._inherit()
        with self._store.session(read_only=True) as session:
            return _held(session, self._kind, name)

    def current(self) -> T:
        """The value that `make` makes of the items in force, once for each change.

        Raises `InForceUnreadable` for a damaged item, as `make` does, and as `items`.
        """
        self._inherit()
        with self._lock:
            with self._store.session(read_only=True) as session:
                generation = _generation(session, self._kind)
                if self._read is not None and self._read[0] == generation:
                    return self._read[1]
                held = _held(session, self._kind)  # at least as new as the generation; where newer, it is read again next time
            for item in held:
                if item.damaged:
                    raise self._damaged(item)
            made = self._make(held)
            self._read = (generation, made)
            return made

    @contextmanager
    def changing(self, *, actor: str, now: datetime | None = None) -> Iterator[Change]:
        """Make one change of the kind, whole or not at all, with no other beside it.

        A folder of release 0.1 that cannot be taken over is left behind for good.
        """
        found: Sequence[Inherited] = ()
        if self._inheritance is not None:
            try:
                found = self._inheritance.read()
            except InForceUnreadable as error:
                _log.warning("%s It is left behind: what is in force stands in the database from now on.", error)
        now = now or datetime.now(UTC)
        with self._store.session() as session:
            self._begin(session, found, now)
            yield Change(session, self._kind, actor, now)

    def _inherit(self) -> None:
        """Take over what a folder of release 0.1 holds, if nothing was ever put in force here; else say what the folder holds besides."""
        if (inheritance := self._inheritance) is None:
            return
        if inheritance.file.exists():
            with self._store.session(read_only=True) as session:
                settled = _generation(session, self._kind) > 0
            if inheritance.additive or not settled:
                found = inheritance.read()
                with self._store.session(read_only=True) as session:
                    missing = {(each.name, each.sha256) for each in found} - _ever(session, self._kind)
                if missing:
                    with self._store.session() as session:
                        self._begin(session, found, datetime.now(UTC))
            if not inheritance.additive:
                with self._store.session(read_only=True) as session:
                    ever = _ever(session, self._kind)
                inheritance.warn_of_others(ever)
        self._inheritance = None

    def _begin(self, session: Session, found: Sequence[Inherited], now: datetime) -> None:
        first = insert_if_absent(session, InForceKind, kind=self._kind, generation=0)
        row = locked(session, select(InForceKind).filter_by(kind=self._kind)).one()
        row.generation += 1
        session.flush()
        if first or (self._inheritance is not None and self._inheritance.additive):
            Change(session, self._kind, INHERITOR, now).inherit(found)


def _generation(session: Session, kind: str) -> int:
    return session.scalars(select(InForceKind.generation).filter_by(kind=kind)).one_or_none() or 0


def _ever(session: Session, kind: str) -> set[tuple[str, str]]:
    """Name and SHA-256 of all that was ever in force."""
    return {(name, sha256) for name, sha256 in session.execute(select(InForceItem.name, InForceItem.sha256).filter_by(kind=kind))}


def _items(session: Session, kind: str) -> tuple[Item, ...]:
    row = InForceItem
    query = _live(select(row.id, row.name, row.sha256, row.detail, row.added_at, row.added_by), kind)
    return tuple(_item(*values) for values in session.execute(query))


def _held(session: Session, kind: str, name: str | None = None) -> tuple[Item, ...]:
    row = InForceItem
    query = _live(select(row.id, row.name, row.sha256, row.detail, row.added_at, row.added_by, row.content), kind)
    found = []
    for values in session.execute(query if name is None else query.where(row.name == name)):
        item = _item(*values)
        whole = hashlib.sha256(item.content or b"").hexdigest() == item.sha256
        found.append(item if whole and not item.damaged else replace(item, content=None, damaged=True))
    return tuple(found)


def _item(id: int, name: str, sha256: str, detail: dict[str, Any] | None, *rest: Any) -> Item:
    item = Item(id, name, sha256, detail or {}, *rest)
    return item if detail is not None else replace(item, damaged=True)


def _live(query: Select[Any], kind: str) -> Select[Any]:
    return query.where(InForceItem.kind == kind, InForceItem.until.is_(None)).order_by(InForceItem.name, InForceItem.id)

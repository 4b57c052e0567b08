"""One mechanism for lists, marks and probes: put, ended, read once for each change, never lost, taken over once."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from monitor.base import audit
from monitor.base.database import Store
from monitor.base.errors import InForceUnreadable, SosieError
from monitor.base.in_force import DAMAGED, InForceItem, Item, Shelf
from monitor.base.inherited import Inheritance, Inherited, day
from tests.monitor.damage import damage
from tests.monitor.review.helpers import together

Read = dict[str, bytes | None]


def damaged(item: Item) -> InForceUnreadable:
    return InForceUnreadable(item.name, DAMAGED, "Put it anew")


def shelf(store: Store, made: list[Read] | None = None, inheritance: Inheritance | None = None, kind: str = "thing") -> Shelf[Read]:
    def make(items: Sequence[Item]) -> Read:
        read = {item.name: item.content for item in items}
        if made is not None:
            made.append(read)
        return read

    return Shelf(store, kind, make, damaged, inheritance)


def put(shelf: Shelf[Read], name: str, content: bytes, **detail: Any) -> bool:
    with shelf.changing(actor="ada") as change:
        new = change.put(name, content, detail)
        if new:
            change.record("put", name)
        return new


def end(shelf: Shelf[Read], name: str) -> None:
    with shelf.changing(actor="bo") as change:
        for item in change.items(name):
            change.end(item)


def test_what_one_puts_another_reads_once_for_each_change(store: Store) -> None:
    made: list[Read] = []
    here, there = shelf(store), shelf(store, made)
    assert there.current() == {}
    assert put(here, "a", b"1")
    assert [there.current(), there.current()] == [{"a": b"1"}] * 2
    assert len(made) == 2, "once for nothing, once for the change"
    assert not put(here, "a", b"1"), "the same is in force"
    put(here, "a", b"1", more=True)
    put(here, "b", b"2")
    end(here, "a")
    assert there.current() == {"b": b"2"}


def test_kinds_do_not_know_one_another(store: Store) -> None:
    put(shelf(store), "a", b"1")
    assert shelf(store, kind="other").current() == {}


def test_what_ended_stays_with_its_time_and_who_and_cannot_be_rewritten(store: Store) -> None:
    here = shelf(store)
    put(here, "a", b"1")
    put(here, "a", b"2")
    end(here, "a")
    with store.session(read_only=True) as session:
        rows = session.scalars(select(InForceItem).order_by(InForceItem.id)).all()
        assert [(row.content, row.added_by, row.ended_by) for row in rows] == [(b"1", "ada", "ada"), (b"2", "ada", "bo")]
        assert all(row.until is not None and row.until >= row.added_at for row in rows)
    put(here, "b", b"3")
    for statement in (
        "DELETE FROM in_force_items",
        "UPDATE in_force_items SET content = sha256",
        "UPDATE in_force_items SET until = NULL",
        "UPDATE in_force_items SET name = 'c' WHERE name = 'b'",
        """UPDATE in_force_items SET detail = '{"kind": "other"}' WHERE name = 'b'""",
    ):
        with pytest.raises((DBAPIError, SosieError)), store.session() as session:
            session.connection().exec_driver_sql(statement)
    assert here.current() == {"b": b"3"}


def test_a_change_that_fails_changes_nothing_and_leaves_no_trail(store: Store) -> None:
    here = shelf(store)
    put(here, "a", b"1")

    def fails() -> None:
        with here.changing(actor="ada") as change:
            change.put("a", b"2", {})
            change.record("put", "a")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert here.current() == {"a": b"1"}
    with store.session(read_only=True) as session:
        assert [event.action for event in audit.events(session, subject_type="thing", subject_id="a")] == ["thing.put"]


def test_a_damaged_item_is_never_read_and_can_be_replaced_or_ended(store: Store) -> None:
    for mend in (lambda: put(shelf(store), "a", b"1"), lambda: put(shelf(store), "a", b"2"), lambda: end(shelf(store), "a")):
        put(shelf(store), "a", b"1")
        damage(store, "thing")
        with pytest.raises(InForceUnreadable, match="a: what the database holds is not what was put in force"):
            shelf(store).current()
        assert [(item.damaged, item.content) for item in shelf(store).held()] == [(True, None)]
        running = shelf(store)
        mend()
        assert running.current() in ({"a": b"1"}, {"a": b"2"}, {})
        end(shelf(store), "a")


def test_changes_at_once_are_all_kept_and_one_name_is_in_force_once(store: Store) -> None:
    together([lambda n=n: put(shelf(store), f"{n}", b"1") for n in range(4)])
    together([lambda n=n: put(shelf(store), "same", f"{n}".encode()) for n in range(4)])
    assert [item.name for item in shelf(store).items()] == ["0", "1", "2", "3", "same"]


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., Inheritance]:
    def made(name: str = "old", *, additive: bool = False, **contents: str) -> Inheritance:
        file = tmp_path / name
        file.write_text(json.dumps(contents))
        return Inheritance(file, parse, lambda each: f"put {each.name}", "put things", additive)

    def parse(file: Path) -> list[Inherited]:
        return [
            Inherited(name, hashlib.sha256(text.encode()).hexdigest(), text.encode(), {}, day("2026-01-02"))
            for name, text in json.loads(file.read_text()).items()
        ]

    return made


def test_a_folder_is_taken_over_once_by_whoever_is_first(store: Store, folder: Callable[..., Inheritance]) -> None:
    old = folder(a="1", b="2")
    made = together([lambda: shelf(store, inheritance=old).current() for _ in range(4)])
    assert made == [{"a": b"1", "b": b"2"}] * 4
    with store.session(read_only=True) as session:
        rows = session.scalars(select(InForceItem)).all()
        assert sorted((row.name, row.added_by, row.added_at.date().isoformat()) for row in rows) == [
            ("a", "release 0.1", "2026-01-02"),
            ("b", "release 0.1", "2026-01-02"),
        ]
        assert [event.action for event in audit.latest(session)] == ["thing.taken_over"]
    end(shelf(store), "a")
    assert shelf(store, inheritance=old).current() == {"b": b"2"}, "what ended does not come back"


def test_another_machine_with_another_folder_is_told_and_changes_nothing(
    store: Store, folder: Callable[..., Inheritance], caplog: pytest.LogCaptureFixture
) -> None:
    shelf(store, inheritance=folder(a="1")).current()
    with caplog.at_level(logging.WARNING):
        assert shelf(store, inheritance=folder("other", a="1", c="3")).current() == {"a": b"1"}
    (said,) = caplog.messages
    assert "other names c (SHA-256 4e07408562be), which is not in force" in said
    assert "run `put c`" in said
    caplog.clear()
    put(shelf(store), "c", b"3")
    end(shelf(store), "c")
    shelf(store, inheritance=folder("other", a="1", c="3")).current()
    assert caplog.messages == [], "it was in force: somebody chose"


def test_where_an_item_more_changes_nothing_every_folder_is_taken_over(store: Store, folder: Callable[..., Inheritance]) -> None:
    for name in ("a", "b", "a"):
        shelf(store, inheritance=folder(name, additive=True, **{name: "1"})).current()
    assert shelf(store).current() == {"a": b"1", "b": b"1"}


def test_a_folder_that_cannot_be_read_is_waited_for_until_something_is_put(
    store: Store, folder: Callable[..., Inheritance], caplog: pytest.LogCaptureFixture
) -> None:
    inheritance = folder(a="1")
    inheritance.file.write_text("{")
    with pytest.raises(
        InForceUnreadable, match=r"old: is of release 0\.1 and cannot be taken over .* Mend it, move it away, or put things"
    ):
        shelf(store, inheritance=inheritance).current()
    with caplog.at_level(logging.WARNING):
        put(shelf(store, inheritance=inheritance), "b", b"2")
    assert "left behind" in caplog.text
    assert shelf(store, inheritance=inheritance).current() == {"b": b"2"}


def test_what_a_first_change_finds_in_a_folder_is_taken_over_before_it(store: Store, folder: Callable[..., Inheritance]) -> None:
    put(shelf(store, inheritance=folder(a="1")), "b", b"2")
    assert shelf(store).current() == {"a": b"1", "b": b"2"}

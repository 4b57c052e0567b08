"""The operator's trust lists in force: which, each pinned by its SHA-256, for every machine of the database (`monitor.base.in_force`).

A list is known by its name. Another file under a name that is in force takes that one's place, and only when that is asked for; under a
name of its own it stands beside it. Lists named by SOSIE_TRUST_ANCHORS are in force beside these, on that machine alone. Nothing is judged
by a list nobody chose: a worker that meets a damaged one waits, and whoever replaces or removes it need not read it.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from monitor.base.audit import COMMAND_LINE
from monitor.base.database import Store
from monitor.base.errors import ConfigError, InForceUnreadable, NotFound, RequestRefused
from monitor.base.in_force import DAMAGED, Change, Item, Shelf
from monitor.base.inherited import Inheritance, Inherited, content_of, day
from monitor.provenance.trust import TrustLists
from monitor.provenance.trust_files import Kind, TrustFile, bundle, lacks_usages, named, recognise

__all__ = ["Listed", "TrustShelf"]

_MAX_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Listed:
    """A list in force. `damage` says why it cannot be read, and what to do; None: it can."""

    kind: str
    name: str
    sha256: str
    added_at: str
    added_by: str
    damage: str | None = None


class TrustShelf:
    """The lists of one database, and those of this machine's settings (`own`). Thread-safe.

    `home`: its folder `trust`, where release 0.1 kept the lists, is taken over once.
    """

    def __init__(self, store: Store, own: TrustLists, home: Path) -> None:
        self._own = own
        inheritance = Inheritance(
            home / "trust" / "bundle.json", _bundle_of_before, _command, "put lists in force: `sosie trust update FILE…`"
        )
        self._shelf: Shelf[TrustLists] = Shelf(store, "trust", self._made, _damaged, inheritance)

    def listed(self) -> tuple[Listed, ...]:
        """The lists in force, by name, damaged or not. Raises as `Shelf.held` does."""
        return tuple(_listed(item) for item in self._shelf.held())

    def lacks_usages(self) -> bool:
        """Whether the interim list is in force without its key usages (`USAGES_MISSING`)."""
        return lacks_usages((str(item.detail.get("kind")) for item in self._shelf.items()), self._own)

    def current(self) -> TrustLists:
        """The lists in force now, read once for each change. Raises `InForceUnreadable` for one that is damaged or of a newer release."""
        return self._shelf.current()

    def update(
        self,
        files: Sequence[Path],
        *,
        kind: Kind | None = None,
        name: str | None = None,
        sha256: str | None = None,
        replace: bool = False,
        actor: str = COMMAND_LINE,
    ) -> list[Listed]:
        """Put lists in force, all or none; says which are new. One that is in force already, undamaged, is none of these.

        `kind` and `name` state what is recognised otherwise; `sha256` is what the one file must have; `replace` lets a file take the place
        of another of its name. Raises `ConfigError` for what is no trust list, `RequestRefused` for other bytes than `sha256` says,
        for two files of one name, and for one that would take another's place without `replace`.
        """
        if len(files) != 1 and (name or sha256):
            raise RequestRefused("A name or a SHA-256", "is that of one file", "Update one list at a time")
        added = _named([_recognised(file, kind, sha256) for file in files], name)
        bundle(added, TrustLists())  # every mistake shows before a change
        if taken := {each.name for each in added}.intersection(_names(self._own)):
            raise ConfigError(taken.pop(), "two trust lists have this name", "Give one another: verdicts name the list that matched")
        with self._shelf.changing(actor=actor) as change:
            _refuse_replacing(added, change, replace)
            before = self._version(change)
            new = [each.name for each in added if change.put(each.name, each.content, {"kind": each.kind.value})]
            if new:
                change.record("updated", self._version(change) or "unreadable", lists=new, before=before)
            return [_listed(item) for item in change.items() if item.name in new]

    def remove(self, name: str, *, actor: str = COMMAND_LINE) -> Listed:
        """Believe this list no more, whatever its state. Raises `NotFound`."""
        with self._shelf.changing(actor=actor) as change:
            for item in change.items(name):
                before = self._version(change)
                change.end(item)
                change.record("removed", self._version(change) or "unreadable", lists=[name], before=before)
                return _listed(item)
            raise NotFound(f"Trust list {name!r}", "is not in force", "`sosie trust show` names those that are")

    def _made(self, items: Sequence[Item]) -> TrustLists:
        files = [TrustFile(_kind(item), item.name, item.content or b"") for item in items]
        try:
            made = bundle(files, self._own)
        except ConfigError as error:
            raise InForceUnreadable(error.thing, error.reason, f"Remove it: `sosie trust remove {shlex.quote(error.thing)}`") from error
        for name, times in Counter(_names(made)).items():
            if times > 1:  # put in force on a machine without it in the settings
                raise InForceUnreadable(
                    f"Trust list {name!r}",
                    "is in force for all machines, and SOSIE_TRUST_ANCHORS names another of this name here",
                    f"Rename the file that the setting names, or `sosie trust remove {shlex.quote(name)}`",
                )
        return made

    def _version(self, change: Change) -> str | None:
        """The version of the lists in force at this point of a change; None where one of the lists cannot be read."""
        items = change.items()
        try:
            return None if any(item.damaged for item in items) else self._made(items).version
        except InForceUnreadable:
            return None


def _listed(item: Item) -> Listed:
    damage = None
    try:
        if item.damaged:
            raise _damaged(item)
        _kind(item)
    except InForceUnreadable as error:
        damage = f"{error.reason}. {error.next_step}."
    return Listed(str(item.detail.get("kind")), item.name, item.sha256, item.added_at.isoformat(timespec="seconds"), item.added_by, damage)


def _kind(item: Item) -> Kind:
    try:
        return Kind(item.detail["kind"])
    except (KeyError, ValueError):
        raise InForceUnreadable(
            f"Trust list {item.name!r}",
            "is of a kind that this release does not know",
            f"Run one release everywhere, or `sosie trust remove {shlex.quote(item.name)}`",
        ) from None


def _damaged(item: Item) -> InForceUnreadable:
    name, kind = shlex.quote(item.name), shlex.quote(str(item.detail.get("kind")))
    if "kind" not in item.detail:  # which list it was cannot be said any more
        next_step = f"Remove it: `sosie trust remove {name}`, and put it in force anew from its publisher"
        return InForceUnreadable(f"Trust list {item.name!r}", DAMAGED, next_step)
    return InForceUnreadable(
        f"Trust list {item.name!r}",
        DAMAGED,
        f"Put it in force anew from its publisher: `sosie trust update FILE --kind {kind} --name {name} --replace`, "
        f"or do without it: `sosie trust remove {name}`",
    )


def _recognised(file: Path, kind: Kind | None, sha256: str | None) -> tuple[Path, Kind, bytes]:
    content = _content(file)
    digest = hashlib.sha256(content).hexdigest()
    if sha256 is not None and digest != sha256.strip().lower():
        raise RequestRefused(file, f"has the SHA-256 {digest}, not the one given", "Download it again, and compare with its publisher")
    return file, kind or recognise(content, file), content


def _named(files: Sequence[tuple[Path, Kind, bytes]], name: str | None) -> list[TrustFile]:
    """The files, each under its kind's common name, or its own; where several files of a command share the common one, under both."""
    common = Counter(named(kind, file) for file, kind, _ in files)
    made: dict[str, tuple[Path, TrustFile]] = {}
    for file, kind, content in files:
        called = name or named(kind, file)
        if common[called] > 1 and called != file.name:
            called = f"{called}: {file.name}"
        if called in made:
            raise RequestRefused(
                f"{made[called][0]} and {file}",
                f"would both be called {called!r}, and one would take the other's place",
                "Give them one after the other, each with a `--name` of its own",
            )
        made[called] = file, TrustFile(kind, called, content)
    return [each for _, each in made.values()]


def _refuse_replacing(added: Sequence[TrustFile], change: Change, replace: bool) -> None:
    there = {item.name: item for item in change.items()}
    gone = [
        there[each.name] for each in added if each.name in there and there[each.name].sha256 != hashlib.sha256(each.content).hexdigest()
    ]
    if gone and not replace:
        said = ", ".join(f"{item.name!r} of {item.added_at:%Y-%m-%d} (SHA-256 {item.sha256[:12]}…)" for item in gone)
        raise RequestRefused(
            said, "is in force, and would be replaced", "Give `--replace` if it should be, or another `--name` to have both in force"
        )


def _names(lists: TrustLists) -> list[str]:
    return [*(item.name for item in lists.lists), *(item.name for item in lists.allowed)]


def _content(file: Path) -> bytes:
    try:
        if file.stat().st_size > _MAX_BYTES:
            raise ConfigError(file, f"has more than {_MAX_BYTES // 1024**2} MiB: no trust list is so large", "Check the path")
        return file.read_bytes()
    except OSError as error:
        raise ConfigError(file, f"cannot be read ({error.strerror})", "Check the path and the permissions") from error


def _bundle_of_before(file: Path) -> list[Inherited]:
    """The lists in HOME/trust of release 0.1: `bundle.json`, and each file under its SHA-256."""
    return [
        Inherited(
            str(each["name"]),
            str(each["sha256"]),
            content_of(file.with_name(Path(each["sha256"]).name)),
            {"kind": str(each["kind"])},
            day(each["added_at"]),
        )
        for each in json.loads(file.read_bytes())["files"]
    ]


def _command(each: Inherited) -> str:
    kind, name = shlex.quote(str(each.detail["kind"])), shlex.quote(each.name)
    return f"sosie trust update $SOSIE_HOME/trust/{each.sha256} --kind {kind} --name {name} --replace"

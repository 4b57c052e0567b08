"""The operator's templates of visible marks, for every machine of the database (`monitor.base.in_force`), and their version.

A picture is untrusted bytes, so it is decoded in the sandbox, when it is added and when it is read again. What is kept is encoded anew:
nothing of the file's metadata survives.
"""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from monitor.base.audit import COMMAND_LINE
from monitor.base.database import Store
from monitor.base.errors import InForceUnreadable, NotFound, RequestRefused, TooLarge, UnreadableMedia
from monitor.base.in_force import DAMAGED, Item, Shelf
from monitor.base.inherited import Inheritance, Inherited, content_of, day
from monitor.intake.sandbox import Sandbox
from monitor.vision.pictures import decode_layer
from monitor.vision.watermark import METHOD, Template, mark_luma

NO_MARKS = "none"
"""The version while no template is kept."""

_MAX_SIDE_PX = 1024
_NAME = re.compile(r"[^\x00-\x1f\x7f]{1,80}")


@dataclass(frozen=True, slots=True)
class Kept:
    """A template in force. `damage` says why it cannot be read, and what to do; None: it can."""

    name: str
    generator: str | None
    sha256: str
    added_at: str
    added_by: str
    damage: str | None = None


@dataclass(frozen=True, slots=True)
class TemplateSet:
    """The templates at one moment. `version` names them and the method of the search together; `NO_MARKS` if there are none."""

    version: str
    templates: tuple[Template, ...]


NOTHING = TemplateSet(NO_MARKS, ())


class Watermarks:
    """The templates of one database. Thread-safe; any number of machines may share it.

    `sandbox` is asked for only where a picture is to be decoded, so that listing starts no process. `home`: its folder `watermarks`, where
    release 0.1 kept the templates, is taken over once.
    """

    def __init__(self, store: Store, sandbox: Callable[[], Sandbox], home: Path) -> None:
        self._sandbox = sandbox
        inheritance = Inheritance(
            home / "watermarks" / "manifest.json", _manifest_of_before, _command, "add marks: `sosie watermark add NAME TEMPLATE.png`"
        )
        self._shelf: Shelf[TemplateSet] = Shelf(store, "watermark", self._made, _damaged, inheritance)

    def kept(self) -> tuple[Kept, ...]:
        """The templates in force, by name, damaged or not. Raises as `Shelf.held` does."""
        return tuple(_kept(item) for item in self._shelf.held())

    def current(self) -> TemplateSet:
        """The templates as they are now, decoded once for each change.

        Raises `InForceUnreadable` for a template whose bytes changed, and what the sandbox raises for its own faults.
        """
        return self._shelf.current()

    def add(self, name: str, picture: Path, generator: str | None = None, *, actor: str = COMMAND_LINE) -> tuple[Kept, bool]:
        """Keep the picture of a mark; under a name that is known it replaces the former one. False if it was there already.

        Raises `NotFound`, `TooLarge` or `UnreadableMedia` for what is no picture, `RequestRefused` for one that shows no mark.
        """
        for text, what in ((name, "The name"), (generator, "The generator")):
            if text is not None and (not _NAME.fullmatch(text) or text != text.strip()):
                raise RequestRefused(
                    f"{what} {text!r}", "is empty, longer than 80 characters or holds control characters", "Give a plain one"
                )
        layer = self._sandbox().run(decode_layer, picture, _MAX_SIDE_PX, source=str(picture))
        try:
            mark_luma(layer)
        except ValueError as error:
            next_step = "Give a picture of nothing but the mark, on transparency if you can, at least as large as it is in a video"
            raise RequestRefused(picture, str(error), next_step) from None
        with self._shelf.changing(actor=actor) as change:
            before = [item.sha256 for item in change.items(name)]
            new = change.put(name, _png(layer), {"generator": generator})
            (item,) = change.items(name)
            if new:
                change.record("added", item.sha256, name=name, generator=generator, instead_of=before)
            return _kept(item), new

    def remove(self, name: str, *, actor: str = COMMAND_LINE) -> Kept:
        """Look for this mark no more, whatever its state. Raises `NotFound`."""
        with self._shelf.changing(actor=actor) as change:
            for item in change.items(name):
                change.end(item)
                change.record("removed", item.sha256, name=name)
                return _kept(item)
            raise NotFound(f"Watermark {name!r}", "is not kept", "`sosie watermark list` names those that are")

    def _made(self, items: Sequence[Item]) -> TemplateSet:
        if not items:
            return NOTHING
        templates = tuple(Template(item.name, _generator(item), mark_luma(self._picture(item))) for item in items)
        return TemplateSet(version_of([_kept(item) for item in items]), templates)

    def _picture(self, item: Item) -> NDArray[np.uint8]:
        with tempfile.NamedTemporaryFile(suffix=".png") as file:
            file.write(item.content or b"")
            file.flush()
            try:
                return self._sandbox().run(decode_layer, Path(file.name), _MAX_SIDE_PX, source=f"watermark {item.name!r}")
            except (NotFound, TooLarge, UnreadableMedia) as error:
                raise _damaged(item) from error


def _kept(item: Item) -> Kept:
    error = _damaged(item) if item.damaged else None
    damage = None if error is None else f"{error.reason}. {error.next_step}."
    return Kept(item.name, _generator(item), item.sha256, item.added_at.isoformat(timespec="seconds"), item.added_by, damage)


def _generator(item: Item) -> str | None:
    return item.detail.get("generator")


def _damaged(item: Item) -> InForceUnreadable:
    name, generator = shlex.quote(item.name), _generator(item)
    told = "" if generator is None else f" --generator {shlex.quote(generator)}"
    return InForceUnreadable(
        f"Watermark {item.name!r}",
        DAMAGED,
        f"Add it again: `sosie watermark add {name} TEMPLATE.png{told}`, or do without it: `sosie watermark remove {name}`",
    )


def _manifest_of_before(file: Path) -> list[Inherited]:
    """The templates in HOME/watermarks of release 0.1: `manifest.json`, and each picture under its SHA-256."""
    return [
        Inherited(
            str(each["name"]),
            str(each["sha256"]),
            content_of(file.with_name(f"{Path(each['sha256']).name}.png")),
            {"generator": each["generator"]},
            day(each["added_at"]),
        )
        for each in json.loads(file.read_bytes())["marks"]
    ]


def _command(each: Inherited) -> str:
    generator = each.detail["generator"]
    told = "" if generator is None else f" --generator {shlex.quote(generator)}"
    return f"sosie watermark add {shlex.quote(each.name)} $SOSIE_HOME/watermarks/{each.sha256}.png{told}"


def version_of(kept: Sequence[Kept]) -> str:
    """Twelve hex digits that change with the method, with any template, its name or its generator."""
    text = json.dumps([METHOD, *sorted((mark.name, mark.generator or "", mark.sha256) for mark in kept)])
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _png(layer: NDArray[np.uint8]) -> bytes:
    _, data = cv2.imencode(".png", cv2.cvtColor(layer, cv2.COLOR_RGBA2BGRA))
    return bytes(data.tobytes())

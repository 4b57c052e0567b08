"""The operator's templates of visible marks, and their version.

    HOME/watermarks/manifest.json      name, generator, SHA-256 and day of each
    HOME/watermarks/<sha256>.png       the picture, encoded anew: nothing of the file's metadata survives

A picture is untrusted bytes, so it is decoded in the sandbox, when it is added and when it is read again; one whose bytes are not
those in the manifest is refused. The manifest is replaced whole, under a lock, so that several processes may add at once, and a
worker that runs sees a change with its next video.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock

import cv2
import numpy as np
from numpy.typing import NDArray

from monitor.base.errors import ConfigError, NotFound, RequestRefused
from monitor.base.files import exclusive, write_atomically
from monitor.intake.sandbox import Sandbox
from monitor.vision.pictures import decode_layer
from monitor.vision.watermark import METHOD, Template, mark_luma

NO_MARKS = "none"
"""The version while no template is kept."""

_MAX_SIDE_PX = 1024
_NAME = re.compile(r"[^\x00-\x1f\x7f]{1,80}")


@dataclass(frozen=True, slots=True)
class Kept:
    """A template as the manifest has it."""

    name: str
    generator: str | None
    sha256: str
    added_at: str


@dataclass(frozen=True, slots=True)
class TemplateSet:
    """The templates at one moment. `version` names them and the method of the search together; `NO_MARKS` if there are none."""

    version: str
    templates: tuple[Template, ...]


NOTHING = TemplateSet(NO_MARKS, ())


class Watermarks:
    """The templates of one home. Thread-safe; several processes may share the home.

    `sandbox` is asked for only where a picture is to be decoded, so that listing starts no process.
    """

    def __init__(self, home: Path, sandbox: Callable[[], Sandbox]) -> None:
        self._folder = home / "watermarks"
        self._sandbox = sandbox
        self._lock = Lock()
        self._read: tuple[tuple[Kept, ...], TemplateSet] = ((), NOTHING)

    def kept(self) -> tuple[Kept, ...]:
        """What is kept, by name. Raises `ConfigError` for a manifest that is none."""
        file = self._folder / "manifest.json"
        try:
            marks = json.loads(file.read_bytes())["marks"]
            return tuple(Kept(**{field: mark[field] for field in ("name", "generator", "sha256", "added_at")}) for mark in marks)
        except FileNotFoundError:
            return ()
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(
                file, f"is no manifest of watermarks ({error})", "Restore it, or remove the folder and add the marks again"
            ) from None

    def current(self) -> TemplateSet:
        """The templates as they are now, decoded once for each change of the manifest.

        Raises `ConfigError` for a template that is missing or whose bytes changed, and what the sandbox raises.
        """
        with self._lock:
            kept = self.kept()
            if kept != self._read[0]:
                self._read = (kept, self._load(kept))
            return self._read[1]

    def add(self, name: str, picture: Path, generator: str | None = None) -> tuple[Kept, bool]:
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
        data = _png(layer)
        digest = hashlib.sha256(data).hexdigest()
        write_atomically(self._folder / f"{digest}.png", data)
        with self._changing() as marks:
            before = next((mark for mark in marks if mark.name == name), None)
            if before and (before.sha256, before.generator) == (digest, generator):
                return before, False
            kept = Kept(name, generator, digest, datetime.now(UTC).date().isoformat())
            marks[:] = [mark for mark in marks if mark.name != name] + [kept]
        return kept, True

    def remove(self, name: str) -> Kept:
        """Look for this mark no more. Raises `NotFound`."""
        with self._changing() as marks:
            for mark in marks:
                if mark.name == name:
                    marks.remove(mark)
                    return mark
        raise NotFound(f"Watermark {name!r}", "is not kept", "`sosie watermark list` names those that are")

    @contextmanager
    def _changing(self) -> Iterator[list[Kept]]:
        """The marks, to be changed in place and then written; pictures that none of them names are deleted."""
        with exclusive(self._folder):
            marks = [*self.kept()]
            yield marks
            text = json.dumps({"marks": [asdict(mark) for mark in sorted(marks, key=lambda mark: mark.name)]}, indent=2)
            write_atomically(self._folder / "manifest.json", text.encode() + b"\n")
            named = {f"{mark.sha256}.png" for mark in marks}
            for file in self._folder.glob("*.png"):
                if file.name not in named:
                    file.unlink(missing_ok=True)

    def _load(self, kept: Sequence[Kept]) -> TemplateSet:
        if not kept:
            return NOTHING
        return TemplateSet(version_of(kept), tuple(Template(mark.name, mark.generator, mark_luma(self._picture(mark))) for mark in kept))

    def _picture(self, mark: Kept) -> NDArray[np.uint8]:
        file = self._folder / f"{mark.sha256}.png"
        try:
            data = file.read_bytes()
        except FileNotFoundError:
            data = b""
        if hashlib.sha256(data).hexdigest() != mark.sha256:
            raise ConfigError(file, f"the template of watermark {mark.name!r} is missing or was changed", "Add it again, or remove it")
        return self._sandbox().run(decode_layer, file, _MAX_SIDE_PX, source=str(file))


def version_of(kept: Sequence[Kept]) -> str:
    """Twelve hex digits that change with the method, with any template, its name or its generator."""
    text = json.dumps([METHOD, *sorted((mark.name, mark.generator or "", mark.sha256) for mark in kept)])
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _png(layer: NDArray[np.uint8]) -> bytes:
    _, data = cv2.imencode(".png", cv2.cvtColor(layer, cv2.COLOR_RGBA2BGRA))
    return bytes(data.tobytes())

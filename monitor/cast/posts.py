"""The demo's labelled posts: deepfakes of protected members of the cast, and innocents that only look alike in some way.

Every post says whom it should be flagged for, and why it is there. Films are rendered in spawned processes, two at a
time; what must be signed, tampered with or re-encoded is made from them here.
"""

from __future__ import annotations

import multiprocessing
import tempfile
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from monitor.cast.credentials import CAPTURED, GENERATED, PARTLY_GENERATED, Studio, tamper
from monitor.cast.film import film, recompress
from monitor.cast.people import Person
from monitor.cast.roster import LICENSED, LIVING, LOOK_ALIKE, MOURNED, STRANGERS

SECONDS = 5.0
_RENDERERS = 2


@dataclass(frozen=True, slots=True)
class LabelledPost:
    """A post with its truth: `expected` names the likeness it misuses, None for an innocent one."""

    label: str
    path: Path
    account: str
    expected: str | None


@dataclass(frozen=True, slots=True)
class _Plan:
    """What to film and what becomes of the film: `finish` is one of the words `_finish` knows."""

    label: str
    account: str
    subjects: tuple[Person, ...]
    expected: str | None
    finish: str = "as filmed"
    caption: str | None = None


def _plans() -> tuple[_Plan, ...]:
    ada, ben, cleo, dov = MOURNED[:4]
    return (
        _Plan("declared AI, of a deceased singer", "@dreamreels", (ada.person,), ada.name, "generated"),
        _Plan("the same, re-encoded under another account", "@reposts4u", (ada.person,), ada.name, "copy of the first"),
        _Plan("stripped of its manifest, of a deceased actor", "@lost_tapes", (ben.person,), ben.name),
        _Plan("stripped and captioned, of a deceased comedian", "@whatifclips", (cleo.person,), cleo.name, caption="he is back!"),
        _Plan("made by AI in part, of a deceased painter", "@retouched", (dov.person,), dov.name, "composite"),
        _Plan("captured, then changed after it was signed", "@cutandpaste", (ben.person, STRANGERS[0].person), ben.name, "tampered"),
        _Plan("declared AI, of a living actor", "@notreallyme", (LIVING.person,), LIVING.name, "generated"),
        _Plan("declared AI by the licensed account", LICENSED.licensee or "", (LICENSED.person,), None, "generated"),
        _Plan("captured by a camera, of a living actor", "@premiere_night", (LIVING.person,), None, "captured"),
        _Plan("a stranger", "@holiday.diary", (STRANGERS[1].person,), None),
        _Plan("two strangers", "@duo", (STRANGERS[2].person, STRANGERS[3].person), None),
        _Plan("declared AI, of a stranger", "@promptsmith", (STRANGERS[4].person,), None, "generated"),
        _Plan("a look-alike of the deceased singer", "@tribute_act", (LOOK_ALIKE.person,), None),
        _Plan("nobody at all", "@empty.rooms", (), None),
    )


def posts(folder: Path, studio: Studio) -> Iterator[LabelledPost]:
    """Render the posts into `folder` and yield each as soon as it is whole, in a fixed order. Deterministic but for signatures."""
    plans = _plans()
    with (
        tempfile.TemporaryDirectory(prefix="films-", dir=folder.parent) as studio_folder,
        ProcessPoolExecutor(_RENDERERS, mp_context=multiprocessing.get_context("spawn")) as pool,
    ):
        films = [Path(studio_folder) / f"film-{n:02d}.mp4" for n in range(len(plans))]
        filming: list[Future[None] | None] = [
            None
            if plan.finish == "copy of the first"
            else pool.submit(film, films[n], plan.subjects, seconds=SECONDS, seed=n, caption=plan.caption)
            for n, plan in enumerate(plans)
        ]
        try:
            for n, (plan, filmed) in enumerate(zip(plans, filming, strict=True)):
                if filmed is not None:
                    filmed.result()
                path = folder / f"post-{n:02d}.mp4"
                _finish(plan, films[n], path, folder / "post-00.mp4", studio)
                yield LabelledPost(plan.label, path, plan.account, plan.expected)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _finish(plan: _Plan, filmed: Path, path: Path, first: Path, studio: Studio) -> None:
    match plan.finish:
        case "as filmed":
            filmed.rename(path)
        case "copy of the first":
            recompress(first, path, crf=30, scale=0.8)
        case "generated" | "composite" | "captured":
            source_type = {"generated": GENERATED, "composite": PARTLY_GENERATED, "captured": CAPTURED}[plan.finish]
            maker = "Sosie Demo Camera" if plan.finish == "captured" else "Sosie Demo Generator"
            studio.sign(filmed, path, digital_source_type=source_type, generator=maker)
        case "tampered":
            signed = filmed.with_suffix(".signed.mp4")
            studio.sign(filmed, signed, digital_source_type=CAPTURED, generator="Sosie Demo Camera")
            tamper(signed, path)
        case unknown:
            raise ValueError(unknown)


POSTS = len(_plans())

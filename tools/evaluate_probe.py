"""Measures the synthetic-content probe on held-back accounts: AUC with its 95 % interval.

    python -m tools.evaluate_probe                             the cast's labelled posts
    python -m tools.evaluate_probe --shared FOLDER             and the clips of the internal data folder
    python -m tools.evaluate_probe --encoder ViT-B-32/openai   with a real CLIP model, where its weights are at hand

The cast: every picture is drawn by one renderer, so what is declared generated looks like what is declared captured, and a sound
protocol must find chance. Posts made by AI in part, or changed after they were signed, are left out. The clips: labels as
FOLDER/videos/MANIFEST.csv has them; an account is the repository a clip comes from. What shows no camera's picture and no
generator's either (test patterns, an overlay on black, a puppet of unknown origin) is left out.
"""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from indexes.space import Space
from monitor.base.errors import SosieError
from monitor.cast.credentials import Studio
from monitor.cast.posts import posts
from monitor.cli.demonstration import demo_settings
from monitor.decision.probe.lessons import grouped
from monitor.decision.probe.maths import feature
from monitor.decision.probe.teaching import Lesson, teach
from monitor.scan.result import Posted
from monitor.scan.workshop import Workshop

_UNCLEAR_POSTS = ("made by AI in part", "captured, then changed")
_SYNTHETIC_POSTS = ("declared AI", "the same, re-encoded", "stripped")
_SYNTHETIC_KINDS = {"deepfake", "ai_signed"}
_CAPTURED_KINDS = {"faces_talking", "dfdc", "people_no_closeup", "nearduplicates", "no_face"}
_UNCLEAR_CLIPS = {
    "snap-research__articulated-animation__driving.mp4",
    "roostorg__coop__test-video-2s.mp4",
    "facebook__ThreatExchange__test-padded-dimensions.mp4",
    "abema__go-mp4__sample.mp4",
}

Labelled = tuple[Path, bool, str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", default="bundled")
    parser.add_argument("--shared", type=Path, help="the internal data folder")
    parser.add_argument("--seeds", type=int, default=5, help="ways of holding back accounts")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home, studio = Path(folder) / "home", Studio()
        with Workshop(demo_settings(home, studio, encoder=arguments.encoder)) as workshop:
            (home / "posts").mkdir()
            _print("cast", _lessons(workshop, _cast(home / "posts", studio)), workshop.models.encoder.space, arguments.seeds)
            if arguments.shared:
                _print("clips", _lessons(workshop, _clips(arguments.shared)), workshop.models.encoder.space, arguments.seeds)


def _cast(folder: Path, studio: Studio) -> Iterator[Labelled]:
    for post in posts(folder, studio):
        if not post.label.startswith(_UNCLEAR_POSTS):
            yield post.path, post.label.startswith(_SYNTHETIC_POSTS), post.account


def _clips(shared: Path) -> Iterator[Labelled]:
    with (shared / "videos" / "MANIFEST.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            path = shared / row["file"]
            if path.name not in _UNCLEAR_CLIPS and row["kind"] in _SYNTHETIC_KINDS | _CAPTURED_KINDS:
                yield path, row["kind"] in _SYNTHETIC_KINDS, row["source"].partition("@")[0]


def _lessons(workshop: Workshop, labelled: Iterator[Labelled]) -> list[Lesson]:
    found = []
    for path, synthetic, account in labelled:
        try:
            result = workshop.pipeline.scan(Posted.of(str(path)))
        except SosieError as error:
            print(f"left out: {error}")
            continue
        held = workshop.pipeline.kept.get(result.sha256, workshop.models.id)
        vector = None if held is None else feature(held.frame_vectors)
        if vector is not None:
            found.append(Lesson(result.sha256, synthetic, "provenance", vector, account, "2026-01-01"))
    accounts = {lesson.video_sha256: [lesson.group] for lesson in found}
    groups = grouped([lesson.video_sha256 for lesson in found], accounts, np.array([lesson.vector for lesson in found]))
    return [replace(lesson, group=group) for lesson, group in zip(found, groups, strict=True)]


def _print(name: str, lessons: list[Lesson], space: Space, seeds: int) -> None:
    for seed in range(seeds):
        probe = teach(lessons, space, seed=seed)
        figures = {
            "set": name,
            "encoder": space.model,
            "seed": seed,
            "generated": {"videos": probe.synthetic.videos, "accounts": probe.synthetic.accounts},
            "captured": {"videos": probe.captured.videos, "accounts": probe.captured.accounts},
            "auc": {key: round(value, 3) for key, value in asdict(probe.auc).items()},
            "chance": probe.chance,
            "may_act": not probe.shortcomings(),
        }
        print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    main()

"""Measures the detector of visible marks with the real Sora overlay, over real clips and films of the cast.

    python -m tools.evaluate_watermarks --shared ../shared/data

Hits: the overlay (a mark on black that moves and fades) is laid over the first seconds of each clip, scaled, faded, cropped, and
encoded by x264 at some rate; a hit is a score of 0.5 or more. False alarms: every clip whole and as it is, every clip encoded anew,
and every clip with another mark in the same places. The template is made from the overlay when this runs.
Cost: CPU seconds of decoding and of the search, both in this process, over the clips as they are.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import math
import multiprocessing
import os
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from monitor.cast.film import film
from monitor.cast.roster import PROTECTED
from monitor.vision.frames import Frame, SampleOptions, sample
from monitor.vision.watermark import EVIDENCE, SEEN, Template, Watch, mark_luma

Picture = NDArray[np.uint8]
Mark = tuple[Picture, tuple[float, float]]

FPS = 10  # of what is encoded: enough for a detector that looks at one frame a second
SIZES = (0.6, 0.8, 1.0, 1.5, 2.0, 2.4)
RATES = (23, 30, 38)
_OVERLAY_SIDE = 704  # pixels, the short side of the overlay
_FAINTEST = 12  # levels of the overlay: less is its own compression
_SHORT_SIDE = 480


@dataclass(frozen=True, slots=True)
class Treatment:
    """What is done to a clip. `mark`: sora, none, or one of `_OTHERS`; `size` 1 is Sora's own; `crop` is a share of each edge."""

    group: str
    mark: str = "sora"
    size: float = 1.0
    crf: int = 30
    opacity: float = 1.0
    crop: float = 0.0
    short_side: int = _SHORT_SIDE


TREATMENTS = (
    *(Treatment(f"size {size:g}|CRF {crf}", size=size, crf=crf) for size, crf in itertools.product(SIZES, RATES)),
    Treatment("half as opaque, CRF 30", opacity=0.5),
    Treatment("a quarter as opaque, CRF 30", opacity=0.25),
    Treatment("4 % of each edge cut off, CRF 30", crop=0.04),
    Treatment("10 % of each edge cut off (half of the mark, at times), CRF 30", crop=0.10),
    Treatment("scaled to 240 lines, CRF 30", short_side=240),
    Treatment("NOT: no mark, CRF 38", mark="none", crf=38),
    Treatment("NOT: another mark (a word in a frame), CRF 23", mark="a word in a frame", crf=23),
    Treatment("NOT: another mark of the same design (a disc with two bars, four letters), CRF 23", mark="a disc and a word", crf=23),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    group: str
    clip: str
    score: float
    video_s: float
    decode_s: float
    search_s: float

    @property
    def excess(self) -> float:
        """The evidence of which the detector made the score."""
        score = min(max(self.score, 1e-4), 1 - 1e-4)
        return EVIDENCE + math.log(score / (1 - score)) / 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path(os.environ.get("SOSIE_TEST_SHARED", "../shared/data")))
    parser.add_argument("--seconds", type=float, default=6.0, help="of each clip that are marked and encoded")
    parser.add_argument("--films", type=int, default=12, help="of the cast, beside the real clips")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--details", action="store_true", help="each miss and false alarm by name")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        films = [_film(Path(folder) / f"cast-{seed}.mp4", seed) for seed in range(arguments.films)]
        clips = [*unmarked(arguments.shared), *films]
        jobs = [(arguments.shared, clip, arguments.seconds, Path(folder)) for clip in clips]
        with multiprocessing.get_context("spawn").Pool(arguments.processes) as pool:
            outcomes = [outcome for row in pool.imap(_evaluate, jobs) for outcome in row]
        show(outcomes, details=arguments.details)
        show_frames(arguments.shared)


def unmarked(shared: Path) -> list[Path]:
    """Every shared clip but the overlay; none of them bears Sora's mark."""
    with (shared / "videos" / "MANIFEST.csv").open(newline="") as file:
        return [shared / row["file"] for row in csv.DictReader(file) if row["kind"] not in ("sora", "sora_frames")]


@cache
def overlay(shared: Path) -> tuple[Mark | None, ...]:
    """Ten seconds of the mark at `FPS`: its light and where its middle is, or None while it is gone."""
    (file,) = (shared / "videos" / "sora").glob("*.mp4")
    with av.open(str(file)) as container:
        frames = [np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in container.decode(video=0)]
    return tuple(_mark(frame) for frame in frames[:: 30 // FPS])


def sora_template(shared: Path) -> Template:
    """What an operator would add: the mark on transparency, cut from the overlay."""
    lights = [mark[0] for mark in overlay(shared) if mark is not None]
    width = np.median([light.shape[1] for light in lights])
    # Between two places only its disc is there for a moment: that is not the mark.
    light = max((light for light in lights if abs(light.shape[1] - width) <= 2), key=lambda light: float(light.mean()))
    return _template(light)


def _template(light: Picture) -> Template:
    opacity = np.clip(light.astype(np.float32) * 255 / int(light.max()), 0, 255).astype(np.uint8)
    return Template("mark", None, mark_luma(np.dstack((np.full((*light.shape, 3), 255, np.uint8), opacity))))


def marked(picture: Picture, mark: Mark | None, treatment: Treatment) -> Picture:
    """The picture with the mark's light over it, as a player would show a white mark that is as opaque as the light is bright."""
    if mark is None:
        return picture
    height, width = picture.shape[:2]
    light, centre = mark
    factor = treatment.size * min(height, width) / _OVERLAY_SIDE
    light = cv2.resize(light, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR)
    high, wide = light.shape
    if high >= height or wide >= width:
        return picture
    left = round(min(max(centre[0] * width - wide / 2, 0.03 * width), 0.97 * width - wide))
    top = round(min(max(centre[1] * height - high / 2, 0.03 * height), 0.97 * height - high))
    left, top = max(0, left), max(0, top)
    out = picture.copy()
    below = out[top : top + high, left : left + wide].astype(np.float32)
    opacity = light[..., None].astype(np.float32) / 255 * treatment.opacity
    out[top : top + high, left : left + wide] = np.round(below * (1 - opacity) + 255 * opacity).astype(np.uint8)
    return out


def scores(path: Path, template: Template) -> tuple[float, float, float, float]:
    """(score, seconds of video, CPU seconds of decoding, CPU seconds of the search) of one video, sampled as a scan does."""
    watch, cursor, options = Watch([template]), None, SampleOptions()
    decoding = searching = end_s = 0.0
    while True:
        started = time.process_time()
        chunk = sample(path, cursor, options)
        decoded = time.process_time()
        watch.look(chunk.frames)
        decoding, searching = decoding + decoded - started, searching + time.process_time() - decoded
        end_s = max(end_s, chunk.info.duration_s or 0.0, *(frame.time_s for frame in chunk.frames))
        if (cursor := chunk.cursor) is None:
            return watch.sightings(end_s)[0].score, end_s, decoding, searching


def wilson(hits: int, of: int) -> tuple[float, float]:
    """The 95 % interval of a share."""
    z, share = 1.96, hits / of
    middle, half = share + z * z / (2 * of), z * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    return max(0.0, (middle - half) / (1 + z * z / of)), min(1.0, (middle + half) / (1 + z * z / of))


def show(outcomes: Sequence[Outcome], *, details: bool) -> None:
    groups: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault(outcome.group, []).append(outcome)
    print("Seen, with the 95 % interval (Wilson). Size 1 is Sora's own.\n")
    print(f"| mark | {' | '.join(f'CRF {crf}' for crf in RATES)} |\n|---|{'---|' * len(RATES)}")
    for size in SIZES:
        print(f"| size {size:g} | {' | '.join(_share(groups.pop(f'size {size:g}|CRF {crf}')) for crf in RATES)} |")
    whole = groups.pop(_WHOLE)
    print("\n| what | seen | greatest evidence | least |\n|---|---|---|---|")
    for name, row in [*groups.items(), (_WHOLE, whole)]:
        print(f"| {name} | {_share(row)} | {max(o.excess for o in row):.2f} | {min(o.excess for o in row):.2f} |")
    minutes = sum(o.video_s for o in whole) / 60
    decode, search = sum(o.decode_s for o in whole) / minutes, sum(o.search_s for o in whole) / minutes
    print(
        f"\nCost, {minutes:.1f} min of clips as they are: decoding {decode:.2f}, search {search:.2f} CPU s per minute of video;"
        f" {search / decode:.2f} times the decoding"
    )
    if details:
        for outcome in sorted(outcomes, key=lambda o: (o.group, -o.excess)):
            if (outcome.score >= SEEN) == outcome.group.startswith("NOT"):
                print(f"  {outcome.group}: {outcome.clip} {outcome.excess:.3f}")


def show_frames(shared: Path) -> None:
    """The real marked pictures, each as a video of one frame, and all together as one."""
    template, frames = sora_template(shared), []
    for number, file in enumerate(sorted((shared / "videos" / "sora_frames").glob("*.jpg"))):
        picture = cv2.cvtColor(cv2.imread(str(file)), cv2.COLOR_BGR2RGB)
        frames.append(Frame(float(number), np.asarray(_scaled(picture, 360), np.uint8)))
    print("\nReal frames of a marked video:")
    for name, shown in [*((f"frame {frame.time_s:.0f}", [frame]) for frame in frames), ("both", frames)]:
        watch = Watch([template])
        watch.look(shown)
        print(f"  {name}: score {watch.sightings(2.0)[0].score:.2f}")


_WHOLE = "NOT: every clip, whole and as it is"


def _evaluate(job: tuple[Path, Path, float, Path]) -> list[Outcome]:
    shared, clip, seconds, folder = job
    cv2.setNumThreads(1)
    template, pictures = sora_template(shared), excerpt(clip, seconds)
    found = [Outcome(_WHOLE, clip.name, *scores(clip, template))]
    found += [
        Outcome(f"{_WHOLE}, looked through for the mark {name}", clip.name, *scores(clip, _template(draw())))
        for name, draw in _OTHERS.items()
    ]
    for number, treatment in enumerate(TREATMENTS):
        target = folder / f"{clip.stem}-{number}.mp4"
        encode(target, treated(pictures, treatment, shared), treatment.crf)
        found.append(Outcome(treatment.group, clip.name, *scores(target, template)))
        target.unlink()
    return found


def treated(pictures: Sequence[Picture], treatment: Treatment, shared: Path) -> Iterable[Picture]:
    """The clip as somebody would put it online."""
    marks: Sequence[Mark | None] = overlay(shared) if treatment.mark != "none" else (None,)
    if treatment.mark in _OTHERS:
        marks = [None if mark is None else (_OTHERS[treatment.mark](), mark[1]) for mark in marks]
    for number, picture in enumerate(pictures):
        done = marked(picture, marks[number % len(marks)], treatment)
        height, width = done.shape[:2]
        top, left = round(height * treatment.crop), round(width * treatment.crop)
        yield _scaled(done[top : height - top, left : width - left], treatment.short_side)


def _alike() -> Picture:
    light = np.zeros((64, 167), np.uint8)
    cv2.circle(light, (32, 32), 23, 200, -1, cv2.LINE_AA)
    cv2.line(light, (26, 24), (26, 40), 0, 5, cv2.LINE_AA)
    cv2.line(light, (38, 24), (38, 40), 0, 5, cv2.LINE_AA)
    cv2.putText(light, "Nova", (70, 44), cv2.FONT_HERSHEY_SIMPLEX, 1.1, 200, 4, cv2.LINE_AA)
    return light


def _unlike() -> Picture:
    light = np.zeros((64, 167), np.uint8)
    cv2.rectangle(light, (6, 8), (160, 55), 200, 4, cv2.LINE_AA)
    cv2.putText(light, "Clip 24", (18, 43), cv2.FONT_HERSHEY_SIMPLEX, 1.05, 200, 3, cv2.LINE_AA)
    return light


_OTHERS = {"a disc and a word": _alike, "a word in a frame": _unlike}


def _mark(frame: Picture) -> Mark | None:
    light = frame.max(axis=2)
    rows, columns = np.nonzero(cv2.GaussianBlur(light, (0, 0), 2) > _FAINTEST)
    if not len(rows):
        return None
    box = rows.min(), rows.max() + 1, columns.min(), columns.max() + 1
    centre = ((box[2] + box[3]) / 2 / frame.shape[1], (box[0] + box[1]) / 2 / frame.shape[0])
    return np.where(light > _FAINTEST, light, 0)[box[0] : box[1], box[2] : box[3]].astype(np.uint8), centre


def excerpt(clip: Path, seconds: float) -> list[Picture]:
    """The first seconds at `FPS`, the short side at most `_SHORT_SIDE`."""
    pictures: list[Picture] = []
    with av.open(str(clip)) as container:
        for frame in container.decode(video=0):
            at = float(frame.time or 0.0)
            if at >= seconds:
                break
            if at * FPS >= len(pictures) - 1e-6:
                picture = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
                pictures.append(_scaled(picture, min(_SHORT_SIDE, *picture.shape[:2])))
    return pictures


def _scaled(picture: Picture, short_side: int) -> Picture:
    """At most so large, both sides even."""
    factor = min(1.0, short_side / min(picture.shape[:2]))
    height, width = (max(2, 2 * round(side * factor / 2)) for side in picture.shape[:2])
    return np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def encode(path: Path, pictures: Iterable[Picture], crf: int) -> None:
    """H.264 at `FPS`."""
    with av.open(str(path), "w") as container:
        stream = None
        for picture in pictures:
            if stream is None:
                stream = container.add_stream("libx264", rate=FPS, options={"crf": str(crf), "preset": "veryfast", "threads": "1"})
                stream.height, stream.width, stream.pix_fmt = picture.shape[0], picture.shape[1], "yuv420p"
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")))
        if stream is not None:
            container.mux(stream.encode(None))


def _film(path: Path, seed: int) -> Path:
    people = [PROTECTED[(seed + i) % len(PROTECTED)].person for i in range(seed % 3)]
    film(path, people, seconds=6.0, seed=900 + seed, fps=FPS)
    return path


def _share(row: Sequence[Outcome]) -> str:
    hits = sum(outcome.score >= SEEN for outcome in row)
    low, high = wilson(hits, len(row))
    return f"{hits}/{len(row)} ({100 * low:.0f}–{100 * high:.0f} %)"


if __name__ == "__main__":
    main()

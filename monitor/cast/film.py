"""Films of fictional people: H.264 in MP4, with cuts, camera motion, speech and blinking; and the copies others make of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from monitor.cast.canvas import Canvas, Picture
from monitor.cast.drawing import backdrop, develop, draw_person
from monitor.cast.people import Person
from monitor.cast.shot import Shot, random_shot

__all__ = ["film", "frames", "recompress"]

_SCENE_S = 2.4
_OVERSAMPLE = 2


def film(
    path: Path,
    subjects: Sequence[Person],
    *,
    seconds: float,
    seed: int,
    size: tuple[int, int] = (360, 640),
    fps: int = 25,
    crf: int = 23,
    caption: str | None = None,
    letterbox: float = 0.0,
) -> None:
    """Write a film in which all `subjects` are in every scene; without any, the camera looks around empty rooms.

    `size` is (height, width), both even. A cut comes about every 2.4 seconds. Equal arguments give equal pictures; the bytes are
    equal too where the build of libx264 is the same. `caption` is written on a bar at the bottom, `letterbox` is the share of
    the height that is black at the top and at the bottom.
    """
    pictures = (_dress(picture, caption, letterbox) for picture in frames(subjects, seconds=seconds, seed=seed, size=size, fps=fps))
    _write(path, pictures, size=size, rate=Fraction(fps), crf=crf)


def recompress(
    source: Path,
    target: Path,
    *,
    crf: int,
    scale: float = 1.0,
    caption: str | None = None,
    crop: float = 0.0,
    letterbox: float = 0.0,
    mirror: bool = False,
) -> None:
    """Write the copy an uploader would make: cut by `crop` (a share of each edge), scaled, mirrored, captioned, encoded anew.

    The copy keeps the frame rate and every frame; sound is dropped. Raises `av.FFmpegError` if `source` cannot be read.
    """
    with av.open(str(source)) as container:
        stream = container.streams.video[0]
        rate = stream.average_rate or Fraction(25)
        width, height = stream.codec_context.width, stream.codec_context.height
        left, top = round(width * crop), round(height * crop)
        size = (_even((height - 2 * top) * scale), _even((width - 2 * left) * scale))

        def changed() -> Iterator[Picture]:
            for frame in container.decode(stream):
                picture = frame.to_ndarray(format="rgb24")[top : height - top, left : width - left]
                picture = cv2.resize(picture, size[::-1], interpolation=cv2.INTER_AREA)
                yield _dress(picture[:, ::-1] if mirror else picture, caption, letterbox)

        _write(target, changed(), size=size, rate=rate, crf=crf)


def frames(subjects: Sequence[Person], *, seconds: float, seed: int, size: tuple[int, int], fps: int) -> Iterator[Picture]:
    """The film's pictures, RGB uint8 (h, w, 3), before caption and compression."""
    count = max(1, round(seconds * fps))
    scenes = max(1, round(seconds / _SCENE_S))
    clothes = np.random.default_rng([10, seed]).integers(64, size=max(1, len(subjects)))
    for index in range(scenes):
        rng = np.random.default_rng([11, seed, index])
        scene = _Scene.random(rng, len(subjects), seed * 1009 + index)
        for number in range(index * count // scenes, (index + 1) * count // scenes):
            yield scene.picture(subjects, clothes, number / fps, size, number)


@dataclass(frozen=True, slots=True)
class _Scene:
    """One scene of a film: what stays the same between two cuts. Phases (6 for each subject) keep people from moving in step."""

    look: Shot
    phases: NDArray[np.float64]
    pan: tuple[float, float]
    zoom: float
    turned: float

    @classmethod
    def random(cls, rng: np.random.Generator, subjects: int, place: int) -> _Scene:
        look = replace(random_shot(rng, turn=0.0), place=place, light=float(rng.uniform(0.15, 0.5)), noise=float(rng.uniform(0, 1.5)))
        return cls(
            look=replace(look, brightness=float(rng.uniform(0.88, 1.08)), warmth=look.warmth * 0.6),
            phases=rng.uniform(0, 2 * np.pi, (max(1, subjects), 6)),
            pan=(float(rng.normal(0, 0.02)), float(rng.normal(0, 0.008))),
            zoom=float(rng.normal(0, 0.04)),
            turned=float(rng.normal(0, 7)),
        )

    def picture(self, subjects: Sequence[Person], clothes: NDArray[np.int64], time_s: float, size: tuple[int, int], number: int) -> Picture:
        height, width = size
        sway = (
            self.pan[0] * float(np.sin(0.9 * time_s + self.phases[0, 0])),
            self.pan[1] * float(np.sin(0.7 * time_s + self.phases[0, 1])),
        )
        zoom = 1 + self.zoom * float(np.sin(0.6 * time_s + self.phases[0, 2]))
        large = (height * _OVERSAMPLE, width * _OVERSAMPLE)
        canvas = Canvas(backdrop(self.look.place, large, shift=sway))
        looks = [self._look(i, len(subjects), time_s, sway, zoom) for i in range(len(subjects))]
        for who, look, worn in zip(subjects, looks, clothes, strict=False):
            draw_person(canvas, who, replace(look, clothes=int(worn)))
        small = cv2.resize(canvas.pixels, (width, height), interpolation=cv2.INTER_AREA)
        return develop(small, looks[0] if looks else self.look, seed=number)

    def _look(self, index: int, count: int, time_s: float, sway: tuple[float, float], zoom: float) -> Shot:
        a, b, c, d, e, f = (float(phase) for phase in self.phases[index])
        speaking = (
            max(0.0, float(np.sin(1.1 * time_s + a))) * (0.5 + 0.5 * np.sin(17 * time_s + b)) * (0.6 + 0.4 * np.sin(7.3 * time_s + c))
        )
        since_blink = (time_s + d) % 3.1
        return replace(
            self.look,
            yaw=self.turned * (1 if index % 2 == 0 else -1) + 8 * float(np.sin(0.8 * time_s + e)),
            pitch=3.5 * float(np.sin(1.3 * time_s + f)),
            roll=3.5 * float(np.sin(0.7 * time_s + a)),
            mouth=0.8 * float(speaking),
            smile=0.35 + 0.35 * float(np.sin(0.5 * time_s + c)),
            blink=max(0.0, 1 - abs(since_blink - 0.1) / 0.1) if since_blink < 0.2 else 0.0,
            gaze=0.7 * float(np.sin(0.6 * time_s + b)),
            x=(index + 0.5) / count + 0.1 * (0.5 - (e / 6.2832)) / count + sway[0] + 0.012 * float(np.sin(1.1 * time_s + f)),
            y=0.46 + 0.05 * (0.5 - d / 6.2832) + sway[1] + 0.008 * float(np.sin(1.7 * time_s + b)),
            scale=(0.155 + 0.055 * c / 6.2832) * zoom / (1 + 0.12 * (count - 1)),
        )


def _dress(picture: Picture, caption: str | None, letterbox: float) -> Picture:
    """The caption's bar and the black bars, over what was there."""
    if caption is None and not letterbox:
        return picture
    dressed = picture.copy()
    height, width = dressed.shape[:2]
    black = round(height * letterbox)
    if black:
        dressed[:black] = 0
        dressed[height - black :] = 0
    if caption is not None:
        high, size = round(0.11 * height), height / 620
        bottom = height - black
        dressed[bottom - high : bottom] = (24, 26, 32)
        at = (round(0.03 * width), bottom - round(0.035 * height))
        cv2.putText(dressed, caption, at, cv2.FONT_HERSHEY_SIMPLEX, size, (244, 244, 240), max(1, round(size * 2)), cv2.LINE_AA)
    return dressed


def _write(path: Path, pictures: Iterator[Picture], *, size: tuple[int, int], rate: Fraction, crf: int) -> None:
    height, width = size
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        # Without "cpu-independent" the frame-wise analysis of some processors (AVX-512) differs from run to run.
        stream.options = {"crf": str(crf), "preset": "veryfast", "threads": "1", "x264-params": "cpu-independent=1"}
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")))
        container.mux(stream.encode(None))


def _even(value: float) -> int:
    return max(2, 2 * round(value / 2))

"""Visible marks of generators: sampled frames in, sightings out.

A mark moves, fades, is scaled and compressed, and lies half transparent on busy footage. What survives all that is where its
edges are and which way they face. So:

1. Frame and template become fields of edge directions: the gradient over its own length plus a little, so that a strong edge
   of the footage counts no more than a weak one of the mark (cf. Steger's shape-based matching, 2002). As complex numbers one
   correlation gives, at each place, how well the directions agree: 1 where all of them do.
2. The footage itself says what chance looks like. The real part's opposite and the imaginary part are the agreement with the
   same template, its directions turned by 180° and ±90°: three marks that do not exist, as hard to find as the one that may.
3. All scales are searched on small pictures; the two at which most speaks for the mark, over all frames looked at, are searched
   finely around the places found. The three absent marks get the same second try.
4. A mark has one scale in a video. The evidence at a scale is the mean of the best five frames, less that of the best absent
   mark: one lucky frame of a longer video is not a sighting, and a mark need not be there all the time.

A mark that is as bright as what lies below it cannot be seen, by this or by anybody. `SIZES` are the sizes that are found.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from monitor.vision.edges import Field, Spectrum, best_near, correlate, edge_field, spectrum, turned
from monitor.vision.sampling import Frame
from monitor.vision.spans import Span, spans

METHOD = 2
"""Of the search; a change makes earlier sightings unknown."""

LOOKS = 12
"""So many frames of a chunk are looked at, evenly chosen: what bounds the cost for each template."""

SIZES = (0.07, 0.33)
"""Smallest and largest mark: the root of its area in shares of the picture's short side. Sora's is 0.12."""

EVIDENCE = 0.2
"""Excess over chance at which the score is 0.5. 44 unmarked clips reach 0.19 with Sora's mark (`python -m tools.evaluate_watermarks`)."""

SEEN = 0.5
"""The score from which on a mark is evidence."""

_SLOPE = 20.0
_BEST = 5  # frames whose mean is the evidence
_WORTH_A_CLOSER_LOOK = 0.5  # standard deviations above the absent marks, in the search of all scales
_CLOSER_LOOKS = 2  # scales
_FINE_STEPS = 4  # fine scales to one coarse one
_FINE_STEP = 1.03
_COARSE_STEP = _FINE_STEP**_FINE_STEPS
_TURNS = (1, -1, 1j, -1j)  # the mark, and three that do not exist


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """A mark to look for: `luma` float32 (h, w), what `mark_luma` makes of a picture."""

    name: str
    generator: str | None
    luma: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Sighting:
    """What speaks for one mark in one video. `score` 0 to 1, 0.5 at the threshold of evidence.

    `ranges` are when it is seen (seconds), empty below 0.5; `box` is where, at the clearest moment `at_s`: left, top, right,
    bottom in fractions of the picture.
    """

    name: str
    generator: str | None
    score: float
    ranges: tuple[Span, ...]
    at_s: float
    box: tuple[float, float, float, float]

    @property
    def shown_as(self) -> str:
        """The generator of the mark, or the mark's own name."""
        return self.generator or self.name

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Sighting:
        """The inverse of `to_json`. Raises KeyError, TypeError or ValueError for anything else."""
        left, top, right, bottom = (float(edge) for edge in value["box"])
        return cls(
            name=str(value["name"]),
            generator=None if value["generator"] is None else str(value["generator"]),
            score=float(value["score"]),
            ranges=tuple((float(start), float(end)) for start, end in value["ranges"]),
            at_s=float(value["at_s"]),
            box=(left, top, right, bottom),
        )


def mark_luma(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The grey levels of a mark, cut to its extent: what a template searches by. `picture` is uint8 RGBA (h, w, 4).

    A transparent picture is laid on dark grey if the mark is bright, else on light grey, since a mark is made to stand out;
    of an opaque one all edges count. Raises ValueError saying what is wrong with it.
    """
    opacity = picture[..., 3].astype(np.float32) / 255
    luma = cv2.cvtColor(picture[..., :3].copy(), cv2.COLOR_RGB2GRAY).astype(np.float32)
    if opacity.min() < _OPAQUE:
        rows, columns = np.nonzero(opacity > _VISIBLE * opacity.max())
        if not len(rows) or not opacity.max():
            raise ValueError("is wholly transparent")
        ground = _DARK if float((luma * opacity).sum() / opacity.sum()) > 128 else _LIGHT
        luma = luma * opacity + ground * (1 - opacity)
        luma = luma[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        luma = np.pad(luma, max(2, round(_RIM * max(luma.shape))), constant_values=ground)
    if min(luma.shape) < _LEAST_SIDE_PX:
        raise ValueError(f"shows a mark of {luma.shape[1]}x{luma.shape[0]} pixels, too few to tell it from others")
    if float(np.ptp(luma)) < _LEAST_CONTRAST:
        raise ValueError("shows nothing: all of it has nearly the same brightness")
    return np.asarray(luma, np.float32)


_OPAQUE, _VISIBLE = 0.98, 0.2
_DARK, _LIGHT = 60.0, 200.0
_RIM = 0.06
_LEAST_SIDE_PX = 12
_LEAST_CONTRAST = 30.0


class Watch:
    """Looks for some marks in one video: give it the chunks in order, then ask. Not thread-safe; one for each video.

    The cost is bounded by `LOOKS` for each chunk and template. No template, no cost.
    """

    def __init__(self, templates: Sequence[Template]) -> None:
        self._searches = [_Search(template) for template in templates]

    def look(self, frames: Sequence[Frame]) -> None:
        """Look at the frames of one chunk; nothing of them is kept."""
        if not self._searches or not frames:
            return
        chosen = np.unique(np.linspace(0, len(frames) - 1, min(len(frames), LOOKS)).round().astype(int))
        pictures = [_Picture(frames[i]) for i in chosen]
        for search in self._searches:
            search.look(pictures)

    def sightings(self, end_s: float) -> tuple[Sighting, ...]:
        """One for each template, the surest first, faint ones included; `end_s` is where the video ends."""
        found = [search.sighting(end_s) for search in self._searches]
        return tuple(sorted((sighting for sighting in found if sighting), key=lambda sighting: -sighting.score))


class _Picture:
    """One frame as edge fields at the sizes asked for."""

    def __init__(self, frame: Frame) -> None:
        self.time_s = frame.time_s
        self._luma = cv2.cvtColor(frame.image, cv2.COLOR_RGB2GRAY)
        self._fields: dict[int, Field] = {}
        self._spectra: dict[int, Spectrum] = {}

    def field(self, side: int) -> Field:
        if side not in self._fields:
            scale = side / min(self._luma.shape)
            small = cv2.resize(self._luma, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale != 1 else self._luma
            self._fields[side] = edge_field(small, _FAINT_FOOTAGE)
        return self._fields[side]

    def spectrum(self, side: int) -> Spectrum:
        if side not in self._spectra:
            self._spectra[side] = spectrum(self.field(side))
        return self._spectra[side]


_FAINT_FOOTAGE = 4.0  # levels: a gradient of so many counts half
_FAINT_TEMPLATE = 20.0
_NO_EDGE = 0.25  # of a template's field: less is no edge


@dataclass(frozen=True, slots=True)
class _Scale:
    """A size of mark and the short side, in pixels, of the pictures it is looked for on."""

    number: int  # in fine steps
    side: int

    @property
    def size(self) -> float:
        return float(SIZES[0] * _FINE_STEP**self.number)

    def near(self) -> list[_Scale]:
        side = 360 if self.side > 90 else 180
        return [_Scale(self.number + step, side) for step in range(-_FINE_STEPS // 2, _FINE_STEPS // 2)]


def _coarse_scales() -> tuple[_Scale, ...]:
    count = 1 + math.floor(math.log(SIZES[1] / SIZES[0], _COARSE_STEP))
    sizes = [SIZES[0] * _COARSE_STEP**i for i in range(count)]
    # A mark of some 20 to 45 pixels (the root of its area) is found whichever of the steps its true size lies between.
    return tuple(_Scale(i * _FINE_STEPS, 270 if size < 0.125 else 180 if size < 0.25 else 90) for i, size in enumerate(sizes))


_SCALES = _coarse_scales()


@dataclass(frozen=True, slots=True)
class _Look:
    """One frame at one fine scale: agreement with the mark and with the best of the absent ones, and where the mark would be."""

    time_s: float
    agreement: tuple[float, float, float, float]
    box: tuple[float, float, float, float]


class _Search:
    """The search for one template in one video."""

    def __init__(self, template: Template) -> None:
        self._template = template
        self._fields: dict[_Scale, Field] = {}
        self._spectra: dict[tuple[_Scale, tuple[int, ...]], Spectrum] = {}
        self._looks: dict[int, list[_Look]] = defaultdict(list)
        self._times: list[float] = []

    def look(self, pictures: Sequence[_Picture]) -> None:
        self._times += [picture.time_s for picture in pictures]
        found = [[self._everywhere(picture, scale) for scale in _SCALES] for picture in pictures]
        evidence = _evidence(np.array([[peaks.z for peaks in row] for row in found]))
        for index in np.argsort(-evidence)[:_CLOSER_LOOKS]:
            if evidence[index] >= _WORTH_A_CLOSER_LOOK:
                for picture, row in zip(pictures, found, strict=True):
                    self._closely(picture, _SCALES[index], row[index])

    def sighting(self, end_s: float) -> Sighting | None:
        """The sighting of the template; None when nothing was looked at."""
        if not self._times:
            return None
        best: tuple[float, list[_Look]] = (0.0, [])
        for looks in self._looks.values():
            excess = float(_evidence(np.array([look.agreement for look in looks])[:, None, :])[0])
            missing = max(1.0, min(_BEST, len(self._times)) / len(looks))  # frames without a closer look speak for nothing
            best = max(best, (excess / missing, looks), key=lambda pair: pair[0])
        excess, looks = best
        if not looks:
            return Sighting(self._template.name, self._template.generator, _score(0.0), (), self._times[0], (0.0, 0.0, 0.0, 0.0))
        clearest = max(looks, key=lambda look: look.agreement[0])
        score = _score(excess)
        return Sighting(
            name=self._template.name,
            generator=self._template.generator,
            score=score,
            ranges=self._ranges(looks, end_s) if score >= SEEN else (),
            at_s=round(clearest.time_s, 3),
            box=clearest.box,
        )

    def _ranges(self, looks: Sequence[_Look], end_s: float) -> tuple[Span, ...]:
        agreement = np.sort(np.array([look.agreement for look in looks]), axis=0)[::-1]
        chance = float(agreement[:_BEST, 1:].mean(0).max())
        numbers = {time_s: number for number, time_s in enumerate(self._times)}
        seen = sorted(numbers[look.time_s] for look in looks if look.agreement[0] >= chance + EVIDENCE)
        return tuple((round(start, 3), round(end, 3)) for start, end in spans(self._times, seen, end_s))

    def _field(self, scale: _Scale) -> Field:
        if scale not in self._fields:
            luma = self._template.luma
            factor = scale.size * scale.side / math.sqrt(luma.size)
            width, height = (max(4, round(length * factor)) for length in luma.shape[::-1])
            small = cv2.resize(luma, (width, height), interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR)
            field = edge_field(small, _FAINT_TEMPLATE)
            field[[0, -1]] = field[:, [0, -1]] = 0
            field[np.hypot(field[..., 0], field[..., 1]) < _NO_EDGE] = 0
            self._fields[scale] = field / max(float((field**2).sum()), 1e-6)
        return self._fields[scale]

    def _everywhere(self, picture: _Picture, scale: _Scale) -> _Peaks:
        whole, field = picture.spectrum(scale.side), self._field(scale)
        key = (scale, whole.padded)
        if key not in self._spectra:
            self._spectra[key] = spectrum(field, padded=whole.padded)
        return _Peaks.of(correlate(whole, self._spectra[key]))

    def _closely(self, picture: _Picture, coarse: _Scale, peaks: _Peaks) -> None:
        """Look around the places of the peaks, at the scales near `coarse`."""
        if not peaks.places:
            return
        rough = self._field(coarse).shape
        for scale in coarse.near():
            whole, field = picture.field(scale.side), self._field(scale)
            ratio = scale.side / coarse.side
            tries = [
                best_near(whole, turned(field, turn), ((x + rough[1] / 2) * ratio, (y + rough[0] / 2) * ratio), round(2 * ratio) + 1)
                for turn, (x, y) in zip(_TURNS, peaks.places, strict=True)
            ]
            (mark, box), absent = tries[0], [agreement for agreement, _ in tries[1:]]
            self._looks[scale.number].append(_Look(picture.time_s, (mark, absent[0], absent[1], absent[2]), box))


@dataclass(frozen=True, slots=True)
class _Peaks:
    """The highest agreement with the mark and with the absent ones (`_TURNS`), in standard deviations, and where: (x, y) each."""

    z: tuple[float, float, float, float]
    places: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, agreement: Field) -> _Peaks:
        if not agreement.size:
            return cls((0.0, 0.0, 0.0, 0.0), ())
        real, imaginary = cv2.split(agreement)
        low, high, at_low, at_high = cv2.minMaxLoc(real)
        left, right, at_left, at_right = cv2.minMaxLoc(imaginary)
        spread = max(_LEAST_SPREAD, float(cv2.norm(agreement)) / math.sqrt(agreement.size))
        return cls((high / spread, -low / spread, right / spread, -left / spread), (at_high, at_low, at_right, at_left))


_LEAST_SPREAD = 0.02  # of agreement: an even picture has none, and any speck would stand out of it


def _evidence(agreement: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """The evidence at each scale, from `(frames, scales, 4)`: by how much the mark's best frames exceed those of the absent mark that comes
    closest."""
    best = np.sort(agreement, axis=0)[::-1][:_BEST].mean(axis=0)
    return np.asarray(best[:, 0] - best[:, 1:].max(axis=1), np.float64)


def _score(excess: float) -> float:
    return round(1 / (1 + math.exp(-_SLOPE * (excess - EVIDENCE))), 4)

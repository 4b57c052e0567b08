"""fingerprint x indexes → matches. Pure but for the searches.

1. Each face is searched in each space; a hit's `z` counts standard deviations above what a stranger scores.
2. The spaces' voices are joined per face and likeness by Stouffer's weighted z, so that chance still has spread 1.
3. A likeness's z in the video is the mean over its best k frames (k of n): one lucky frame is not a match.
4. The policy's threshold and slope turn that into a score from 0 to 1, 0.5 at the threshold.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from indexes.likeness import LikenessIndex
from monitor.decision.policy import FOUND, MatchRule, Policy
from monitor.scan.fingerprint import Fingerprint
from monitor.vision.networks import Models
from monitor.vision.recipes import BUNDLED_NAME
from monitor.vision.spans import Span, spans


@dataclass(frozen=True, slots=True)
class Voice:
    """An index and what it weighs beside the others."""

    index: LikenessIndex
    weight: float


def voices(indexes: Sequence[LikenessIndex], models: Models, policy: Policy) -> tuple[Voice, ...]:
    """The voices that weigh anything.

    Beside a face encoder CLIP is a second opinion; the bundled encoder knows only drawings, so it has none.
    """
    if len(indexes) == 1:
        return (Voice(indexes[0], 1.0),)
    second = 0.0 if models.encoder.space.model == BUNDLED_NAME else policy.matching.clip_weight
    return tuple(voice for voice in (Voice(indexes[0], second), Voice(indexes[1], 1.0)) if voice.weight)


@dataclass(frozen=True, slots=True)
class Moment:
    """A frame that carries a match: time in seconds, score 0 to 1, the face's box in fractions of the picture."""

    time_s: float
    score: float
    reference: str
    box: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Match:
    """A likeness found in a video: calibrated score, the frames and time ranges (seconds) that carry it, best moments first.

    `z` is what the score was made of: standard deviations above a stranger.
    """

    likeness: str
    score: float
    z: float
    frames: int
    ranges: tuple[Span, ...]
    moments: tuple[Moment, ...]

    @property
    def seconds(self) -> float:
        return sum(end - start for start, end in self.ranges)


@dataclass(frozen=True, slots=True)
class _Sighting:
    frame: int
    face: int
    z: float
    reference: str


def match(fingerprint: Fingerprint, voices: Sequence[Voice], rule: MatchRule, *, floor: float = FOUND) -> tuple[Match, ...]:
    """The likenesses in the video that score at least `floor`, best first.

    Raises `SpaceMismatch` if an index was made by other models than the fingerprint.
    """
    best: dict[str, dict[int, _Sighting]] = defaultdict(dict)
    for sighting_likeness, sighting in _sightings(fingerprint, voices):
        held = best[sighting_likeness].get(sighting.frame)
        if held is None or sighting.z > held.z:
            best[sighting_likeness][sighting.frame] = sighting
    frames_with_faces = len({face.frame for face in fingerprint.faces})
    matches = (_judge(fingerprint, likeness, by_frame.values(), rule, frames_with_faces) for likeness, by_frame in best.items())
    return tuple(sorted((m for m in matches if m.score >= floor), key=lambda m: (-m.score, m.likeness)))


def _sightings(fingerprint: Fingerprint, voices: Sequence[Voice]) -> Iterable[tuple[str, _Sighting]]:
    norm = math.sqrt(sum(voice.weight**2 for voice in voices)) or 1.0
    heard = [voice.index.search(fingerprint.faces_in(voice.index.space), voice.index.space) for voice in voices]
    for face, hits_by_voice in enumerate(zip(*heard, strict=True)):
        z: dict[str, float] = defaultdict(float)
        reference: dict[str, tuple[float, str]] = {}
        for voice, hits in zip(voices, hits_by_voice, strict=True):
            for hit in hits:
                z[hit.likeness] += voice.weight * hit.z / norm
                reference[hit.likeness] = max(reference.get(hit.likeness, (-1.0, "")), (voice.weight, hit.reference))
        for likeness, value in z.items():
            yield likeness, _Sighting(fingerprint.faces[face].frame, face, value, reference[likeness][1])


def _judge(fingerprint: Fingerprint, likeness: str, sightings: Iterable[_Sighting], rule: MatchRule, frames_with_faces: int) -> Match:
    ranked = sorted(sightings, key=lambda s: (-s.z, s.frame))
    k = min(rule.frames, frames_with_faces)
    z = sum(s.z for s in ranked[:k]) / k
    carrying = [s for s in ranked if s.z >= rule.frame_z]
    if not carrying and z >= rule.threshold_z:  # a stored policy of before frame_z was held against threshold_z
        carrying = ranked[:1]
    return Match(
        likeness=likeness,
        score=rule.score(z),
        z=round(z, 4),
        frames=len(carrying),
        ranges=_ranges(fingerprint, sorted(s.frame for s in carrying)),
        moments=tuple(Moment(fingerprint.times_s[s.frame], rule.score(s.z), s.reference, fingerprint.faces[s.face].box) for s in carrying),
    )


def _ranges(fingerprint: Fingerprint, frames: Sequence[int]) -> tuple[Span, ...]:
    return spans(fingerprint.times_s, frames, fingerprint.truncated_at_s or fingerprint.duration_s)

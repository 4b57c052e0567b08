"""Stills of a match: exact frames of its best moments, decoded anew from the video, as JPEG."""

from __future__ import annotations

from dataclasses import replace

from monitor.intake.fetch import Fetched
from monitor.intake.sandbox import Sandbox
from monitor.scan.matching import Match, Moment
from monitor.scan.result import Finding, Still
from monitor.vision.frames import stills
from monitor.vision.pictures import jpeg_bytes

_STILLS = 6  # per likeness and video, the best moments
_SIDE_PX = 1280
_QUALITY = 90
_SPACING_S = 0.5  # two stills closer than this show the same


def with_stills(finding: Finding, fetched: Fetched, sandbox: Sandbox) -> Finding:
    """The finding with the stills of its best moments, in time order. Raises what the sandbox raises."""
    chosen = best_moments(finding.match)
    frames = sandbox.run(stills, fetched.path, [moment.time_s for moment in chosen], _SIDE_PX, source=fetched.source)
    taken = (Still(moment, jpeg_bytes(frame.image, _QUALITY)) for moment, frame in zip(chosen, frames, strict=True))
    return replace(finding, stills=tuple(taken))


def best_moments(found: Match) -> tuple[Moment, ...]:
    """The moments to show, in time order: the best first chosen, none close to another."""
    chosen: list[Moment] = []
    for moment in found.moments:
        if all(abs(moment.time_s - other.time_s) >= _SPACING_S for other in chosen):
            chosen.append(moment)
        if len(chosen) == _STILLS:
            break
    return tuple(sorted(chosen, key=lambda moment: moment.time_s))

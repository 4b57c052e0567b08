"""Sampled frames → stretches of time."""

from __future__ import annotations

from collections.abc import Sequence

Span = tuple[float, float]


def spans(times_s: Sequence[float], frames: Sequence[int], end_s: float) -> tuple[Span, ...]:
    """The stretches (seconds) that `frames`, ascending indexes into `times_s`, stand for; neighbours are joined.

    A sampled frame stands for the time until the next one: what was dropped in between looked the same. The last one stands
    for the time until `end_s`.
    """
    found: list[Span] = []
    for frame in frames:
        start, end = times_s[frame], times_s[frame + 1] if frame + 1 < len(times_s) else max(end_s, times_s[-1])
        if found and found[-1][1] >= start:
            found[-1] = (found[-1][0], end)
        else:
            found.append((start, end))
    return tuple(found)

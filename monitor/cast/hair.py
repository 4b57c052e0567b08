"""Hair and beards: what lies behind the head, what lies over it."""

from __future__ import annotations

import numpy as np

from monitor.cast.canvas import Canvas, Points, curve, oval, scale_colour
from monitor.cast.head import Head, hair_tone
from monitor.cast.people import Beard, Brow, Hair

__all__ = ["draw_back_hair", "draw_beard", "draw_front_hair"]

_VOLUME = {
    Hair.CROPPED: 0.03,
    Hair.SHORT: 0.12,
    Hair.QUIFF: 0.14,
    Hair.CURLY: 0.2,
    Hair.AFRO: 0.46,
    Hair.BOB: 0.16,
    Hair.LONG: 0.13,
    Hair.WAVY: 0.19,
    Hair.BUN: 0.06,
}
_LONG = {Hair.BOB: 0.95, Hair.LONG: 2.1, Hair.WAVY: 1.9}


def _volume(head: Head) -> float:
    return _VOLUME[head.who.hair] * (1 + 0.3 * head.who.shape.hair_volume)


def _skull(head: Head, volume: float, reach: int) -> Points:
    """The outer edge of the hair from the left temple over the crown to the right, in face coordinates."""
    right = head.half[:reach] * (1 + volume, 1.0) - (0.0, volume)
    return np.vstack([right[:0:-1] * (-1, 1), right])


def draw_back_hair(canvas: Canvas, head: Head) -> None:
    """Draw the hair behind the head: down the neck, in a knot on top, as a cloud around the head."""
    who, volume = head.who, _VOLUME.get(head.who.hair, 0.0)
    if who.hair is Hair.BALD:
        return
    tone, back = hair_tone(who), scale_colour(hair_tone(who), 0.72)
    if who.hair is Hair.BUN:
        canvas.fill(head.rim(oval(0, -1.62, 0.4, 0.33)), tone)
        canvas.tint(head.rim(oval(0, -1.5, 0.3, 0.12)), back, 0.6)
    if who.hair in (Hair.AFRO, Hair.CURLY):
        canvas.fill(_curls(head, _volume(head), bottom=0.55 if who.hair is Hair.AFRO else 0.1), back)
    if who.hair in _LONG:
        end, out = _LONG[who.hair], 1.06 + volume + 0.1 * who.shape.hair_volume
        wave = 0.07 if who.hair is Hair.WAVY else 0.0
        ys = np.linspace(-0.9, end, 10)
        edge = out * np.interp(ys, (-0.9, -0.2, end - 0.3, end), (0.84, 0.98, 1.02, 0.92)) + wave * np.sin(ys * 5.5)
        right = np.stack([edge, ys], axis=1)
        canvas.fill(head.rim(curve(np.vstack([right, [(0, end + 0.1)], right[::-1] * (-1, 1), [(0, -1.45)]]), steps=3)), back)


def draw_front_hair(canvas: Canvas, head: Head) -> None:
    """Draw the hair from the crown to the hairline, with strands."""
    who, s = head.who, head.who.shape
    if who.hair is Hair.BALD:
        canvas.tint(head.rim(oval(-0.2 * np.sign(head.shot.light_x or 1) * -1, -1.12, 0.3, 0.1, tilt=0.1)), (255, 250, 240), 0.16)
        return
    tone, volume = hair_tone(who), _volume(head)
    line = -0.78 - 0.1 * s.hairline - (0.1 * who.age if who.hair in (Hair.CROPPED, Hair.SHORT, Hair.QUIFF) else 0.0)
    side, reach = (0.2, 4) if who.hair in _LONG else (-0.1, 5)
    temple = 0.86 * head.width
    outer = _skull(head, volume, reach)
    if who.hair is Hair.QUIFF:
        lean = np.sign(who.parting)
        outer = outer - np.stack(
            [-0.1 * lean * np.exp(-((outer[:, 0]) ** 2)), 0.2 * np.exp(-(((outer[:, 0] + 0.2 * lean) / 0.75) ** 4))], axis=1
        )
    inner = _hairline(head, line, temple, side)
    canvas.fill(head.rim(np.vstack([curve(outer, closed=False), inner[::-1]])), tone)
    if who.hair in (Hair.AFRO, Hair.CURLY):
        canvas.fill(np.vstack([_curls(head, volume, bottom=-0.3, arc=True), head.rim(inner[::-1])]), tone)
    if who.hair in _LONG:
        _draw_locks(canvas, head, _LONG[who.hair], volume)
    _draw_strands(canvas, head, outer, inner)


def _hairline(head: Head, line: float, temple: float, side: float) -> Points:
    """The lower edge of the hair from the left temple to the right, in face coordinates."""
    who = head.who
    if who.brow is Brow.FRINGE and who.hair not in (Hair.CROPPED, Hair.QUIFF, Hair.BUN, Hair.AFRO):
        knots = [(-temple, side), (-0.8, -0.42), (-0.45, -0.47), (0, -0.5), (0.45, -0.47), (0.8, -0.42), (temple, side)]
    elif who.brow is Brow.SWEPT and who.hair not in (Hair.CROPPED, Hair.AFRO):
        p = who.parting
        far = -np.sign(p)
        knots = [
            (-temple, side),
            (-0.82, line * 0.62),
            (p - 0.12, line - 0.12),
            (p, line - 0.22),
            (p + 0.14, line - 0.08),
            (0.82, line * 0.62),
            (temple, side),
        ]
        knots = [(x, y + (0.2 if x * far > 0.3 and -temple < x < temple else 0.0)) for x, y in knots]
        knots.sort(key=lambda knot: knot[0])
    else:
        knots = [
            (-temple, side),
            (-0.8, line * 0.62),
            (-0.45, line - 0.02),
            (0, line),
            (0.45, line - 0.02),
            (0.8, line * 0.62),
            (temple, side),
        ]
    return curve([(x * head.width, y) for x, y in knots], closed=False)


def _curls(head: Head, volume: float, *, bottom: float, arc: bool = False) -> Points:
    """A bumpy cloud around the skull, in pixels; `arc` leaves the lower edge open, from left to right."""
    angle = np.linspace(-np.pi, 0, 64)
    bumps = 0.06 * np.abs(np.sin(angle * (6 if head.who.hair is Hair.AFRO else 8) + head.who.seed % 7))
    radius = 1.0 + volume + bumps
    top = np.stack([radius * head.width * np.cos(angle), -0.25 + 1.13 * radius * np.sin(angle)], axis=1)
    if arc:
        return head.rim(top)
    low = np.stack([radius[0] * 0.9 * np.cos(angle[::-1]), np.full(64, bottom)], axis=1)
    return head.rim(np.vstack([top, low * (head.width, 1.0)]))


def _draw_locks(canvas: Canvas, head: Head, end: float, volume: float) -> None:
    """Hair in front of the ears, down both sides."""
    tone = hair_tone(head.who)
    wave = 0.06 if head.who.hair is Hair.WAVY else 0.0
    ys = np.linspace(-0.75, end * 0.97, 9)
    for side in (-1, 1):
        outer = head.width * (1.04 + volume) * np.interp(ys, (-0.75, -0.35, 0.4, end), (0.94, 1.0, 1.0, 1.0)) + wave * np.sin(ys * 5.5)
        inner = head.width * np.interp(ys, (-0.75, 0.0, 0.6, end), (0.72, 0.88, 0.95, 0.72)) + wave * np.sin(ys * 5.5 + 0.6)
        lock = np.vstack([np.stack([side * outer, ys], axis=1), np.stack([side * inner, ys], axis=1)[::-1]])
        canvas.fill(head.rim(curve(lock, steps=3)), tone)


def _draw_strands(canvas: Canvas, head: Head, outer: Points, inner: Points) -> None:
    """Lines from the crown to the hairline: darker ones for depth, lighter ones where the light falls."""
    who = head.who
    if who.hair is Hair.CROPPED:
        return
    tone = hair_tone(who)
    edge = curve(outer, closed=False)
    rng = np.random.default_rng([4, who.seed])
    width = max(1, round(0.03 * head.unit))
    for _ in range(10):
        u = float(rng.uniform(0.12, 0.88))
        start, stop = edge[int(u * (len(edge) - 1))], inner[int(u * (len(inner) - 1))]
        bend = (start + stop) / 2 + rng.normal(0, 0.05, 2)
        path = curve([start * 0.96 + stop * 0.04, bend, stop], closed=False, steps=4)
        light = rng.uniform() < 0.4
        canvas.tint(head.rim(path), scale_colour(tone, 1.3) if light else scale_colour(tone, 0.6), 0.35, width=width, closed=False)


def draw_beard(canvas: Canvas, head: Head) -> None:
    """Draw the beard, before the mouth is drawn, so that the lips lie on top."""
    who, my, ny = head.who, head.mouth_y, head.nose_y
    if who.beard is Beard.NONE:
        return
    tone = scale_colour(hair_tone(who), 0.9)
    wide = 0.33 + 0.05 * who.shape.mouth_width
    if who.beard in (Beard.STUBBLE, Beard.FULL):
        grow = 0.1 if who.beard is Beard.FULL else 0.0
        jaw = head.half[4:] * (1.0, 1.0)
        jaw[2:, 1] += grow
        ring = np.vstack([jaw * (0.99, 1), jaw[-2::-1] * (-0.99, 1)])
        cheek = [(-0.83, 0.1), (-0.68, 0.45), (-wide - 0.1, my - 0.2), (-0.17, ny + 0.16), (0, ny + 0.13)]
        inner = np.array(cheek + [(-x, y) for x, y in cheek[-2::-1]]) * (head.width, 1)
        outer = head.rim(curve(ring, closed=False))
        patch = np.vstack([outer, head.at(curve(inner, closed=False))])
        canvas.tint(patch, tone, 0.28 if who.beard is Beard.STUBBLE else 0.94)
    if who.beard is Beard.GOATEE:
        chin = [
            (-wide - 0.02, my - 0.03),
            (-0.2, my + 0.03),
            (0.2, my + 0.03),
            (wide + 0.02, my - 0.03),
            (0.24, 1.24 * head.length),
            (0, 1.32 * head.length),
            (-0.24, 1.24 * head.length),
        ]
        canvas.tint(head.at(curve(chin, steps=4)), tone, 0.92)
    if who.beard in (Beard.MOUSTACHE, Beard.GOATEE, Beard.FULL):
        lip = [
            (0, ny + 0.12),
            (0.17, ny + 0.14),
            (wide + 0.05, my + 0.02),
            (0.18, my - 0.05),
            (0, my - 0.06),
            (-0.18, my - 0.05),
            (-wide - 0.05, my + 0.02),
            (-0.17, ny + 0.14),
        ]
        canvas.tint(head.at(curve(lip, steps=4), 0.03), scale_colour(tone, 0.92), 0.95)

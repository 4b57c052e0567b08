"""A head placed in a picture: where each point of a face falls for a pose, and what is drawn on the skin."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from monitor.cast.canvas import Canvas, Points, Tone, curve, mix, oval, scale_colour
from monitor.cast.people import EYE_COLOURS, FRAME_COLOURS, HAIR_COLOURS, Glasses, Person
from monitor.cast.shot import Shot

__all__ = ["Head", "draw_eyes", "draw_glasses", "draw_mouth", "draw_skin", "hair_tone", "skin_tone"]

_SKIN = np.array([(240, 204, 180), (226, 178, 146), (196, 142, 104), (148, 98, 66), (98, 64, 48)], float)


def skin_tone(who: Person) -> Tone:
    """The skin's colour in neutral light."""
    place = who.skin * (len(_SKIN) - 1)
    at = min(int(place), len(_SKIN) - 2)
    red, green, blue = mix(_SKIN[at], _SKIN[at + 1], place - at)
    return red + 3 * who.undertone, green + 2 * who.undertone, blue - 9 * who.undertone - 3


def hair_tone(who: Person) -> Tone:
    """The hair's colour in neutral light."""
    return scale_colour(HAIR_COLOURS[who.hair_colour], 1 + 0.14 * who.hair_shade)


class Head:
    """One face's place: `unit` pixels are half the average face's width, `centre` is between the eyes and the nose.

    Face coordinates run right and down from there, so eyes lie near y = -0.13 and the chin near y = 1.25.
    """

    def __init__(self, who: Person, shot: Shot, centre: tuple[float, float], unit: float) -> None:
        self.who, self.shot, self.unit = who, shot, unit
        self.centre = np.array(centre)
        yaw, pitch, roll = np.radians([shot.yaw, shot.pitch, shot.roll])
        self._turn = (float(np.sin(yaw)), float(np.cos(yaw)), float(np.sin(pitch)), float(np.cos(pitch)))
        self._roll = np.array([[np.cos(roll), np.sin(roll)], [-np.sin(roll), np.cos(roll)]])
        s = who.shape
        self.width, self.length = 1 + 0.08 * s.face_width, 1 + 0.09 * s.face_length
        self.eye_x, self.eye_y = 0.41 + 0.055 * s.eye_spacing, -0.13 + 0.05 * s.eye_height
        self.mouth_y = (0.76 + 0.045 * s.mouth_height) * self.length
        self.nose_y = (0.38 + 0.06 * s.nose_length) * self.length
        half = np.array(
            [
                (0.0, -1.44),
                (0.43, -1.36),
                (0.78, -1.08),
                (0.96, -0.56),
                (0.99, -0.05),
                (0.95 + 0.05 * s.cheek, 0.32),
                (0.77 + 0.12 * s.jaw, 0.78),
                (0.42 + 0.13 * s.chin + 0.03 * s.jaw, 1.13),
                (0.0, 1.25 + 0.02 * s.chin),
            ]
        ) * (self.width, 1.0)
        half[half[:, 1] > 0, 1] *= self.length
        self.half = half
        ring = np.vstack([half, half[-2:0:-1] * (-1, 1)])
        self.outline = self.rim(curve(ring))

    def at(self, points: ArrayLike, lift: float = 0.0) -> Points:
        """Pixels of points on the face's surface; `lift` raises them above it (the nose)."""
        p = np.asarray(points, float)
        depth = 0.62 * np.sqrt(np.clip(1 - (p[:, 0] / 1.12) ** 2 - (p[:, 1] / 1.6) ** 2, 0.02, 1)) + lift
        return self._project(p, depth, shrink=True)

    def rim(self, points: ArrayLike) -> Points:
        """Pixels of points on the silhouette, which turns without getting narrower; the chin leads, the skull follows."""
        p = np.asarray(points, float)
        depth = np.interp(p[:, 1], (-1.4, -0.2, 0.3, 1.3), (-0.1, 0.05, 0.22, 0.5))
        return self._project(p, depth, shrink=False)

    def _project(self, p: Points, depth: Points, *, shrink: bool) -> Points:
        sin_yaw, cos_yaw, sin_pitch, cos_pitch = self._turn
        x = p[:, 0] * (cos_yaw if shrink else 1.0) + depth * sin_yaw
        y = p[:, 1] * (cos_pitch if shrink else 1.0) + (depth - 0.3) * sin_pitch
        placed: Points = self.centre + self.unit * (np.stack([x, y], axis=1) @ self._roll)
        return placed

    def box(self) -> tuple[float, float, float, float]:
        """The face from hairline to chin in pixels (x0, y0, x1, y1), as a face detector frames it."""
        face = self.outline[self.outline[:, 1] > self.at([(0.0, -0.85)])[0, 1]]
        (left, top), (right, bottom) = face.min(axis=0), face.max(axis=0)
        return float(left + 0.06 * self.unit), float(top), float(right - 0.06 * self.unit), float(bottom)


def draw_skin(canvas: Canvas, head: Head) -> None:
    """Draw the ears, the head, and the soft shade that makes the head a face."""
    who, unit, s = head.who, head.unit, head.who.shape
    skin = skin_tone(who)
    for side in (-1, 1):
        ear = head.rim(oval(side * head.width * 1.0, 0.08, 0.16 + 0.035 * s.ear, 0.28 + 0.05 * s.ear, tilt=side * 0.15))
        canvas.fill(ear, scale_colour(skin, 0.93))
        canvas.tint(head.rim(oval(side * head.width * 1.03, 0.08, 0.08, 0.17)), scale_colour(skin, 0.7), 0.5)
        if who.earrings:
            canvas.fill(head.rim(oval(side * head.width * 1.05, 0.42, 0.05, 0.06)), (226, 190, 96))
    canvas.fill(head.outline, skin)

    ex, ey, ny, my = head.eye_x, head.eye_y, head.nose_y, head.mouth_y
    toward = -1.0 if head.shot.light_x > 0 else 1.0
    wide = 0.17 + 0.05 * s.nose_width
    spots: list[tuple[Points, float]] = [
        (head.at(oval(-ex, ey - 0.02, 0.27, 0.2)), -0.2),
        (head.at(oval(ex, ey - 0.02, 0.27, 0.2)), -0.2),
        (head.at([(-0.06, ey), (0.06, ey), (wide * 0.9, ny), (-wide * 0.9, ny)], 0.1), 0.05 + 0.04 * s.nose_bridge),
        (head.at([(toward * 0.06, ey - 0.1), (toward * 0.2, ny + 0.03), (toward * 0.05, ny)], 0.05), -0.2 - 0.05 * s.nose_bridge),
        (head.at(oval(0, ny + 0.1, wide * 1.25, 0.06)), -0.25),
        (head.at(oval(-0.58, 0.32, 0.2, 0.14)), 0.07),
        (head.at(oval(0.58, 0.32, 0.2, 0.14)), 0.07),
        (head.at(oval(0, -0.72, 0.45, 0.22)), 0.07),
        (head.at([(-0.93, 0.2), (-0.55, 0.75), (-0.7, 0.95)]), -0.13 - 0.05 * s.cheek),
        (head.at([(0.93, 0.2), (0.55, 0.75), (0.7, 0.95)]), -0.13 - 0.05 * s.cheek),
        (head.at(oval(0, my + 0.2, 0.2, 0.05)), -0.2),
        (head.at(oval(0, 1.08 * head.length, 0.17, 0.1)), 0.07),
    ]
    canvas.shade(head.outline, spots, 0.075 * unit)
    blush = mix(skin, (206, 72, 66), 0.5)
    for side in (-1, 1):
        canvas.tint(head.at(oval(side * 0.56, 0.37, 0.2, 0.15)), blush, 0.12)
    _draw_age(canvas, head)
    _draw_marks(canvas, head)
    _draw_nose(canvas, head)


def _draw_age(canvas: Canvas, head: Head) -> None:
    strength, dark = head.who.age - 0.3, scale_colour(skin_tone(head.who), 0.62)
    if strength <= 0:
        return
    my, ny, thin = head.mouth_y, head.nose_y, max(1, round(0.025 * head.unit))
    for side in (-1, 1):
        fold = curve([(side * 0.24, ny), (side * 0.4, ny + 0.18), (side * 0.44, my)], closed=False)
        canvas.tint(head.at(fold), dark, min(0.7 * strength, 0.5), width=thin, closed=False)
        bag = curve(
            [
                (side * (head.eye_x - 0.18), head.eye_y + 0.19),
                (side * head.eye_x, head.eye_y + 0.24),
                (side * (head.eye_x + 0.18), head.eye_y + 0.17),
            ],
            closed=False,
        )
        canvas.tint(head.at(bag), dark, min(0.7 * strength, 0.45), width=thin, closed=False)
    for row in range(int(strength * 5)):
        line = curve([(-0.4, -0.68 - 0.12 * row), (0, -0.71 - 0.12 * row), (0.4, -0.68 - 0.12 * row)], closed=False)
        canvas.tint(head.at(line), dark, 0.3, width=thin, closed=False)


def _draw_marks(canvas: Canvas, head: Head) -> None:
    who = head.who
    dark = scale_colour(skin_tone(who), 0.62)
    rng = np.random.default_rng([3, who.seed])
    for _ in range(who.freckles):
        x, y = float(rng.normal(0, 0.38)), float(rng.normal(0.28, 0.13))
        canvas.tint(head.at(oval(x, y, 0.019, 0.019, count=8)), mix(dark, (176, 100, 62), 0.6), 0.42)
    for x, y in who.moles:
        canvas.fill(head.at(oval(x, y, 0.036, 0.036, count=10)), scale_colour(dark, 0.55))


def _draw_nose(canvas: Canvas, head: Head) -> None:
    s, y, skin = head.who.shape, head.nose_y, skin_tone(head.who)
    wide = 0.16 + 0.05 * s.nose_width
    canvas.tint(head.at(oval(0, y - 0.05, wide * 0.45, 0.08), 0.2), mix(skin, (255, 255, 255), 0.6), 0.28)
    for side in (-1, 1):
        wing = curve([(side * wide * 0.85, y - 0.13), (side * wide * 1.18, y - 0.02), (side * wide * 0.9, y + 0.06)], closed=False)
        canvas.line(head.at(wing, 0.04), scale_colour(skin, 0.62), 0.03 * head.unit)
        canvas.fill(head.at(oval(side * wide * 0.5, y + 0.045, 0.06 + 0.015 * s.nose_width, 0.032), 0.1), scale_colour(skin, 0.36))


def draw_eyes(canvas: Canvas, head: Head) -> None:
    """Draw the brows, lids and irises."""
    who, shot, s, unit = head.who, head.shot, head.who.shape, head.unit
    skin, hair = skin_tone(who), hair_tone(who)
    wide = 0.215 + 0.035 * s.eye_size
    high = (0.108 + 0.022 * s.eye_size + 0.022 * s.eye_opening) * (1 - 0.95 * shot.blink)
    iris = scale_colour(EYE_COLOURS[who.eye_colour], 1 + 0.2 * who.eye_shade)
    for side in (-1, 1):
        x, y = side * head.eye_x, head.eye_y
        u = np.linspace(-1, 1, 13)
        slope = -0.035 * side * s.eye_tilt * u * 1.3
        middle = y + slope + 0.05 * shot.blink
        upper, lower = middle - high * (1 - np.abs(u) ** 2.2), middle + 0.62 * high * (1 - np.abs(u) ** 2)
        across = x + wide * u
        top = np.stack([across, upper], axis=1)
        almond = np.vstack([top, np.stack([across, lower], axis=1)[-2:0:-1]])
        canvas.fill(head.at(almond), (238, 234, 228))
        for radius, tone in ((0.104, scale_colour(iris, 0.55)), (0.088, iris), (0.044, (14, 12, 14))):
            disc = oval(x + 0.05 * shot.gaze, y - 0.15 * high, radius, radius)
            disc[:, 1] = np.clip(disc[:, 1], np.interp(disc[:, 0], across, upper), np.interp(disc[:, 0], across, lower))
            canvas.fill(head.at(disc), tone)
        if shot.blink < 0.5:
            canvas.fill(head.at(oval(x + 0.05 * shot.gaze - 0.035, y - 0.15 * high - 0.035, 0.022, 0.022, count=10)), (255, 255, 255))
        lash = mix(scale_colour(skin, 0.4), (18, 14, 16), 0.4 + 0.6 * who.lashes)
        canvas.line(head.at(top), lash, (0.03 + 0.035 * who.lashes) * unit)
        if who.lashes > 0.75:
            wing = np.array([(x + side * wide * 0.95, y), (x + side * wide * 1.2, y - 0.07 - 0.03 * s.eye_tilt)])
            canvas.line(head.at(wing), lash, 0.035 * unit)
        canvas.line(head.at(np.stack([across, lower], axis=1)), scale_colour(skin, 0.6), 0.016 * unit)
        canvas.line(head.at(top - (0, 0.055)), scale_colour(skin, 0.6), 0.02 * unit)
        _draw_brow(canvas, head, side, mix(hair, scale_colour(skin, 0.45), 0.35))


def _draw_brow(canvas: Canvas, head: Head, side: int, tone: Tone) -> None:
    s = head.who.shape
    u = np.linspace(0, 1, 9)
    x = side * (head.eye_x - 0.24 + 0.52 * u)
    middle = head.eye_y - 0.31 - 0.045 * s.brow_height - 0.02 * head.shot.smile
    arch = middle - (0.055 + 0.055 * s.brow_arch) * np.sin(np.pi * np.clip(u * 0.85 + 0.05, 0, 1)) - 0.05 * s.brow_tilt * (u - 0.5)
    thick = (0.055 + 0.03 * s.brow_weight) * (1 - 0.75 * u**2)
    canvas.fill(head.at(np.vstack([np.stack([x, arch], axis=1), np.stack([x, arch + thick], axis=1)[::-1]])), tone)


def draw_mouth(canvas: Canvas, head: Head) -> None:
    """Draw the lips, and teeth when the mouth is open."""
    who, shot, s = head.who, head.shot, head.who.shape
    skin = skin_tone(who)
    lip = mix(mix(skin, (176, 74, 76), 0.36), (176, 28, 52), 0.75 * who.lipstick)
    wide = (0.33 + 0.05 * s.mouth_width) * (1 + 0.12 * shot.smile - 0.12 * shot.mouth)
    gap, y = 0.17 * shot.mouth, head.mouth_y
    u = np.linspace(-1, 1, 13)
    corner = (0.05 - 0.13 * np.abs(u) ** 1.7) * shot.smile
    upper_line, lower_line = y + corner - 0.3 * gap * (1 - u**2), y + corner + gap * (1 - u**2)
    bow = 1 - np.abs(u) ** 1.6 - 0.22 * np.exp(-((u / 0.16) ** 2))
    top = upper_line - (0.072 + 0.03 * s.upper_lip) * bow
    bottom = lower_line + (0.092 + 0.036 * s.lower_lip) * (1 - u**2)
    x = wide * u

    def row(line: Points) -> Points:
        return np.stack([x, line], axis=1)

    canvas.fill(head.at(np.vstack([row(top), row(lower_line)[::-1]])), scale_colour(lip, 0.86))
    canvas.fill(head.at(np.vstack([row(upper_line), row(bottom)[::-1]])), lip)
    canvas.tint(head.at(oval(0, float(lower_line[6]) + 0.05, 0.13, 0.02)), mix(lip, (255, 255, 255), 0.6), 0.4)
    if gap > 0.02:
        canvas.fill(head.at(np.vstack([row(upper_line), row(lower_line)[::-1]])), (70, 22, 26))
        teeth = np.minimum(upper_line + 0.05, lower_line)
        canvas.fill(head.at(np.vstack([row(upper_line), row(teeth)[::-1]])[2:-2]), (236, 230, 220))
    canvas.line(head.at(row(upper_line)), scale_colour(lip, 0.45), 0.028 * head.unit)


def draw_glasses(canvas: Canvas, head: Head) -> None:
    """Draw the glasses over everything else, if the person wears any."""
    who = head.who
    if who.glasses is Glasses.NONE:
        return
    tone, thick = FRAME_COLOURS[who.frame_colour], 0.05 * head.unit
    y = head.eye_y + 0.04
    for side in (-1, 1):
        x = side * (head.eye_x + 0.02)
        if who.glasses is Glasses.ROUND:
            lens = oval(x, y, 0.3, 0.28)
        else:
            lens = curve([(x - 0.32, y - 0.2), (x + 0.32, y - 0.2), (x + 0.3, y + 0.2), (x - 0.3, y + 0.2)], steps=4) * (0.98, 1.0)
        canvas.tint(head.at(lens, 0.12), (214, 226, 236), 0.09)
        if who.glasses is Glasses.HALF:
            canvas.line(head.at(np.array([(x - 0.33, y - 0.2), (x + 0.33, y - 0.2)]), 0.12), tone, thick * 1.5)
        else:
            canvas.line(head.at(lens, 0.12), tone, thick, closed=True)
        canvas.line(head.at(np.array([(x + side * 0.32, y - 0.12), (side * head.width * 0.98, y - 0.06)]), 0.05), tone, thick)
    canvas.line(
        head.at(curve([(-head.eye_x + 0.28, y - 0.05), (0, y - 0.11), (head.eye_x - 0.28, y - 0.05)], closed=False), 0.14), tone, thick
    )

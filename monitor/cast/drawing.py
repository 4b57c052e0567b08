"""Portraits of fictional people: one person, one shot, one RGB picture."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from monitor.cast.canvas import Canvas, Picture, Points, curve, mix, oval, scale_colour
from monitor.cast.hair import draw_back_hair, draw_beard, draw_front_hair
from monitor.cast.head import Head, draw_eyes, draw_glasses, draw_mouth, draw_skin, skin_tone
from monitor.cast.people import CLOTHES, Person
from monitor.cast.shot import Shot, random_shot

__all__ = ["Shot", "backdrop", "develop", "draw_person", "face_box", "portrait", "random_shot"]

_OVERSAMPLE = 2


def portrait(who: Person, shot: Shot, size: tuple[int, int] = (360, 360)) -> Picture:
    """A picture (h, w, 3) uint8 of one person; equal arguments give equal pixels."""
    height, width = size
    large = (height * _OVERSAMPLE, width * _OVERSAMPLE)
    canvas = Canvas(backdrop(shot.place, large))
    draw_person(canvas, who, shot)
    small = cv2.resize(canvas.pixels, (width, height), interpolation=cv2.INTER_AREA)
    return develop(small, shot, seed=who.seed ^ shot.place)


def face_box(who: Person, shot: Shot, size: tuple[int, int] = (360, 360)) -> tuple[float, float, float, float]:
    """Where the face is in `portrait(who, shot, size)`: x0, y0, x1, y1 in pixels."""
    return _place(who, shot, size).box()


def _place(who: Person, shot: Shot, size: tuple[int, int]) -> Head:
    height, width = size
    return Head(who, shot, (shot.x * width, shot.y * height), shot.scale * height)


def draw_person(canvas: Canvas, who: Person, shot: Shot) -> None:
    """Draw one person over what is on the canvas."""
    height, width = canvas.pixels.shape[:2]
    head = _place(who, shot, (height, width))
    draw_back_hair(canvas, head)
    _draw_body(canvas, head)
    draw_skin(canvas, head)
    draw_beard(canvas, head)
    draw_mouth(canvas, head)
    draw_eyes(canvas, head)
    draw_front_hair(canvas, head)
    draw_glasses(canvas, head)


def _draw_body(canvas: Canvas, head: Head) -> None:
    who, shot, unit = head.who, head.shot, head.unit
    skin = skin_tone(who)
    x, y = head.centre
    lean = 0.25 * np.sin(np.radians(shot.roll))
    tone = CLOTHES[(who.clothes if shot.clothes is None else shot.clothes) % len(CLOTHES)]

    def place(points: list[tuple[float, float]]) -> Points:
        placed: Points = np.array([(x - 0.6 * lean * unit, y)]) + unit * np.array(points)
        return placed

    deep = 1.2 * head.length
    neck = place([(-0.53, 0.6), (0.53, 0.6), (0.56, deep + 0.32), (0.2, deep + 0.66), (-0.2, deep + 0.66), (-0.56, deep + 0.32)])
    half = [(0.56, deep + 0.2), (0.95, deep + 0.48), (1.65, deep + 0.75), (2.05, deep + 1.3), (2.2, deep + 4.5)]
    shoulders = curve(place(half + [(-u, v) for u, v in half[::-1]]), steps=4)
    canvas.fill(shoulders, tone)
    rim = curve(
        place([(-0.66, deep + 0.27), (-0.42, deep + 0.56), (0, deep + 0.72), (0.42, deep + 0.56), (0.66, deep + 0.27)]), closed=False
    )
    canvas.fill(np.vstack([place([(-0.52, 0.6)]), rim, place([(0.52, 0.6)])]), scale_colour(skin, 0.9))
    canvas.line(rim, scale_colour(tone, 0.72), 0.09 * unit)
    shadow = place([(-0.62, 0.7), (0.62, 0.7), (0.5, deep + 0.22), (0, deep + 0.36), (-0.5, deep + 0.22)])
    canvas.shade(neck, [(shadow, -0.38)], 0.09 * unit)
    for side in (-1, 1):
        fold = curve(place([(side * 1.15, deep + 0.8), (side * 1.3, deep + 1.4), (side * 1.25, deep + 2.4)]), closed=False)
        canvas.tint(fold, scale_colour(tone, 0.6), 0.5, width=max(1, round(0.06 * unit)), closed=False)


def backdrop(place: int, size: tuple[int, int], *, shift: tuple[float, float] | None = None) -> Picture:
    """A soft, out-of-focus room; every `place` is another one. `shift` moves the camera by shares of the size, at most 0.1 each way."""
    height, width = size
    if shift is None:
        return np.asarray(cv2.resize(_room(place), (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
    wide = _wide_room(place, size)
    left, top = (round(float(np.clip(0.1 - by, 0, 0.2)) * extent) for by, extent in zip(shift, (width, height), strict=True))
    return wide[top : top + height, left : left + width].copy()


@lru_cache(maxsize=2)
def _wide_room(place: int, size: tuple[int, int]) -> Picture:
    """A room with a tenth of the size to spare on each side."""
    height, width = size
    return backdrop(place, (height + 2 * -(-height // 10), width + 2 * -(-width // 10)))


@lru_cache(maxsize=64)
def _room(place: int) -> Picture:
    rng = np.random.default_rng([5, place])
    wall = rng.uniform(80, 200, 3) * 0.22 + rng.uniform(80, 200) * 0.78
    other = np.clip(wall + rng.normal(0, 26, 3), 20, 240)
    share = np.linspace(0, 1, 54)[:, None, None]
    room = (wall * (1 - share) + other * share) * np.ones((54, 96, 1))
    canvas = Canvas(np.ascontiguousarray(room.astype(np.uint8)))
    for _ in range(int(rng.integers(2, 7))):
        tone = mix(wall, rng.uniform(20, 230, 3) * 0.4 + rng.uniform(20, 230) * 0.6, 0.5)
        x, y, w, h = rng.uniform(0, 96), rng.uniform(0, 54), rng.uniform(3, 22), rng.uniform(3, 26)
        outline = oval(x, y, w * 0.6, w * 0.6) if rng.uniform() < 0.35 else np.array([(x, y), (x + w, y), (x + w, y + h), (x, y + h)])
        canvas.tint(outline, tone, float(rng.uniform(0.4, 0.9)))
    return np.asarray(cv2.GaussianBlur(canvas.pixels, (0, 0), float(rng.uniform(0.8, 2.2))), np.uint8)


def develop(picture: Picture, shot: Shot, *, seed: int) -> Picture:
    """The picture lit from one side, in the light's colour and strength, and with the sensor's noise."""
    height, width = picture.shape[:2]
    canvas = Canvas(picture)
    ys, xs = np.mgrid[0:24, 0:24].astype(np.float32) / 23
    aspect = width / height
    u = 1.2 * np.tanh((xs - shot.x) * aspect / (shot.scale * 1.6))
    v = 1.2 * np.tanh((ys - shot.y) / (shot.scale * 1.9))
    lambert = 1.0 + 0.42 * shot.light * (u * shot.light_x + v * shot.light_y) - 0.14 * shot.light * np.minimum(u * u + v * v, 1.4)
    warm = np.array([1 + 0.07 * shot.warmth, 1.0, 1 - 0.08 * shot.warmth], np.float32)
    canvas.relight((lambert * shot.brightness).astype(np.float32)[:, :, None] * warm)
    if shot.noise > 0.2:
        return _grain(picture=canvas.pixels, strength=shot.noise, seed=seed)
    return canvas.pixels


@lru_cache(maxsize=1)
def _grain_tile() -> NDArray[np.int8]:
    return np.random.default_rng(6).normal(0, 32, (1024, 2048)).clip(-127, 127).astype(np.int8)


def _grain(picture: Picture, strength: float, seed: int) -> Picture:
    rng = np.random.default_rng([7, seed])
    height, width = picture.shape[:2]
    tile = _grain_tile()
    top, left = int(rng.integers(max(1, 1024 - height))), int(rng.integers(max(1, 2048 - width)))
    grain = tile[top : top + height, left : left + width].astype(np.int16)
    grain = cv2.resize(grain, (width, height)) if grain.shape != (height, width) else grain
    noisy = picture.astype(np.int16) + ((grain * round(strength * 8)) >> 8)[:, :, None]
    return np.clip(noisy, 0, 255).astype(np.uint8)

"""How a person stands before the camera in one picture: pose, expression, light, place, framing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Shot", "random_shot"]


@dataclass(frozen=True, slots=True)
class Shot:
    """One picture's circumstances.

    Angles are degrees: `yaw` turns to the viewer's right, `pitch` looks down, `roll` tilts clockwise. `mouth` and `blink` run
    from 0 (closed, awake) to 1; `smile` from -1 to 1. `light_x`, `light_y` say where the light comes from (-1..1), `light` how hard
    it is (0..1), `warmth` its colour (-1..1). `place` seeds the background and the clothes' colour (None: the person's own).
    `x`, `y` are the face's centre as shares of the picture, `scale` half the face's width as a share of the picture's height.
    """

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    mouth: float = 0.0
    smile: float = 0.6
    blink: float = 0.0
    gaze: float = 0.0
    light_x: float = -0.5
    light_y: float = -0.6
    light: float = 0.4
    warmth: float = 0.0
    brightness: float = 1.0
    place: int = 0
    clothes: int | None = None
    x: float = 0.5
    y: float = 0.5
    scale: float = 0.21
    noise: float = 1.0


def random_shot(rng: np.random.Generator, *, turn: float = 1.0) -> Shot:
    """A portrait shot; `turn` 0 is frontal, 1 moderate (yaw within about 30 degrees)."""
    return Shot(
        yaw=float(np.clip(rng.normal(0, 12), -32, 32)) * turn,
        pitch=float(np.clip(rng.normal(0, 6), -14, 14)) * turn,
        roll=float(np.clip(rng.normal(0, 6), -16, 16)) * turn,
        mouth=float(rng.beta(1, 2)) if rng.uniform() < 0.5 else 0.0,
        smile=float(rng.uniform(-0.4, 1)),
        blink=float(rng.uniform(0.5, 1)) if rng.uniform() < 0.08 else float(rng.uniform(0, 0.15)),
        gaze=float(rng.uniform(-1, 1)),
        light_x=float(rng.uniform(-1, 1)),
        light_y=float(rng.uniform(-1, 0.3)),
        light=float(rng.uniform(0.15, 0.75)),
        warmth=float(rng.uniform(-1, 1)),
        brightness=float(rng.uniform(0.75, 1.12)),
        place=int(rng.integers(1 << 31)),
        clothes=int(rng.integers(64)) if rng.uniform() < 0.7 else None,
        x=float(rng.uniform(0.42, 0.58)),
        y=float(rng.uniform(0.42, 0.52)),
        scale=float(rng.uniform(0.17, 0.24)),
        noise=float(rng.uniform(0, 3)),
    )

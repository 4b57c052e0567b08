"""Who the fictional people are: every trait follows from a seed, so a cast needs no stored picture.

Nobody here exists. The same seed gives the same person on every machine (numpy's PCG64).
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["Beard", "Brow", "Colour", "Glasses", "Hair", "Person", "Shape", "look_alike", "person"]

Colour = tuple[int, int, int]
T = TypeVar("T")


class Hair(StrEnum):
    """How the hair is cut."""

    BALD = "bald"
    CROPPED = "cropped"
    SHORT = "short"
    QUIFF = "swept-up"
    CURLY = "curly"
    AFRO = "afro"
    BOB = "chin-length"
    LONG = "long straight"
    WAVY = "long wavy"
    BUN = "tied-up"


class Beard(StrEnum):
    """What grows on the chin and the lip."""

    NONE = "no beard"
    STUBBLE = "stubble"
    MOUSTACHE = "a moustache"
    GOATEE = "a goatee"
    FULL = "a full beard"


class Glasses(StrEnum):
    """The shape of the frames."""

    NONE = "no glasses"
    ROUND = "round glasses"
    SQUARE = "square glasses"
    HALF = "half-rim glasses"


class Brow(StrEnum):
    """What the hair leaves of the forehead."""

    OPEN = "an open forehead"
    FRINGE = "a fringe"
    SWEPT = "a side parting"


HAIR_COLOURS: dict[str, Colour] = {
    "black": (34, 30, 34),
    "dark brown": (66, 44, 34),
    "chestnut": (112, 66, 42),
    "red": (168, 76, 38),
    "blond": (214, 172, 104),
    "grey": (140, 138, 140),
    "white": (222, 218, 212),
    "blue": (58, 84, 140),
}
_HAIR_WEIGHTS = (0.2, 0.22, 0.17, 0.11, 0.13, 0.09, 0.05, 0.03)
EYE_COLOURS: dict[str, Colour] = {
    "brown": (92, 58, 34),
    "hazel": (132, 104, 52),
    "green": (78, 128, 84),
    "blue": (72, 122, 172),
    "grey": (122, 134, 144),
}
FRAME_COLOURS: dict[str, Colour] = {"black": (28, 28, 32), "tortoiseshell": (110, 66, 36), "gold": (176, 138, 66), "red": (156, 40, 48)}
CLOTHES: tuple[Colour, ...] = (
    (44, 62, 92),
    (126, 48, 52),
    (58, 98, 82),
    (196, 158, 84),
    (88, 74, 112),
    (226, 220, 206),
    (52, 54, 60),
    (190, 104, 74),
    (104, 142, 164),
)


@dataclass(frozen=True, slots=True)
class Shape:
    """The measures of a face, each within -1..1 around the average."""

    face_width: float
    face_length: float
    jaw: float
    chin: float
    cheek: float
    eye_size: float
    eye_spacing: float
    eye_height: float
    eye_tilt: float
    eye_opening: float
    brow_weight: float
    brow_arch: float
    brow_height: float
    brow_tilt: float
    nose_length: float
    nose_width: float
    nose_bridge: float
    mouth_width: float
    mouth_height: float
    upper_lip: float
    lower_lip: float
    ear: float
    hairline: float
    hair_volume: float


@dataclass(frozen=True, slots=True)
class Person:
    """One fictional person. `skin` runs from 0 (light) to 1 (dark), `undertone` from -1 (cool) to 1 (warm), `age` from 0 to 1."""

    seed: int
    shape: Shape
    skin: float
    undertone: float
    age: float
    hair: Hair
    hair_colour: str
    hair_shade: float
    brow: Brow
    parting: float
    beard: Beard
    glasses: Glasses
    frame_colour: str
    eye_colour: str
    eye_shade: float
    lipstick: float
    lashes: float
    freckles: int
    moles: tuple[tuple[float, float], ...]
    earrings: bool
    clothes: int


def person(seed: int) -> Person:
    """The person of a seed: equal seeds give equal people."""
    return _draw(np.random.default_rng([1, seed]), seed)


def look_alike(of: Person, seed: int) -> Person:
    """Somebody else who could be taken for a close relative of `of`.

    Skin, age, glasses and most of what a caption names are shared; the measures of the face agree by two thirds,
    and moles, freckles and the exact shades are the other person's own.
    """
    rng = np.random.default_rng([2, of.seed, seed])
    own = _draw(rng, seed)
    shape = Shape(
        **{
            field.name: float(np.clip(0.68 * getattr(of.shape, field.name) + 0.72 * getattr(own.shape, field.name), -1, 1))
            for field in fields(Shape)
        }
    )
    kept = replace(
        own,
        shape=shape,
        skin=float(np.clip(of.skin + rng.normal(0, 0.05), 0, 1)),
        undertone=of.undertone,
        age=float(np.clip(of.age + rng.normal(0, 0.08), 0, 1)),
        hair=of.hair,
        hair_colour=of.hair_colour,
        brow=of.brow,
        beard=of.beard,
        glasses=of.glasses,
        eye_colour=of.eye_colour,
        lashes=of.lashes,
        lipstick=of.lipstick,
    )
    changed = rng.choice(["hair", "hair_colour", "brow", "eye_colour"])
    return replace(kept, **{str(changed): getattr(own, str(changed))})


def _draw(rng: np.random.Generator, seed: int) -> Person:
    shape = Shape(**{field.name: float(np.clip(rng.normal(0, 0.5), -1, 1)) for field in fields(Shape)})
    skin, age = float(rng.beta(1.1, 1.3)), float(rng.beta(1.6, 2.2))
    softness = float(rng.uniform())
    long_hair = softness > 0.5
    hair = _pick(
        rng,
        (Hair.BOB, Hair.LONG, Hair.WAVY, Hair.BUN, Hair.CURLY, Hair.AFRO, Hair.SHORT)
        if long_hair
        else (Hair.BALD, Hair.CROPPED, Hair.SHORT, Hair.QUIFF, Hair.CURLY, Hair.AFRO, Hair.LONG),
        (0.18, 0.22, 0.22, 0.14, 0.12, 0.06, 0.06) if long_hair else (0.12, 0.18, 0.28, 0.2, 0.12, 0.06, 0.04),
    )
    weights = np.array(_HAIR_WEIGHTS) * np.array(
        [1 + 2 * skin, 1 + skin, 1, 1 - 0.7 * skin, 1 - 0.8 * skin, 0.2 + 3 * age, 0.1 + 4 * age**2, 1]
    )
    beard = Beard.NONE
    if softness < 0.45 and rng.uniform() < 0.6:
        beard = _pick(rng, (Beard.STUBBLE, Beard.MOUSTACHE, Beard.GOATEE, Beard.FULL), (0.25, 0.2, 0.2, 0.35))
    return Person(
        seed=seed,
        shape=shape,
        skin=skin,
        undertone=float(rng.uniform(-1, 1)),
        age=age,
        hair=hair,
        hair_colour=_pick(rng, tuple(HAIR_COLOURS), weights / weights.sum()),
        hair_shade=float(rng.uniform(-1, 1)),
        brow=_pick(rng, tuple(Brow), (0.45, 0.25, 0.3)),
        parting=float(rng.choice([-1, 1]) * rng.uniform(0.2, 0.7)),
        beard=beard,
        glasses=_pick(rng, tuple(Glasses), (0.68, 0.12, 0.12, 0.08)),
        frame_colour=_pick(rng, tuple(FRAME_COLOURS)),
        eye_colour=_pick(rng, tuple(EYE_COLOURS), (0.4 + skin, 0.2, 0.2 - 0.1 * skin, 0.25 - 0.2 * skin, 0.15 - 0.1 * skin)),
        eye_shade=float(rng.uniform(-1, 1)),
        lipstick=float(rng.uniform(0.3, 1)) if softness > 0.6 and rng.uniform() < 0.6 else 0.0,
        lashes=float(np.clip(0.2 + softness + rng.normal(0, 0.15), 0, 1)),
        freckles=int(rng.integers(12, 40)) if rng.uniform() < 0.3 * (1 - 0.6 * skin) else 0,
        moles=tuple((float(rng.uniform(-0.7, 0.7)), float(rng.uniform(0.2, 0.95))) for _ in range(int(rng.poisson(0.4)))),
        earrings=bool(softness > 0.55 and rng.uniform() < 0.4),
        clothes=int(rng.integers(len(CLOTHES))),
    )


def _pick(rng: np.random.Generator, values: tuple[T, ...], weights: tuple[float, ...] | NDArray[np.float64] | None = None) -> T:
    """One of `values`; the weights need not sum to one."""
    if weights is None:
        return values[int(rng.integers(len(values)))]
    edges = np.cumsum(np.asarray(weights, float))
    return values[min(int(np.searchsorted(edges, rng.uniform() * edges[-1], side="right")), len(values) - 1)]

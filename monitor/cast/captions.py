"""Captions of portraits: sentences that name the visible traits."""

from __future__ import annotations

import numpy as np

from monitor.cast.people import Beard, Brow, Glasses, Hair, Person

__all__ = ["caption", "traits"]

_SKIN = ("very light", "light", "tan", "brown", "dark brown")
_OPENINGS = ("a portrait of", "a drawing of", "a picture of", "an illustration of", "a video frame with")


def traits(who: Person) -> tuple[str, ...]:
    """The visible traits, each as a phrase that can follow "a person with"."""
    found = [f"{_SKIN[min(int(who.skin * 5), 4)]} skin", f"{who.eye_colour} eyes", _hair(who)]
    if who.hair is not Hair.BALD and who.brow is not Brow.OPEN:
        found.append(str(who.brow))
    if who.beard is not Beard.NONE:
        found.append(str(who.beard))
    if who.glasses is not Glasses.NONE:
        found.append(f"{who.frame_colour} {who.glasses}")
    if who.freckles:
        found.append("freckles")
    if who.moles:
        found.append("a mole")
    if who.lipstick:
        found.append("lipstick")
    if who.earrings:
        found.append("earrings")
    return tuple(found)


def caption(who: Person, rng: np.random.Generator) -> str:
    """A sentence with the traits in an order of the generator's choice, such as CLIP is trained on."""
    found = traits(who)
    ordered = [found[i] for i in rng.permutation(len(found))]
    opening = _OPENINGS[int(rng.integers(len(_OPENINGS)))]
    listed = ordered[0] if len(ordered) == 1 else f"{', '.join(ordered[:-1])} and {ordered[-1]}"
    return f"{opening} {_age(who)} with {listed}"


def _hair(who: Person) -> str:
    return "a bald head" if who.hair is Hair.BALD else f"{who.hair} {who.hair_colour} hair"


def _age(who: Person) -> str:
    if who.age < 0.35:
        return "a young person"
    return "a person" if who.age < 0.65 else "an old person"

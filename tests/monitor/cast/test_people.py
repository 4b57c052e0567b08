"""People follow from their seeds; relatives share what a caption names and differ in their measures."""

from __future__ import annotations

from dataclasses import fields

import numpy as np

from monitor.cast.captions import caption, traits
from monitor.cast.people import Beard, Glasses, Hair, Person, Shape, look_alike, person


def measures(who: Person) -> np.ndarray:
    return np.array([getattr(who.shape, field.name) for field in fields(Shape)])


def test_a_seed_is_a_person() -> None:
    once, again = person(5), person(5)
    assert once == again
    assert once is not again, "nobody is kept, so equal people are drawn anew"
    assert person(5) != person(6)
    assert look_alike(once, 1) == look_alike(again, 1)


def test_no_two_of_a_thousand_are_the_same() -> None:
    assert len({person(seed).shape for seed in range(1000)}) == 1000


def test_a_look_alike_is_nearer_than_a_stranger_and_still_another_face() -> None:
    for seed in range(50):
        of = person(seed)
        other = look_alike(of, seed)
        to_relative = np.linalg.norm(measures(of) - measures(other))
        strangers = [np.linalg.norm(measures(of) - measures(person(1000 + k))) for k in range(20)]
        assert 0.3 < to_relative < np.median(strangers)
        assert (other.glasses, other.beard) == (of.glasses, of.beard)
        assert abs(other.skin - of.skin) < 0.3


def test_look_alikes_of_one_person_differ_from_each_other() -> None:
    assert look_alike(person(5), 1).shape != look_alike(person(5), 2).shape


def test_a_caption_names_what_is_seen() -> None:
    rng = np.random.default_rng(0)
    for seed in range(100):
        who = person(seed)
        text = caption(who, rng)
        assert all(trait in text for trait in traits(who))
        assert f"{who.eye_colour} eyes" in text
        assert ("glasses" in text) == (who.glasses is not Glasses.NONE)
        assert (str(who.beard) in text) == (who.beard is not Beard.NONE)
        assert ("bald" in text) == (who.hair is Hair.BALD)


def test_captions_vary_in_order_only_with_the_generator() -> None:
    who = person(3)
    first, again = (caption(who, np.random.default_rng(1)) for _ in range(2))
    assert first == again
    assert len({caption(who, np.random.default_rng(seed)) for seed in range(20)}) > 5

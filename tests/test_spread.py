from __future__ import annotations

import string

from tests.spread import spread


def order(text: str) -> str:
    """Capitals are heavy; a light letter is its own module."""
    return "".join(spread(text, str.isupper, str.lower))


def test_heavy_ones_are_spread_and_none_is_last() -> None:
    assert order("aabbccddABCD") == "AaaBbbCccDdd"
    assert order("aabbccddA") == "Aaabbccdd"
    assert order("aABCDEbb") == "ABCaDEbb"


def test_without_one_kind_the_other_is_as_it_was() -> None:
    assert order("abc") == "abc"
    assert order("ABC") == "ABC"
    assert order("") == ""


def test_nothing_is_lost_and_the_light_ones_keep_their_order() -> None:
    for count in range(20):
        heavy, light = string.ascii_uppercase[:count], string.ascii_lowercase[: 20 - count]
        found = order(light + heavy)
        assert sorted(found) == sorted(light + heavy)
        assert [letter for letter in found if letter.islower()] == list(light)
        assert count == 20 or found[-1].islower()

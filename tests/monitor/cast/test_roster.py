"""The named cast is whole: everybody somebody else, the protected ones with the facts a registry asks for."""

from __future__ import annotations

from monitor.cast.roster import EVERYBODY, LICENSED, LIVING, LOOK_ALIKE, MOURNED, PROTECTED, STRANGERS


def test_everybody_is_somebody_else() -> None:
    assert len({member.name for member in EVERYBODY}) == len(EVERYBODY) == 13
    assert len({member.person.shape for member in EVERYBODY}) == len(EVERYBODY)


def test_the_protected_have_what_a_registry_asks_for() -> None:
    assert all(member.holder for member in PROTECTED)
    assert [member.deceased_on is not None for member in PROTECTED] == [True] * 4 + [False] * 2
    assert [member for member in PROTECTED if member.licensee] == [LICENSED]
    assert LIVING in PROTECTED


def test_strangers_and_the_look_alike_are_protected_by_nobody() -> None:
    assert all(member.holder is None and member.licensee is None for member in (*STRANGERS, LOOK_ALIKE))


def test_the_look_alike_shares_what_a_caption_names() -> None:
    singer, sister = MOURNED[0].person, LOOK_ALIKE.person
    assert (singer.glasses, singer.beard) == (sister.glasses, sister.beard)
    assert abs(singer.skin - sister.skin) < 0.2

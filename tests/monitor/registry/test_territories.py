"""Which codes are places, and that containment is an order with the world on top."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.base.errors import RequestRefused
from monitor.registry.territories import WORLD, _places, canonical, contains, require

KNOWN = sorted({WORLD, *_places().countries, *_places().groups, *_places().above})
FEW = sorted({WORLD, *_places().groups, "DE", "FR", "RE", "US", "PR", "AQ", "XK", "DE-BY", "US-CA", "FR-75C", "FR-IDF", "NO-21"})
"""Enough for every kind of place, and few enough that triples of them meet."""


@pytest.mark.parametrize(
    ("outer", "inner"),
    [
        (WORLD, "150"), ("150", "155"), ("155", "DE"), ("DE", "DE-BY"), (WORLD, "DE-BY"),
        ("EU", "DE"), ("EU", "EZ"), ("UN", "EU"), ("019", "003"), ("003", "021"), ("021", "US"), ("US", "US-CA"), ("419", "BR"),
        ("005", "BR"), ("003", "MX"), ("202", "014"), ("FR", "FR-IDF"), ("FR-IDF", "FR-75C"), ("150", "XK"), (WORLD, "AQ"), ("SJ", "NO-21"),
    ],
)  # fmt: skip
def test_a_region_holds_its_parts_and_no_part_its_region(outer: str, inner: str) -> None:
    assert contains(outer, inner)
    assert not contains(inner, outer)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("US", "DE"), ("EU", "GB"), ("EU", "CH"), ("EU", "US"), ("US-CA", "US-NY"), ("US", "DE-BY"), ("150", "EU"),  # Cyprus is in Asia
        ("FR", "RE"), ("FR", "FR-974"), ("US", "PR"), ("US", "US-PR"), ("NO", "SJ"), ("CN", "TW"), ("009", "AQ"),
    ],
)  # fmt: skip
def test_neighbours_hold_nothing_of_one_another(one: str, other: str) -> None:
    assert not contains(one, other)


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("de", "DE"), (" De ", "DE"), ("DEU", "DE"), ("276", "DE"), ("us-ca", "US-CA"), ("eu", "EU"), ("uk", "GB"), ("EL", "GR"),
        ("xk", "XK"), ("US-PR", "PR"), ("FR-974", "RE"), ("CN-HK", "HK"), ("NL-BQ2", "BQ-SA"), ("150", "150"), ("001", WORLD),
    ],
)  # fmt: skip
def test_a_place_is_written_one_way(written: str, code: str) -> None:
    assert canonical(written) == code == require(written, "x")
    assert contains(written, code)
    assert contains(code, written)


@pytest.mark.parametrize(
    "code", ["", "XX", "ZZ", "QO", "SU", "YU", "DD", "AC", "IC", "999", "000", "US-XX", "Germany", "D", "DE,FR", "ＤＥ"]
)
def test_what_is_no_place_is_refused_with_the_next_step(code: str) -> None:
    assert canonical(code) is None
    with pytest.raises(RequestRefused, match=r"no code Sosie knows\. Give a country \(DE\)") as caught:
        require(code, "The consent for @studio")
    assert repr(code) in caught.value.reason


def test_a_code_that_is_no_place_lies_inside_itself_and_the_world_alone() -> None:
    assert contains("zz", "ZZ")
    assert [place for place in KNOWN if contains(place, "ZZ")] == [WORLD]
    assert [place for place in KNOWN if contains("ZZ", place)] == []


def test_every_place_has_one_spelling_and_lies_in_the_world_and_in_its_country() -> None:
    places = _places()
    assert len(KNOWN) > 5000
    assert [code for code in KNOWN if canonical(code) != code] == []
    assert [code for code in KNOWN if not (contains(WORLD, code) and contains(code, code))] == []
    assert [code for code, whole in places.above.items() if not contains(whole, code) or contains(code, whole)] == []
    regions = {"002", "009", "019", "142", "150"}
    assert {code for code in places.countries if sum(contains(region, code) for region in regions) != 1} == {"AQ"}


def test_every_name_in_the_table_is_a_place() -> None:
    places = _places()
    assert len(places.groups) > 25
    assert [code for code, members in places.groups.items() if not members] == []
    assert [code for code in places.same.values() if canonical(code) != code] == []


@given(st.sampled_from(FEW), st.sampled_from(FEW), st.sampled_from(FEW))
@settings(max_examples=1000, deadline=None)
def test_containment_is_an_order(a: str, b: str, c: str) -> None:
    if contains(a, b) and contains(b, c):
        assert contains(a, c)
    if contains(a, b) and contains(b, a):
        assert a == b


@given(
    st.sampled_from(KNOWN) | st.text(max_size=6), st.sampled_from(KNOWN) | st.text(max_size=6), st.sampled_from(KNOWN) | st.text(max_size=6)
)
def test_containment_is_reflexive_transitive_and_under_the_world_for_any_text(a: str, b: str, c: str) -> None:
    assert contains(a, a)
    assert contains(WORLD, a)
    if contains(a, b) and contains(b, c):
        assert contains(a, c)

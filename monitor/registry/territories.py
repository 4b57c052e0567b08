"""Territories: which codes name a place, and which place lies inside which. Pure.

Countries and their subdivisions are those of ISO 3166-1 and 3166-2 (from `pycountry`), regions those of UN M.49 together with EU, EZ
and UN (from Unicode CLDR, in territories.json). What ISO 3166-2 lists below a country and ISO 3166-1 as a country of its own (US-PR and
PR, FR-974 and RE) is the country of its own: a licence for US or FR names neither. XK (Kosovo) is known, though ISO only leaves it free
for use; UK and EL are read as GB and GR; withdrawn codes (SU, YU) and those that ISO merely reserves (AC, IC) are not known. EU means its
members of the release of CLDR that territories.json names.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

import pycountry

from monitor.base.errors import RequestRefused

WORLD = "001"
"""UN M.49's code for the world, which contains every place."""

KOSOVO = "XK"


@dataclass(frozen=True, slots=True)
class _Places:
    countries: frozenset[str]
    above: Mapping[str, str]  # subdivision → what it is a part of: a subdivision or a country
    groups: Mapping[str, frozenset[str]]  # region → its countries
    same: Mapping[str, str]  # another way to write a code → the code


def canonical(code: str) -> str | None:
    """The one way to write the code of a place: capital letters, ISO's two letters for a country (also from 276 or DEU). None: no place."""
    places, upper = _places(), code.strip().upper()
    found = places.same.get(upper, upper)
    return found if found == WORLD or found in places.countries or found in places.above or found in places.groups else None


def require(code: str, subject: str) -> str:
    """The code of a place, written the one way. Raises `RequestRefused` about `subject` for a code that names no place."""
    if (found := canonical(code)) is None:
        raise RequestRefused(
            subject,
            f"names the territory {code[:40]!r}, which is no code Sosie knows",
            f"Give a country (DE) or a part of one (US-CA) by ISO 3166, a region by UN M.49 (150 is Europe), EU, or {WORLD} for the world",
        )
    return found


def contains(outer: str, inner: str) -> bool:
    """Whether all of `inner` lies inside `outer`; a place contains itself. Codes may be written in any way `canonical` reads.

    A code that is no place contains what is written the same way, and lies inside that and the world alone.
    """
    places = _places()
    outside, inside = canonical(outer), canonical(inner)
    if outside == WORLD:
        return True
    if outside is None or inside is None:
        return outer.strip().upper() == inner.strip().upper()
    while inside in places.above and inside != outside:
        inside = places.above[inside]
    return inside == outside or (_is_whole(outside) and inside != WORLD and _countries(inside) <= _countries(outside))


def _is_whole(code: str) -> bool:
    return code not in _places().above


def _countries(code: str) -> frozenset[str]:
    return _places().groups.get(code, frozenset((code,)))


@lru_cache(maxsize=1)
def _places() -> _Places:
    table: dict[str, Any] = json.loads(resources.files("monitor.registry").joinpath("territories.json").read_text(encoding="utf-8"))
    countries = frozenset(country.alpha_2 for country in pycountry.countries) | {KOSOVO}
    written = {form: country.alpha_2 for country in pycountry.countries for form in (country.alpha_3, country.numeric)}
    above = {part.code: part.parent_code or part.country_code for part in pycountry.subdivisions}
    above = {code: whole for code, whole in (above | table["within"]).items() if code not in table["same"]}
    return _Places(countries, above, _flattened(table["groups"], countries), written | table["same"])


def _flattened(groups: Mapping[str, list[str]], countries: frozenset[str]) -> dict[str, frozenset[str]]:
    """Each region with the countries in it and in the regions in it; the table's tree is four levels deep."""

    def members(code: str) -> frozenset[str]:
        return frozenset().union(*map(members, groups[code])) if code in groups else frozenset((code,)) & countries

    return {code: members(code) for code in groups}

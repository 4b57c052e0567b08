"""The cast by name: whom the demo protects, who licensed their likeness, and who only happens to be in a film.

All names are invented. Their seeds are none that the bundled encoder was trained on.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from monitor.cast.people import Person, look_alike, person

__all__ = ["EVERYBODY", "LICENSED", "LIVING", "LOOK_ALIKE", "MOURNED", "PROTECTED", "STRANGERS", "Member"]


@dataclass(frozen=True, slots=True)
class Member:
    """A cast member. `holder` owns the rights in the likeness (None: nobody registered it); `licensee` is the account that may use it."""

    name: str
    known_as: str
    person: Person
    deceased_on: date | None = None
    holder: str | None = None
    licensee: str | None = None


MOURNED = (
    Member("Ottilie Marrowind", "singer", person(7056), date(2019, 3, 14), "Marrowind Family Trust"),
    Member("Bastian Quillfether", "actor", person(7018), date(2011, 11, 2), "Quillfether Estate"),
    Member("Corwin Tapplebee", "comedian", person(7010), date(2016, 7, 30), "Tapplebee Heirs"),
    Member("Doreva Lindqueil", "painter", person(7050), date(2004, 1, 21), "Lindqueil Foundation"),
)
"""Deceased, protected."""

LIVING = Member("Ismara Tolvayne", "actor", person(7043), None, "Ismara Tolvayne")
"""Alive, protected, has licensed nobody."""

LICENSED = Member("Jorrick Amberstane", "athlete", person(7047), None, "Amberstane Image Rights", "@amberstane.official")
"""Alive, protected, with a licence to one account."""

PROTECTED = (*MOURNED, LIVING, LICENSED)

STRANGERS = (
    Member("Pim Overwickel", "neighbour", person(7003)),
    Member("Tansy Rookhollow", "traveller", person(7028)),
    Member("Edric Fennimoor", "one of a duo", person(7026)),
    Member("Lunetta Grastrop", "one of a duo", person(7012)),
    Member("Halvar Stenquist-Bo", "tinkerer", person(7023)),
    Member("Mireya Cordolan", "cook", person(7045)),
)
"""Protected by nobody; must never match."""

LOOK_ALIKE = Member("Odetta Wrenfold", "tribute singer", look_alike(MOURNED[0].person, 3))
"""Could be taken for the singer's sister; must not match her."""

EVERYBODY = (*PROTECTED, *STRANGERS, LOOK_ALIKE)

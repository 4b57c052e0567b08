"""Whether a consent covers one use of a likeness: pure.

A consent covers a post only if all of it is inside: window, platform, use, territory. What a consent limits and a post does not
state is outside, because a rights holder who licensed advertising on one platform did not license what nobody can name. The
reason says which limit it was. Territories contain one another (`monitor.registry.territories`); the world is no limit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from monitor.registry import territories
from monitor.registry.territories import WORLD

USES = ("advertising", "broadcast", "education", "fan work", "film", "game", "music video", "news", "tribute")
"""Words for what a post is for. A licence may use others; these are offered, so that both sides write the same."""


class Terms(Protocol):
    """The limits of one consent. None: without that limit."""

    @property
    def id(self) -> str: ...
    @property
    def platforms(self) -> Sequence[str] | None: ...
    @property
    def uses(self) -> Sequence[str] | None: ...
    @property
    def territories(self) -> Sequence[str] | None: ...
    @property
    def valid_from(self) -> datetime: ...
    @property
    def valid_until(self) -> datetime | None: ...
    @property
    def revoked_at(self) -> datetime | None: ...


@dataclass(frozen=True, slots=True)
class Use:
    """One post as a licence sees it. `territory` is a code of `monitor.registry.territories`, `WORLD` for everywhere; None: not known."""

    at: datetime
    platform: str | None = None
    purpose: str | None = None
    territory: str | None = None


@dataclass(frozen=True, slots=True)
class Coverage:
    """Which consent covers a use, or why none does.

    `consent`: the id of the consent that covers the use. `breach`: without one, why the nearest consent does not, as words after "because".
    """

    consent: str | None = None
    breach: str | None = None


def coverage(granted: Iterable[Terms], use: Use) -> Coverage:
    """The first consent that covers the use, else the reason why the nearest consent does not. Order of `granted` decides ties."""
    breaches = []
    for terms in granted:
        found = breaches_of(terms, use)
        if not found:
            return Coverage(consent=terms.id)
        breaches.append(found)
    nearest = min(breaches, key=len, default=[])
    return Coverage(breach="; ".join(nearest) or None)


def breaches_of(terms: Terms, use: Use) -> list[str]:
    """Everything that puts the use outside of the terms; empty when it is inside."""
    if terms.revoked_at is not None:  # for good, and for posts of before: when something was posted is the poster's word
        return [f"it was withdrawn on {_day(terms.revoked_at)}"]
    found = []
    if use.at < terms.valid_from:
        found.append(f"it begins on {_day(terms.valid_from)}")
    if terms.valid_until is not None and use.at >= terms.valid_until:
        found.append(f"it ended on {_day(terms.valid_until)}")
    found += _outside("platforms", terms.platforms, use.platform, "the post's platform")
    found += _outside("uses", terms.uses, use.purpose, "what the post is for")
    if not _shown_inside(terms.territories, use.territory):
        place = None if use.territory is None else "everywhere" if use.territory == WORLD else named(use.territory)
        found += _outside("territories", list(map(named, terms.territories or ())), place, "where the post is shown")
    return found


def named(territory: str) -> str:
    """A territory's code as people read it: one that names no place, from before codes were checked, is marked."""
    return territory if territories.canonical(territory) else f"{territory} (unknown)"


def _shown_inside(allowed: Sequence[str] | None, territory: str | None) -> bool:
    if allowed is None or WORLD in allowed:  # wherever a post is shown, known or not, is in the world
        return True
    return territory is not None and any(territories.contains(place, territory) for place in allowed)


def _outside(limit: str, allowed: Sequence[str] | None, actual: str | None, what: str) -> list[str]:
    if allowed is None or actual in allowed:
        return []
    told = f"{what} is not known" if actual is None else f"this is {actual}"
    return [f"it is limited to the {limit} {', '.join(allowed)}, and {told}"]


def _day(moment: datetime) -> str:
    return f"{moment.day} {moment:%B %Y}"

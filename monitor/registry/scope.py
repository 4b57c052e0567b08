"""Whether a consent covers one use of a likeness: pure.

A consent covers a post only if all of it is inside: window, platform, use, territory. What a consent limits and a post does not
state is outside, because a rights holder who licensed advertising on one platform did not license what nobody can name. The
reason says which limit it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

USES = ("advertising", "broadcast", "education", "fan work", "film", "game", "music video", "news", "tribute")
"""Words for what a post is for. A licence may use others; these are offered, so that both sides write the same."""

WORLD = "001"
"""UN M.49's code for the world: the territory of a post that can be seen everywhere."""


class Terms(Protocol):
    """What was granted. None: without limit."""

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
    """One post as a licence sees it. `territory` is an ISO 3166-1 code of two letters, or `WORLD`; None: not known."""

    at: datetime
    platform: str | None = None
    purpose: str | None = None
    territory: str | None = None


@dataclass(frozen=True, slots=True)
class Coverage:
    """`consent`: the id of the one that covers the use. `breach`: without one, why the nearest does not, as words after "because"."""

    consent: str | None = None
    breach: str | None = None


def coverage(granted: Iterable[Terms], use: Use) -> Coverage:
    """The first consent that covers the use, else the reason of the one that comes nearest to it. Order of `granted` decides ties."""
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
    found += _outside("territories", terms.territories, use.territory, "where the post is shown")
    return found


def _outside(limit: str, allowed: Sequence[str] | None, actual: str | None, what: str) -> list[str]:
    if allowed is None or actual in allowed:
        return []
    told = f"{what} is not known" if actual is None else f"this is {'everywhere' if actual == WORLD else actual}"
    return [f"it is limited to the {limit} {', '.join(allowed)}, and {told}"]


def _day(moment: datetime) -> str:
    return f"{moment.day} {moment:%B %Y}"

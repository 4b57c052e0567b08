"""A policy tried on assessments that were made before, beside the policy they were made under. Pure.

Precision is the share of flags that reviewers confirmed, among those they decided; recall the share of what they confirmed that is
flagged. Both speak of posts that some policy flagged, since nobody looked at the others: recall is an upper bound. Intervals are
Wilson's (1927), 95 %.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from monitor.decision.facts import Facts
from monitor.decision.policy import Policy, assess_again

__all__ = ["Backtest", "Kept", "Moved", "Share", "backtest", "wilson"]

_EXAMPLES = 5
_Z = 1.959964


@dataclass(frozen=True, slots=True)
class Kept:
    """An assessment as it is stored. `misuse`: what the reviewers found of its case; None: undecided, or no case."""

    post: str
    likeness: str
    facts: Facts
    flagged: bool
    risk: float
    misuse: bool | None


@dataclass(frozen=True, slots=True)
class Moved:
    """A flag gained or lost. `reason` is the weightiest reason under the new policy."""

    post: str
    likeness: str
    risk_before: float
    risk_after: float
    reason: str
    misuse: bool | None


@dataclass(frozen=True, slots=True)
class Share:
    """A share, `hits` of `of`, and the interval it lies in; of nothing, any share is possible."""

    hits: int
    of: int
    low: float
    high: float

    @property
    def share(self) -> float:
        return self.hits / self.of if self.of else math.nan

    @classmethod
    def counted(cls, hits: int, of: int) -> Share:
        return cls(hits, of, *wilson(hits, of))


@dataclass(frozen=True, slots=True)
class Backtest:
    """The result of a backtest. `gained` and `lost` are examples, the largest moves of risk first; their numbers are complete."""

    replayed: int
    flags_before: int
    flags_after: int
    gained_count: int
    lost_count: int
    gained: tuple[Moved, ...]
    lost: tuple[Moved, ...]
    precision_before: Share
    precision_after: Share
    recall_before: Share
    recall_after: Share


def backtest(kept: Iterable[Kept], policy: Policy) -> Backtest:
    """Compare kept assessments with those that `policy` gives for the same facts."""
    flags: list[tuple[Kept, bool]] = []
    gained: list[Moved] = []
    lost: list[Moved] = []
    for each in kept:
        again = assess_again(each.facts, policy)
        flags.append((each, again.flagged))
        if again.flagged != each.flagged:
            reason = again.reasons[0].text if again.reasons else ""
            (gained if again.flagged else lost).append(Moved(each.post, each.likeness, each.risk, again.risk, reason, each.misuse))
    for moved in (gained, lost):
        moved.sort(key=lambda m: (-abs(m.risk_after - m.risk_before), m.post, m.likeness))
    before, after = [(each, each.flagged) for each, _ in flags], flags
    return Backtest(
        replayed=len(flags),
        flags_before=sum(flagged for _, flagged in before),
        flags_after=sum(flagged for _, flagged in after),
        gained_count=len(gained),
        lost_count=len(lost),
        gained=tuple(gained[:_EXAMPLES]),
        lost=tuple(lost[:_EXAMPLES]),
        precision_before=_precision(before),
        precision_after=_precision(after),
        recall_before=_recall(before),
        recall_after=_recall(after),
    )


def wilson(hits: int, of: int) -> tuple[float, float]:
    """The interval of the share `hits` of `of`; of nothing, 0 to 1."""
    if of == 0:
        return 0.0, 1.0
    share, z2 = hits / of, _Z * _Z
    centre, spread = share + z2 / (2 * of), _Z * math.sqrt(share * (1 - share) / of + z2 / (4 * of * of))
    return max(0.0, (centre - spread) / (1 + z2 / of)), min(1.0, (centre + spread) / (1 + z2 / of))


def _precision(flags: Iterable[tuple[Kept, bool]]) -> Share:
    decided = [each.misuse for each, flagged in flags if flagged and each.misuse is not None]
    return Share.counted(sum(map(bool, decided)), len(decided))


def _recall(flags: Iterable[tuple[Kept, bool]]) -> Share:
    misuses = [flagged for each, flagged in flags if each.misuse]
    return Share.counted(sum(misuses), len(misuses))

"""What changed between two policies, in words. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from monitor.decision.policy import LikenessClass, Policy
from monitor.review.vocabulary import Difference, Verdict

__all__ = ["Change", "changes", "moves_a_threshold"]


@dataclass(frozen=True, slots=True)
class Change:
    """One change. `moves`: it can change which posts are flagged, where their cases go, when they are due,
    or when a decided one comes back."""

    where: str
    before: str
    after: str
    moves: bool

    def __str__(self) -> str:
        return f"{self.where}: {self.before} → {self.after}"


def changes(before: Policy, after: Policy) -> list[Change]:
    """Every difference that is more than a comment, in the order of the file."""
    return [change for change in _all(before, after) if change.before != change.after]


def moves_a_threshold(before: Policy, after: Policy) -> bool:
    """Whether anything changes but words: then it takes a second person."""
    return any(change.moves for change in changes(before, after))


def _all(before: Policy, after: Policy) -> Iterator[Change]:
    yield Change("version", before.version, after.version, False)
    for name in ("prior", "flag_at"):
        yield Change(name, str(getattr(before, name)), str(getattr(after, name)), True)
    for name in type(before.matching).model_fields:
        yield Change(f"matching.{name}", str(getattr(before.matching, name)), str(getattr(after.matching, name)), True)
    for likeness_class in LikenessClass:
        old, new = before.routes[likeness_class], after.routes[likeness_class]
        for name in type(old).model_fields:
            yield Change(f"routes.{likeness_class}.{name}", str(getattr(old, name)), str(getattr(new, name)), True)
    for verdict in Verdict:
        yield Change(f"after_verdict.{verdict}", _listed(before.after_verdict[verdict]), _listed(after.after_verdict[verdict]), True)
    for code, weighing in before.signals.items():
        yield Change(f"signals.{code}.weight", f"{weighing.weight:+g}", f"{after.signals[code].weight:+g}", True)
        yield Change(f"signals.{code}.text", weighing.text, after.signals[code].text, False)


def _listed(differences: Collection[Difference]) -> str:
    return ", ".join(each for each in Difference if each in differences) or "none"

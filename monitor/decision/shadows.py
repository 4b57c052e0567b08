"""What shadow policies said of the posts they saw, beside what the policy in force said. Nothing follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ForeignKey, Index, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from monitor.base.database import Base, insert_if_absent, locked
from monitor.decision.policy import Assessment


class ShadowAssessment(Base):
    """The last word of one shadow policy on (post, likeness), and of the policy in force at that moment.

    There are rows where either policy found the likeness. Where neither finds anybody, both say the same.
    """

    __tablename__ = "shadow_assessments"
    __table_args__ = (Index(None, "policy_id"),)

    post_id: Mapped[str] = mapped_column(ForeignKey("posts.id"), primary_key=True)
    likeness_id: Mapped[str] = mapped_column(primary_key=True)
    policy_id: Mapped[str] = mapped_column(primary_key=True)
    risk: Mapped[float]
    flagged: Mapped[bool]
    live_policy_id: Mapped[str]
    live_risk: Mapped[float]
    live_flagged: Mapped[bool]
    created_at: Mapped[datetime]


@dataclass(frozen=True, slots=True)
class Comparison:
    """How many posts x likenesses a shadow policy saw, and on how many it and the policy in force part."""

    seen: int
    flagged_live: int
    flagged_shadow: int
    gained: int
    lost: int


def record(session: Session, *, post_id: str, likeness_id: str, shadow: Assessment, live: Assessment, now: datetime) -> None:
    """Keep what both policies said, in place of what was kept of this post, likeness and shadow policy. Idempotent."""
    said = {
        "risk": shadow.risk,
        "flagged": shadow.flagged,
        "live_policy_id": live.policy,
        "live_risk": live.risk,
        "live_flagged": live.flagged,
        "created_at": now,
    }
    key = {"post_id": post_id, "likeness_id": likeness_id, "policy_id": shadow.policy}
    if insert_if_absent(session, ShadowAssessment, **key, **said):
        return
    row = locked(session, select(ShadowAssessment).filter_by(**key)).one()
    for name, value in said.items():
        setattr(row, name, value)
    session.flush()


def comparisons(session: Session) -> Mapping[str, Comparison]:
    """The comparison of every policy that was ever a shadow and saw something, by policy id."""
    shadow, live = ShadowAssessment.flagged, ShadowAssessment.live_flagged
    counts = [func.count().filter(each) for each in (live, shadow, shadow & ~live, live & ~shadow)]
    rows = session.execute(select(ShadowAssessment.policy_id, func.count(), *counts).group_by(ShadowAssessment.policy_id))
    return {policy: Comparison(seen, *numbers) for policy, seen, *numbers in rows}

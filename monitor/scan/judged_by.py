"""The other trust lists by which posts were assessed lately: two machines with different settings show by these.

Lists in the database are in force everywhere; those that SOSIE_TRUST_ANCHORS and SOSIE_TRUST_CONFIG name are on one machine. Every
assessment names the version of all it was judged by, so machines that judge differently name different ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select

from monitor.base.audit import AuditEvent
from monitor.base.database import Store
from monitor.provenance.trust import TrustLists
from monitor.review.assessments import Assessment

_LATELY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class JudgedByOthers:
    """How many assessments of the last day, since the lists last changed, name a `version` that is not ours; the latest was at `last`."""

    version: str
    assessments: int
    last: str

    def __str__(self) -> str:
        return (
            f"{self.assessments} assessments of the last day, since the lists last changed, were made by version {self.version} "
            f"(the latest at {self.last}): a machine has, or had, other SOSIE_TRUST_ANCHORS or SOSIE_TRUST_CONFIG than this one."
        )


def judged_by_others(store: Store, trust: TrustLists, now: datetime | None = None) -> list[JudgedByOthers]:
    """The versions of trust lists other than `trust` in assessments of the last day, since the lists last changed, most recent first.

    Empty where all machines judge alike.
    """
    since = (now or datetime.now(UTC)) - _LATELY
    with store.session(read_only=True) as session:
        changed = session.scalars(select(func.max(AuditEvent.at)).filter_by(subject_type="trust")).one()
        if changed is not None:
            since = max(since, changed)
        last = func.max(Assessment.created_at)
        query = select(Assessment.trust_version, func.count(), last).where(
            Assessment.created_at > since, Assessment.trust_version != trust.version
        )
        found = session.execute(query.group_by(Assessment.trust_version).order_by(last.desc())).all()
    return [JudgedByOthers(version, count, at.isoformat(timespec="seconds")) for version, count, at in found]

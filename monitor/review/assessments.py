"""What was concluded about each post: risk and reasons against each likeness found, under named versions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import JSON, ForeignKey, Index, UniqueConstraint, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from monitor.base.database import Base, insert_if_absent, locked

NO_LIKENESS = ""


class Assessment(Base):
    """Risk and reasons of one post against one likeness (or none: `NO_LIKENESS`), with every version it rests on."""

    __tablename__ = "assessments"
    __table_args__ = (UniqueConstraint("post_id", "likeness_id"), Index(None, "video_sha256", "likeness_id"))

    id: Mapped[str] = mapped_column(primary_key=True)
    post_id: Mapped[str] = mapped_column(ForeignKey("posts.id"))
    video_sha256: Mapped[str] = mapped_column(ForeignKey("videos.sha256"))
    likeness_id: Mapped[str]  # no foreign key: an erased likeness leaves assessments that name nobody
    risk: Mapped[float]
    flagged: Mapped[bool]
    reasons: Mapped[list[dict[str, Any]]]
    matches: Mapped[list[dict[str, Any]]]
    facts: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))  # `decision.facts.Facts`, so that
    # another policy can be tried on them; None where nobody was found, and of release 0.1
    policy_version: Mapped[str]
    index_version: Mapped[str]
    model_version: Mapped[str]
    trust_version: Mapped[str]
    watermarks_version: Mapped[str | None]
    probe_version: Mapped[str | None]
    created_at: Mapped[datetime]


@dataclass(frozen=True, slots=True)
class Versions:
    """Everything an assessment rests on. None: of a release that had no such part."""

    policy: str
    index: str
    model: str
    trust: str
    watermarks: str | None = None
    probe: str | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """What was concluded about one likeness in one post; `likeness_id` None: nobody was found. JSON values throughout."""

    likeness_id: str | None
    risk: float
    flagged: bool
    reasons: Sequence[Mapping[str, Any]] = ()
    matches: Sequence[Mapping[str, Any]] = ()
    facts: Mapping[str, Any] | None = None


def record_assessment(
    session: Session, judged: Judged, *, post_id: str, video_sha256: str, versions: Versions, now: datetime
) -> Assessment:
    """Keep the latest conclusion about (post, likeness); an earlier one is replaced."""
    values = {
        "video_sha256": video_sha256,
        "risk": judged.risk,
        "flagged": judged.flagged,
        "reasons": [dict(reason) for reason in judged.reasons],
        "matches": [dict(match) for match in judged.matches],
        "facts": None if judged.facts is None else dict(judged.facts),
        "policy_version": versions.policy,
        "index_version": versions.index,
        "model_version": versions.model,
        "trust_version": versions.trust,
        "watermarks_version": versions.watermarks,
        "probe_version": versions.probe,
        "created_at": now,
    }
    key = {"post_id": post_id, "likeness_id": judged.likeness_id or NO_LIKENESS}
    insert_if_absent(session, Assessment, id=uuid4().hex, **key, **values)
    assessment = locked(session, select(Assessment).filter_by(**key)).one()
    for name, value in values.items():
        setattr(assessment, name, value)
    session.flush()
    return assessment


def assessments(session: Session, *, video_sha256: str, likeness_id: str | None) -> list[Assessment]:
    """What was concluded about every post of a video against one likeness (or none), newest first."""
    query = select(Assessment).filter_by(video_sha256=video_sha256, likeness_id=likeness_id or NO_LIKENESS)
    return list(session.scalars(query.order_by(Assessment.created_at.desc(), Assessment.id)))


def latest_assessments(session: Session, *, posts: Sequence[str] | None = None, limit: int) -> list[Assessment]:
    """The last `limit` conclusions, of these posts or of all, newest first."""
    query = select(Assessment) if posts is None else select(Assessment).where(Assessment.post_id.in_(posts))
    return list(session.scalars(query.order_by(Assessment.created_at.desc(), Assessment.id).limit(limit)))

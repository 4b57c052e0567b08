"""What was concluded about each post: risk and reasons against each likeness found, under named versions.

Append-only. `assessments` holds what stands, one row for a post and a likeness; a conclusion that is not repeated moves, unchanged, to
`superseded_assessments` and says by which it was superseded. Every reader but a history therefore reads what stands, and so does a worker
of the release before, which knows of one table.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import JSON, ForeignKey, Index, UniqueConstraint, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from monitor.base.database import Base, locked

NO_LIKENESS = ""


class Concluded(Base):
    """Risk and reasons of one post against one likeness (or none: `NO_LIKENESS`), with every version it rests on."""

    __abstract__ = True

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


class Assessment(Concluded):
    """The conclusion that stands about a post and a likeness."""

    __tablename__ = "assessments"
    __table_args__ = (UniqueConstraint("post_id", "likeness_id"), Index(None, "video_sha256", "likeness_id"))


class SupersededAssessment(Concluded):
    """A conclusion that stood until `superseded_at`. `superseded_by` is the assessment that took its place: of the same likeness, or, where
    the later scan did not find that likeness any more, the first of what that scan found (of nobody, if it found nobody)."""

    __tablename__ = "superseded_assessments"
    __table_args__ = (Index(None, "video_sha256", "likeness_id"), Index(None, "post_id"))

    superseded_at: Mapped[datetime]
    superseded_by: Mapped[str]


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


@dataclass(frozen=True, slots=True)
class Superseded:
    """One assessment that ceased to stand. `by`: the later one of the same likeness; None: the likeness was not found any more."""

    earlier: SupersededAssessment
    by: Assessment | None

    @property
    def flag_lost(self) -> bool:
        return self.earlier.flagged and not (self.by is not None and self.by.flagged)


def record_scan(
    session: Session, judged: Sequence[Judged], *, post_id: str, video_sha256: str, versions: Versions, now: datetime
) -> tuple[Superseded, ...]:
    """Record everything one scan concluded about a recorded post: from now on it alone stands. Returns what ceased to stand.

    Idempotent: what stands already, in the same words and under the same versions, stays as it is. The caller holds the video's row, as
    `videos.record_video` leaves it, so that two scans of one post come one after the other. `judged` holds at least one.
    """
    before = _standing(session, post_id)
    ceased, stands = [], []
    for each in judged:
        earlier = before.pop(each.likeness_id or NO_LIKENESS, None)
        values = _values(each, versions) | {"post_id": post_id, "video_sha256": video_sha256}
        now_stands, old = _replace(session, values, earlier, now=now)
        stands.append(now_stands)
        ceased += [Superseded(old, now_stands)] if old is not None else []
    ceased += [Superseded(_supersede(session, each, by=stands[0].id, now=now), None) for _, each in sorted(before.items())]
    return tuple(ceased)


def replace_assessment(
    session: Session, judged: Judged, *, post_id: str, video_sha256: str, versions: Versions, now: datetime
) -> tuple[Assessment, SupersededAssessment | None]:
    """Record what is concluded about one likeness in a recorded post, and leave what stands about others.

    Returns what stands now, and what it superseded, if anything. Idempotent as `record_scan`.
    """
    earlier = _standing(session, post_id).get(judged.likeness_id or NO_LIKENESS)
    values = _values(judged, versions) | {"post_id": post_id, "video_sha256": video_sha256}
    return _replace(session, values, earlier, now=now)


def _standing(session: Session, post_id: str) -> dict[str, Assessment]:
    return {each.likeness_id: each for each in locked(session, select(Assessment).filter_by(post_id=post_id))}


def _replace(
    session: Session, values: dict[str, Any], earlier: Assessment | None, *, now: datetime
) -> tuple[Assessment, SupersededAssessment | None]:
    if earlier is not None and all(getattr(earlier, name) == value for name, value in values.items()):
        return earlier, None
    later = Assessment(id=uuid4().hex, created_at=now, **values)
    old = None if earlier is None else _supersede(session, earlier, by=later.id, now=now)
    session.add(later)
    session.flush()
    return later, old


def _supersede(session: Session, earlier: Assessment, *, by: str, now: datetime) -> SupersededAssessment:
    kept = {column.key: getattr(earlier, column.key) for column in Assessment.__table__.columns}
    old = SupersededAssessment(superseded_at=now, superseded_by=by, **kept)
    session.add(old)
    session.delete(earlier)
    session.flush()
    return old


def _values(judged: Judged, versions: Versions) -> dict[str, Any]:
    """The columns of an assessment as the database gives them back, so that they can be compared with what stands."""
    said = {"reasons": list(judged.reasons), "matches": list(judged.matches), "facts": judged.facts}
    return {
        "likeness_id": judged.likeness_id or NO_LIKENESS,
        "risk": judged.risk,
        "flagged": judged.flagged,
        **json.loads(json.dumps(said)),
        "policy_version": versions.policy,
        "index_version": versions.index,
        "model_version": versions.model,
        "trust_version": versions.trust,
        "watermarks_version": versions.watermarks,
        "probe_version": versions.probe,
    }


def assessments(session: Session, *, video_sha256: str, likeness_id: str | None) -> list[Assessment]:
    """The assessments that stand of every post of a video against one likeness (or none), newest first."""
    query = select(Assessment).filter_by(video_sha256=video_sha256, likeness_id=likeness_id or NO_LIKENESS)
    return list(session.scalars(query.order_by(Assessment.created_at.desc(), Assessment.id)))


def superseded(session: Session, *, video_sha256: str, likeness_id: str | None) -> list[SupersededAssessment]:
    """The assessments of every post of a video against one likeness (or none) that stand no more; the last to go comes first."""
    query = select(SupersededAssessment).filter_by(video_sha256=video_sha256, likeness_id=likeness_id or NO_LIKENESS)
    return list(session.scalars(query.order_by(SupersededAssessment.superseded_at.desc(), SupersededAssessment.id)))


def latest_assessments(
    session: Session, *, posts: Sequence[str] | None = None, limit: int, history: bool = False
) -> list[Assessment | SupersededAssessment]:
    """The last `limit` conclusions that stand, of these posts or of all, newest first; with `history` those superseded since as well."""
    found: list[Assessment | SupersededAssessment] = []
    for table in (Assessment, SupersededAssessment) if history else (Assessment,):
        query = select(table) if posts is None else select(table).where(table.post_id.in_(posts))
        found += session.scalars(query.order_by(table.created_at.desc(), table.id).limit(limit))
    return sorted(found, key=lambda each: (-each.created_at.timestamp(), each.id))[:limit]

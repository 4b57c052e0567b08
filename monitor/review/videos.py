"""Videos (bytes, by SHA-256), the posts that carry them, and what was concluded about each post.

All three are idempotent: the pipeline may repeat any of them after a crash.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, UniqueConstraint, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from monitor.base.database import Base, insert_if_absent, locked
from monitor.base.errors import NotFound, RequestRefused

NO_LIKENESS = ""


class Video(Base):
    """One file's bytes. `truncated_at_s`: only this much of the beginning was looked at; None: all of it."""

    __tablename__ = "videos"

    sha256: Mapped[str] = mapped_column(primary_key=True)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    duration_s: Mapped[float | None]
    truncated_at_s: Mapped[float | None]
    provenance: Mapped[dict[str, Any]]
    marks: Mapped[list[dict[str, Any]] | None] = mapped_column(JSON(none_as_null=True))  # `vision.watermark.Sighting`; None: of release 0.1
    first_seen_at: Mapped[datetime]


class ManifestStore(Base):
    """A video's C2PA manifest store, as it stands in the file: what other trust lists can judge without the video."""

    __tablename__ = "manifest_stores"

    video_sha256: Mapped[str] = mapped_column(ForeignKey("videos.sha256"), primary_key=True)
    content: Mapped[bytes]


class Post(Base):
    """One upload on one platform. `id` is the event's identity, given by the caller; `source` is its path or address."""

    __tablename__ = "posts"
    __table_args__ = (Index(None, "video_sha256"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    video_sha256: Mapped[str] = mapped_column(ForeignKey("videos.sha256"))
    source: Mapped[str]
    platform: Mapped[str | None]
    account: Mapped[str | None]
    posted_at: Mapped[datetime | None]
    caption: Mapped[str | None]
    views: Mapped[int | None] = mapped_column(BigInteger)
    purpose: Mapped[str | None]
    territory: Mapped[str | None]
    received_at: Mapped[datetime]


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
    facts: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))  # `decision.evidence.Facts`, so that
    # another policy can be tried on them; None where nobody was found, and of release 0.1
    policy_version: Mapped[str]
    index_version: Mapped[str]
    model_version: Mapped[str]
    trust_version: Mapped[str]
    watermarks_version: Mapped[str | None]
    probe_version: Mapped[str | None]
    created_at: Mapped[datetime]


def record_video(
    session: Session,
    *,
    sha256: str,
    size_bytes: int,
    duration_s: float | None,
    truncated_at_s: float | None,
    provenance: Mapping[str, Any],
    marks: Sequence[Mapping[str, Any]] = (),
    now: datetime,
) -> Video:
    """Add the video, or bring what is known of it up to date (trust lists and limits change; the bytes do not)."""
    known = {
        "duration_s": duration_s,
        "truncated_at_s": truncated_at_s,
        "provenance": dict(provenance),
        "marks": [dict(mark) for mark in marks],
    }
    insert_if_absent(session, Video, sha256=sha256, size_bytes=size_bytes, first_seen_at=now, **known)
    video = locked(session, select(Video).where(Video.sha256 == sha256)).one()
    for name, value in known.items():
        setattr(video, name, value)
    session.flush()
    return video


def keep_manifest_store(session: Session, *, video_sha256: str, content: bytes) -> None:
    """Keep the manifest store of a recorded video. The bytes do not change: again, nothing happens."""
    insert_if_absent(session, ManifestStore, video_sha256=video_sha256, content=content)


def record_post(
    session: Session,
    *,
    id: str,
    video_sha256: str,
    source: str,
    platform: str | None = None,
    account: str | None = None,
    posted_at: datetime | None = None,
    caption: str | None = None,
    views: int | None = None,
    purpose: str | None = None,
    territory: str | None = None,
    now: datetime,
) -> tuple[Post, bool]:
    """Add the post of a recorded video; say whether it is new. A post known by its id is left as it was.

    Raises `RequestRefused` when that id already stands for other bytes: one identity, one upload.
    """
    created = insert_if_absent(
        session,
        Post,
        id=id,
        video_sha256=video_sha256,
        source=source,
        platform=platform,
        account=account,
        posted_at=posted_at,
        caption=caption,
        views=views,
        purpose=purpose,
        territory=territory,
        received_at=now,
    )
    post = session.get_one(Post, id)
    if post.video_sha256 != video_sha256:
        raise RequestRefused(
            f"Post {id}",
            f"is known with other bytes ({post.video_sha256[:12]}, now {video_sha256[:12]})",
            "Give the changed upload an identity of its own",
        )
    return post, created


def is_recorded(session: Session, *, id: str, source: str) -> bool:
    """Whether a post of that identity and address was recorded. One transaction records all of a post, so all of it is there."""
    return session.scalars(select(Post.source).where(Post.id == id)).one_or_none() == source


def record_assessment(
    session: Session,
    *,
    post_id: str,
    video_sha256: str,
    likeness_id: str | None,
    risk: float,
    flagged: bool,
    reasons: Sequence[Mapping[str, Any]],
    matches: Sequence[Mapping[str, Any]],
    facts: Mapping[str, Any] | None = None,
    policy_version: str,
    index_version: str,
    model_version: str,
    trust_version: str,
    watermarks_version: str | None = None,
    probe_version: str | None = None,
    now: datetime,
) -> Assessment:
    """Keep the latest conclusion about (post, likeness); an earlier one is replaced."""
    values = {
        "video_sha256": video_sha256,
        "risk": risk,
        "flagged": flagged,
        "reasons": [dict(reason) for reason in reasons],
        "matches": [dict(match) for match in matches],
        "facts": None if facts is None else dict(facts),
        "policy_version": policy_version,
        "index_version": index_version,
        "model_version": model_version,
        "trust_version": trust_version,
        "watermarks_version": watermarks_version,
        "probe_version": probe_version,
        "created_at": now,
    }
    key = {"post_id": post_id, "likeness_id": likeness_id or NO_LIKENESS}
    insert_if_absent(session, Assessment, id=uuid4().hex, **key, **values)
    assessment = locked(session, select(Assessment).filter_by(**key)).one()
    for name, value in values.items():
        setattr(assessment, name, value)
    session.flush()
    return assessment


def get_video(session: Session, sha256: str) -> Video:
    """Raises `NotFound`."""
    if (video := session.get(Video, sha256)) is None:
        raise NotFound(f"Video {sha256[:12]}", "has never been scanned", "Scan it with `sosie scan FILE`")
    return video


def assessments(session: Session, *, video_sha256: str, likeness_id: str | None) -> list[Assessment]:
    """What was concluded about every post of a video against one likeness (or none), newest first."""
    query = select(Assessment).filter_by(video_sha256=video_sha256, likeness_id=likeness_id or NO_LIKENESS)
    return list(session.scalars(query.order_by(Assessment.created_at.desc(), Assessment.id)))


def latest_assessments(session: Session, *, posts: Sequence[str] | None = None, limit: int) -> list[Assessment]:
    """The last `limit` conclusions, of these posts or of all, newest first."""
    query = select(Assessment) if posts is None else select(Assessment).where(Assessment.post_id.in_(posts))
    return list(session.scalars(query.order_by(Assessment.created_at.desc(), Assessment.id).limit(limit)))

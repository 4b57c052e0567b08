"""Videos (bytes, by SHA-256), and the posts that carry them.

Recording either is idempotent: the pipeline may repeat it after a crash.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from monitor.base.database import Base, insert_if_absent, locked
from monitor.base.errors import NotFound, RequestRefused


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


@dataclass(frozen=True, slots=True)
class SeenVideo:
    """The result of a look at a file. `provenance` and `marks` are JSON values; see `Video` for the rest."""

    sha256: str
    size_bytes: int
    duration_s: float | None
    truncated_at_s: float | None
    provenance: Mapping[str, Any]
    marks: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class Posted:
    """One upload on one platform. `id` is its identity: the same id again is the same post, never a second one.

    `purpose` is what it is for and `territory` where it is shown (`monitor.registry.scope`): consents may be limited to either.
    """

    source: str
    id: str
    platform: str | None = None
    account: str | None = None
    posted_at: datetime | None = None
    caption: str | None = None
    views: int | None = None
    purpose: str | None = None
    territory: str | None = None

    @classmethod
    def of(cls, source: str, **known: Any) -> Posted:
        """A post that nobody named yet."""
        return cls(source=source, id=uuid4().hex, **known)


def record_video(session: Session, seen: SeenVideo, *, now: datetime) -> Video:
    """Add the video, or bring what is known of it up to date (trust lists and limits change; the bytes do not)."""
    known = {
        "duration_s": seen.duration_s,
        "truncated_at_s": seen.truncated_at_s,
        "provenance": dict(seen.provenance),
        "marks": [dict(mark) for mark in seen.marks],
    }
    insert_if_absent(session, Video, sha256=seen.sha256, size_bytes=seen.size_bytes, first_seen_at=now, **known)
    # Referable: whoever decides a case holds its row and touches the video's; the one who holds the video's asks for the case's next.
    video = locked(session, select(Video).where(Video.sha256 == seen.sha256), referable=True).one()
    for name, value in known.items():
        setattr(video, name, value)
    session.flush()
    return video


def keep_manifest_store(session: Session, *, video_sha256: str, content: bytes) -> None:
    """Keep the manifest store of a recorded video. The bytes do not change: again, nothing happens."""
    insert_if_absent(session, ManifestStore, video_sha256=video_sha256, content=content)


def record_post(session: Session, posted: Posted, *, video_sha256: str, now: datetime) -> tuple[Post, bool]:
    """Add the post of a recorded video; say whether it is new. A post known by its id is left as it was.

    Raises `RequestRefused` when that id already stands for other bytes: one identity, one upload.
    """
    created = insert_if_absent(session, Post, video_sha256=video_sha256, received_at=now, **asdict(posted))
    post = session.get_one(Post, posted.id)
    if post.video_sha256 != video_sha256:
        raise RequestRefused(
            f"Post {posted.id}",
            f"is known with other bytes ({post.video_sha256[:12]}, now {video_sha256[:12]})",
            "Give the changed upload an identity of its own",
        )
    return post, created


def is_recorded(session: Session, *, id: str, source: str) -> bool:
    """Whether a post of that identity and address was recorded. One transaction records all of a post, so all of it is there."""
    return session.scalars(select(Post.source).where(Post.id == id)).one_or_none() == source


def get_video(session: Session, sha256: str) -> Video:
    """The video of a SHA-256. Raises `NotFound`."""
    if (video := session.get(Video, sha256)) is None:
        raise NotFound(f"Video {sha256[:12]}", "has never been scanned", "Scan it with `sosie scan FILE`")
    return video

"""Videos whose origin is known: one vector of each is kept, and whether a generator made it is asked for when a probe is taught.

A vector is kept of a video whose trusted credential says how it was made, and of one that opened a case, since a reviewer may say so
later. It is the mean of whole frames, without a name; it outlives the fingerprint, of which nothing else does. Labels are not kept:
they follow from the video's provenance and its cases' verdicts as they stand, so that a reversed verdict teaches nothing any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ForeignKey, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from monitor.base.database import Base, insert_if_absent
from monitor.decision.probe.maths import feature
from monitor.decision.probe.teaching import Lesson
from monitor.provenance.types import AI, Provenance, State
from monitor.review.cases import Case, CaseState
from monitor.review.verdicts import Verdict
from monitor.review.videos import Post, Video

COPY = 0.995
"""Videos whose vectors have so high a cosine are taken for copies of one another: see docs/probe.md."""

_BY_PROVENANCE = {AI.FULLY.value: True, AI.CAPTURED.value: False}
_BY_VERDICT: Mapping[str | None, bool] = {Verdict.DEEPFAKE: True, Verdict.OTHER_AI: True, Verdict.AUTHENTIC: False, Verdict.ARCHIVE: False}
_BLOCK = 1024


class ProbeExample(Base):
    """The mean frame vector of one video in one space: float32, little-endian, a unit vector."""

    __tablename__ = "probe_examples"

    video_sha256: Mapped[str] = mapped_column(ForeignKey("videos.sha256"), primary_key=True)
    space_id: Mapped[str] = mapped_column(primary_key=True)
    vector: Mapped[bytes]
    created_at: Mapped[datetime]


def teaches(provenance: Provenance) -> bool:
    """Whether a credential says how the whole video was made, and can be believed."""
    return _by_provenance(provenance.state.value, provenance.ai.value) is not None


def keep(session: Session, *, video_sha256: str, space_id: str, frames: NDArray[np.float32], now: datetime) -> bool:
    """Keep the vector of a recorded video, once; say whether the vector is new. A video without a frame has none."""
    if (vector := feature(frames)) is None:
        return False
    values = {"vector": vector.astype("<f4").tobytes(), "created_at": now}
    return insert_if_absent(session, ProbeExample, video_sha256=video_sha256, space_id=space_id, **values)


def lessons(session: Session, space_id: str) -> list[Lesson]:
    """The lessons that can be taught in a space now, by content hash. A verdict counts more than a credential; verdicts that disagree count
    for nothing, and neither does the credential then."""
    rows = session.execute(
        select(ProbeExample.video_sha256, ProbeExample.vector, Video.provenance, Video.first_seen_at)
        .join(Video, Video.sha256 == ProbeExample.video_sha256)
        .where(ProbeExample.space_id == space_id)
        .order_by(ProbeExample.video_sha256)
    ).all()
    verdicts = _verdicts(session)
    known = [
        (sha256, label, vector, provenance, seen_at)
        for sha256, vector, provenance, seen_at in rows
        if (label := _label(provenance, verdicts.get(sha256, set()))) is not None
    ]
    vectors = np.array([np.frombuffer(vector, "<f4") for _, _, vector, _, _ in known], np.float32)
    groups = grouped([sha256 for sha256, *_ in known], _accounts(session), vectors)
    return [
        Lesson(
            video_sha256=sha256,
            synthetic=synthetic,
            source=source,
            vector=vectors[n],
            group=groups[n],
            seen_on=seen_at.date().isoformat(),
            trust_version=provenance["trust_version"] if source == "provenance" else None,
        )
        for n, (sha256, (synthetic, source), _, provenance, seen_at) in enumerate(known)
    ]


def grouped(videos: Sequence[str], accounts: Mapping[str, Iterable[str]], vectors: NDArray[np.float32]) -> list[str]:
    """A group for each video, named by the group's first: videos of one account, and copies, share a group, however long the chain."""
    parents = list(range(len(videos)))

    def root(n: int) -> int:
        while parents[n] != n:
            parents[n] = n = parents[parents[n]]
        return n

    def unite(one: int, other: int) -> None:
        first, second = sorted((root(one), root(other)))
        parents[second] = first

    seen: dict[str, int] = {}
    for n, video in enumerate(videos):
        for account in accounts.get(video, ()):
            unite(seen.setdefault(account, n), n)
    for start in range(0, len(videos), _BLOCK):
        for row, column in np.argwhere(vectors[start : start + _BLOCK] @ vectors.T >= COPY):
            unite(start + int(row), int(column))
    return [videos[root(n)] for n in range(len(videos))]


def _label(provenance: Mapping[str, Any], verdicts: set[bool]) -> tuple[bool, str] | None:
    if verdicts:
        return (next(iter(verdicts)), "verdict") if len(verdicts) == 1 else None
    found = _by_provenance(provenance["state"], provenance["ai"])
    return None if found is None else (found, "provenance")


def _by_provenance(state: str, ai: str) -> bool | None:
    return _BY_PROVENANCE.get(ai) if state == State.TRUSTED.value else None


def _verdicts(session: Session) -> dict[str, set[bool]]:
    found: dict[str, set[bool]] = {}
    query = select(Case.video_sha256, Case.verdict).where(Case.state == CaseState.DECIDED, Case.verdict.in_(list(_BY_VERDICT)))
    for sha256, verdict in session.execute(query):
        found.setdefault(sha256, set()).add(_BY_VERDICT[verdict])
    return found


def _accounts(session: Session) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    query = select(Post.video_sha256, Post.platform, Post.account).join(ProbeExample, ProbeExample.video_sha256 == Post.video_sha256)
    for sha256, platform, account in session.execute(query.where(Post.account.is_not(None))):
        found.setdefault(sha256, set()).add(f"{platform or ''} {account}")
    return found

"""What the queue and the case page show, read from the database in one read-only transaction each.

Pages and API share these, so that they cannot disagree. No HTML here, and nothing is written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from monitor.base import audit
from monitor.base.audit import AuditEvent
from monitor.base.errors import NotFound
from monitor.provenance.history import History
from monitor.provenance.sentences import sentences
from monitor.provenance.types import Provenance
from monitor.registry import likenesses
from monitor.registry.likenesses import Likeness
from monitor.review import assessments, cases, queue, verdicts, videos
from monitor.review.cases import Case, CaseState, Moment
from monitor.review.verdicts import GivenVerdict, Verdict
from monitor.review.videos import Post, Video
from monitor.vision.watermark import Sighting

QUEUE_PAGE = 50

VERDICT_HINTS = {
    Verdict.DEEPFAKE: "Made or altered by AI to show this person",
    Verdict.MANIPULATED: "Real footage of them, misleadingly edited",
    Verdict.OTHER_AI: "AI content, but not a fake of this person",
    Verdict.AUTHENTIC: "A camera recorded this person",
    Verdict.ARCHIVE: "Known older footage of this person",
    Verdict.LICENSED: "The rights holder allowed it",
    Verdict.PARODY: "Plainly meant as parody or satire",
    Verdict.NEWS: "Shown to report on it",
    Verdict.NOT_THIS_PERSON: "Somebody else: the match is wrong",
    Verdict.INCONCLUSIVE: "What is here does not decide it",
}


@dataclass(frozen=True, slots=True)
class QueueRow:
    case: Case
    likeness: Likeness
    posts: int
    top_reason: str


@dataclass(frozen=True, slots=True)
class QueueView:
    rows: tuple[QueueRow, ...]
    next: str | None
    counts: queue.Counts
    oldest: datetime | None
    likenesses: tuple[Likeness, ...]
    queues: tuple[str, ...]
    overdue: int


@dataclass(frozen=True, slots=True)
class PostStanding:
    """What holds for one post of a case now.

    `risk` and `flagged` are those of the assessment that stands; None and False where the latest scan does not find the likeness.
    `flag_lost_at`: it was flagged, and is not since then. `covered_by`: the verdict that stands was not given on this post, and covers it.
    """

    risk: float | None = None
    flagged: bool = False
    flag_lost_at: datetime | None = None
    covered_by: GivenVerdict | None = None


@dataclass(frozen=True, slots=True)
class CaseView:
    """One case. `moments` carry their position, by which a still is asked for; the best comes first, the rest in time order.

    `standings` are by post id. `comeback` is the event by which an open case returned to the queue.
    """

    case: Case
    likeness: Likeness
    video: Video
    posts: tuple[Post, ...]
    moments: tuple[tuple[int, Moment], ...]
    reasons: tuple[dict[str, Any], ...]
    provenance: tuple[str, ...]
    history: History
    marks: tuple[Sighting, ...]
    trail: tuple[AuditEvent, ...]
    verdicts: tuple[GivenVerdict, ...]
    standings: Mapping[str, PostStanding]
    comeback: AuditEvent | None

    @property
    def no_flag_stands(self) -> bool:
        """Whether every post that was flagged has lost its flag: the latest scans find nobody here, or too little."""
        found = self.standings.values()
        return any(each.flag_lost_at for each in found) and not any(each.flagged for each in found)


def queue_view(
    session: Session,
    *,
    state: CaseState | None,
    likeness_id: str | None,
    name: str | None,
    after: str | None,
    now: datetime,
    limit: int,
) -> QueueView:
    """One page of the queue as it is shown. Raises `RequestRefused` for a cursor that is not one."""
    page = queue.page(session, state=state, likeness_id=likeness_id, name=name, after=after, limit=limit)
    known = {likeness.id: likeness for likeness in likenesses.list_likenesses(session, include_removed=True)}
    rows = tuple(QueueRow(item.case, known[item.case.likeness_id], item.posts, _top_reason(item.case.reasons)) for item in page.items)
    return QueueView(
        rows=rows,
        next=page.next,
        counts=queue.counts(session, now=now),
        oldest=queue.oldest_open(session),
        likenesses=tuple(known.values()),
        queues=tuple(queue.names(session)),
        overdue=queue.overdue(session, now=now),
    )


def case_view(session: Session, case_id: str) -> CaseView:
    """One case as it is shown. Raises `NotFound`."""
    case = cases.get_case(session, case_id)
    video = videos.get_video(session, case.video_sha256)
    told, history = _origin(video)
    posts, trail = tuple(cases.posts(session, case_id)), tuple(audit.events(session, subject_type="case", subject_id=case_id))
    reopened = [event for event in trail if event.action == "case.reopened"] if case.state == CaseState.OPEN else []
    return CaseView(
        case=case,
        likeness=_likeness(session, case.likeness_id),
        video=video,
        posts=posts,
        moments=_best_first(case.moments),
        reasons=tuple(sorted(case.reasons, key=lambda reason: -abs(reason["weight"]))),
        provenance=told,
        history=history,
        marks=_marks(video),
        trail=trail,
        verdicts=tuple(verdicts.verdicts(session, case_id)),
        standings=_standings(session, case, posts),
        comeback=reopened[-1] if reopened else None,
    )


def _standings(session: Session, case: Case, posts: Sequence[Post]) -> Mapping[str, PostStanding]:
    of_case = {"video_sha256": case.video_sha256, "likeness_id": case.likeness_id}
    stands = {each.post_id: each for each in assessments.assessments(session, **of_case)}
    flagged_until: dict[str, datetime] = {}
    for old in assessments.superseded(session, **of_case):  # the last to go comes first
        if old.flagged:
            flagged_until.setdefault(old.post_id, old.superseded_at)
    given = verdicts.standing_verdict(session, case)
    seen = verdicts.uses_seen(session, case, given)
    found = {}
    for post in posts:
        now = stands.get(post.id)
        flagged = now is not None and now.flagged
        found[post.id] = PostStanding(
            risk=None if now is None else now.risk,
            flagged=flagged,
            flag_lost_at=None if flagged else flagged_until.get(post.id),
            covered_by=None if post.id in seen else given,
        )
    return found


def _origin(video: Video) -> tuple[tuple[str, ...], History]:
    try:
        stored = Provenance.from_json(video.provenance)
    except (KeyError, TypeError, ValueError):  # written by another version of Sosie: the rest of the case must stay readable
        return ("What was stored about this file's origin cannot be read by this version of Sosie. Scan the video again.",), History()
    return tuple(sentences(stored)), stored.history


def _marks(video: Video) -> tuple[Sighting, ...]:
    try:
        return tuple(Sighting.from_json(mark) for mark in video.marks or ())
    except (KeyError, TypeError, ValueError):  # written by another version of Sosie: the reason that names the mark is still there
        return ()


def _likeness(session: Session, likeness_id: str) -> Likeness:
    if (likeness := session.get(Likeness, likeness_id)) is None:  # a removed one keeps its row
        raise NotFound(f"Likeness {likeness_id}", "has no record", "Restore the database from a backup, or report this as a fault")
    return likeness


def _best_first(moments: Sequence[Moment]) -> tuple[tuple[int, Moment], ...]:
    numbered = sorted(enumerate(moments), key=lambda pair: pair[1].time_s)
    if not numbered:
        return ()
    best = max(numbered, key=lambda pair: pair[1].score)
    return (best, *(pair for pair in numbered if pair is not best))


def _top_reason(reasons: Sequence[dict[str, Any]]) -> str:
    """The sentence that raises the risk most; it says why the case is here."""
    return str(max(reasons, key=lambda reason: reason["weight"])["text"]) if reasons else "No reason was recorded."

"""What a backtest replays: stored assessments, with what reviewers found of their cases. Reads only."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import and_, func, select
from sqlalchemy.orm import Session

from monitor.decision.backtest import Kept
from monitor.decision.facts import Facts
from monitor.registry import likenesses
from monitor.review.assessments import NO_LIKENESS, Assessment
from monitor.review.cases import Case
from monitor.review.verdicts import Verdict

_MISUSE = {
    Verdict.DEEPFAKE: True,
    Verdict.MANIPULATED: True,
    Verdict.OTHER_AI: True,
    Verdict.AUTHENTIC: False,
    Verdict.ARCHIVE: False,
    Verdict.LICENSED: False,
    Verdict.PARODY: False,
    Verdict.NEWS: False,
    Verdict.NOT_THIS_PERSON: False,
}
"""Whether a flag was right. An inconclusive case says nothing."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """The assessments to replay. `without_facts` are of release 0.1, and `nobody_found` had no likeness: neither can be replayed."""

    kept: tuple[Kept, ...]
    without_facts: int
    nobody_found: int


def gather(session: Session, *, limit: int) -> Gathered:
    """The latest `limit` assessments in which a likeness was found, the newest first."""
    of_case = and_(Case.likeness_id == Assessment.likeness_id, Case.video_sha256 == Assessment.video_sha256)
    query = select(Assessment, Case.verdict).outerjoin(Case, of_case).where(Assessment.likeness_id != NO_LIKENESS)
    rows = session.execute(query.order_by(Assessment.created_at.desc(), Assessment.id).limit(limit)).all()
    names = likenesses.names(session, {row.Assessment.likeness_id for row in rows})
    kept = tuple(_kept(row.Assessment, row.verdict, names) for row in rows if row.Assessment.facts is not None)
    nobody = session.scalars(select(func.count()).select_from(Assessment).where(Assessment.likeness_id == NO_LIKENESS)).one()
    return Gathered(kept, len(rows) - len(kept), nobody)


def _kept(row: Assessment, verdict: str | None, names: dict[str, str]) -> Kept:
    name = names.get(row.likeness_id, f"likeness {row.likeness_id[:8]}")
    return Kept(
        post=row.post_id,
        likeness=name,
        facts=Facts.from_json(row.facts or {}, name=name),
        flagged=row.flagged,
        risk=row.risk,
        misuse=None if verdict is None else _MISUSE.get(Verdict(verdict)),
    )

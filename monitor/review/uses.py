"""How each post on a case uses the likeness: what a verdict about the use was given on, and what a later post is held against.

What is not known equals what is not known: whoever decided on a post of no known account saw no more than of the next one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from monitor.review import words
from monitor.review.assessments import Assessment, SupersededAssessment
from monitor.review.cases import Case, CasePost
from monitor.review.videos import Post
from monitor.review.vocabulary import Difference, Verdict

Reopens = Mapping[Verdict, Iterable[Difference]]
"""For each verdict the differences that take a case back to the queue (`monitor.decision.policy.Policy.after_verdict`)."""


@dataclass(frozen=True, slots=True)
class PostUse:
    """One post's use of a likeness. `consent` is the one that covers it, or why those there are do not; `risk` is its class.

    None: not known; of `risk`, that no assessment of the post finds the likeness.
    """

    post: str
    account: str | None = None
    platform: str | None = None
    purpose: str | None = None
    territory: str | None = None
    consent: str | None = None
    risk: str | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> PostUse:
        """The inverse of `to_json`; what a later release adds is left out."""
        return cls(**{name: value.get(name) for name in cls.__dataclass_fields__})  # type: ignore[arg-type]


def differences(one: PostUse, other: PostUse) -> frozenset[Difference]:
    return frozenset(each for each in Difference if getattr(one, each) != getattr(other, each))


def unlike(use: PostUse, seen: Iterable[PostUse], matter: Iterable[Difference]) -> tuple[Difference, ...]:
    """Wherein a use differs, in what matters, from the nearest of the uses seen. Empty: it is like one of them. Pure."""
    minded = frozenset(matter)
    found: list[frozenset[Difference]] = [differences(use, each) & minded for each in seen]
    return tuple(each for each in Difference if each in min(found, key=len, default=minded))


def uses(session: Session, case: Case, *, up_to: int | None = None, at: datetime | None = None) -> dict[str, PostUse]:
    """How the posts on a case use the likeness, by post id.

    `up_to`: only posts that joined by this event of the case. `at`: only posts received by then, as they were assessed then.
    """
    query = select(Post, CasePost.event).join(CasePost, CasePost.post_id == Post.id).where(CasePost.case_id == case.id)
    if at is not None:
        query = query.where(Post.received_at <= at)
    posts = [
        post
        for post, event in session.execute(query.order_by(Post.received_at, Post.id))
        if up_to is None or event is None or event <= up_to
    ]
    said = _assessed(session, case, at)
    return {post.id: _use(post, said.get(post.id)) for post in posts}


def use_of(session: Session, case: Case, post_id: str) -> PostUse:
    """How a recorded post, on the case or not yet, uses the case's likeness, as the post's assessment stands."""
    query = select(Assessment).filter_by(post_id=post_id, likeness_id=case.likeness_id)
    return _use(session.get_one(Post, post_id), session.scalars(query).one_or_none())


def _assessed(session: Session, case: Case, at: datetime | None) -> dict[str, Assessment | SupersededAssessment]:
    """What stands about the case's likeness, by post id; with `at`, what stood then, else the first that was ever said."""
    of_case = {"video_sha256": case.video_sha256, "likeness_id": case.likeness_id}
    standing: Iterable[Assessment | SupersededAssessment] = session.scalars(select(Assessment).filter_by(**of_case)).all()
    if at is None:
        return {each.post_id: each for each in standing}
    every = [*session.scalars(select(SupersededAssessment).filter_by(**of_case)), *standing]
    every.sort(key=lambda each: (each.created_at, each.id))
    found: dict[str, Assessment | SupersededAssessment] = {}
    for each in every:
        if each.post_id not in found or each.created_at <= at:
            found[each.post_id] = each
    return found


def _use(post: Post, said: Assessment | SupersededAssessment | None) -> PostUse:
    facts = (said.facts if said is not None else None) or {}
    breach = facts.get("breach")
    return PostUse(
        post=post.id,
        account=_known(post.account),
        platform=_known(post.platform),
        purpose=_known(post.purpose),
        territory=_known(post.territory),
        consent=facts.get("consent") or (f"outside of one: {breach}" if breach else None),
        risk=None if said is None else words.risk_word(said.risk),
    )


def _known(word: str | None) -> str | None:
    return (word or "").strip() or None

"""Verdicts on stored videos, brought to the trust lists of today.

For each video in which somebody was found, its manifest store is judged again (`monitor.provenance.check.recheck`), and, where that
changes the verdict, its assessments are weighed again, each under the policy it was made by: lists changed, policies did not. What is
said anew supersedes what stood, and meets a decided case as a scan's would: by the table of the policy in force. One
transaction for each video; repeating changes nothing, and an interruption is made good by running it again. A case that is opened by it
has no stills: the video is not fetched.

Of a video in which nobody was found no manifest is kept; its verdict names the lists it was judged by, and the next scan judges it anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from c2pa import C2paError
from sqlalchemy import select
from sqlalchemy.orm import Session

from monitor.base.database import Store, locked
from monitor.base.errors import PostFault
from monitor.decision.facts import Facts
from monitor.decision.policies import Policies
from monitor.decision.policy import Assessment as Weighed
from monitor.decision.policy import Policy, assess
from monitor.intake.sandbox import Sandbox
from monitor.provenance.check import recheck
from monitor.provenance.trust import TrustLists
from monitor.provenance.types import Provenance
from monitor.registry import likenesses
from monitor.review import joining
from monitor.review.assessments import Assessment, Judged, Superseded, Versions, replace_assessment
from monitor.review.cases import Case
from monitor.review.joining import Found, Place
from monitor.review.uses import Reopens
from monitor.review.videos import ManifestStore, Video

_ACTOR = "trust lists"


@dataclass(frozen=True, slots=True)
class Reevaluated:
    """How many videos were judged again, how many verdicts and flags changed, and how many could not be judged (`unread`).

    `of_other_lists` is how many videos keep the verdict of other lists, because no manifest of theirs is kept.
    """

    judged: int = 0
    states_changed: int = 0
    flags_gained: int = 0
    flags_lost: int = 0
    unread: int = 0
    of_other_lists: int = 0


def reevaluate(store: Store, sandbox: Sandbox, policies: Policies, trust: TrustLists) -> Reevaluated:
    """Judge again the stored videos that other lists judged. Raises what the database and the sandbox raise for the world's faults."""
    done = Reevaluated()
    for sha256 in _videos(store):
        done = _one(store, sandbox, policies, trust, sha256, done)
    with store.session(read_only=True) as session:
        kept = select(ManifestStore.video_sha256)
        versions = session.scalars(select(Video.provenance).where(Video.sha256.not_in(kept)))
        return replace(done, of_other_lists=sum(_judged_by_others(value, trust) for value in versions))


def _videos(store: Store) -> Iterator[str]:
    with store.session(read_only=True) as session:
        return iter(session.scalars(select(ManifestStore.video_sha256).order_by(ManifestStore.video_sha256)).all())


def _judged_by_others(value: dict[str, Any], trust: TrustLists) -> bool:
    return bool(value.get("manifests")) and value.get("trust_version") != trust.version


def _one(store: Store, sandbox: Sandbox, policies: Policies, trust: TrustLists, sha256: str, done: Reevaluated) -> Reevaluated:
    with store.session(read_only=True) as session:
        value, content = session.get_one(Video, sha256).provenance, session.get_one(ManifestStore, sha256).content
    if value.get("trust_version") == trust.version:
        return done
    try:
        before = Provenance.from_json(value)
        after = sandbox.run(recheck, content, before, trust, source=f"the manifests of video {sha256[:12]}")
    except (PostFault, C2paError, KeyError, TypeError, ValueError):
        return replace(done, unread=done.unread + 1)
    with store.session() as session:
        video = locked(session, select(Video).filter_by(sha256=sha256), referable=True).one()
        if video.provenance != value:  # scanned meanwhile, by these lists or by others: the next run looks at it
            return done
        video.provenance = after.to_json()
        gained, lost = _weigh_again(session, video, after, policies)
    return replace(
        done,
        judged=done.judged + 1,
        states_changed=done.states_changed + (before.state is not after.state),
        flags_gained=done.flags_gained + gained,
        flags_lost=done.flags_lost + lost,
    )


def _weigh_again(session: Session, video: Video, told: Provenance, policies: Policies) -> tuple[int, int]:
    """Weigh again the assessments of a video whose facts change.

    A consent given to a certificate is not looked up again: it does not hang on a list.
    """
    gained = lost = 0
    now = datetime.now(UTC)
    query = select(Assessment).filter_by(video_sha256=video.sha256).order_by(Assessment.likeness_id, Assessment.id)
    rows = [row for row in session.scalars(query).all() if row.facts is not None]
    names = likenesses.names(session, {row.likeness_id for row in rows})
    for row in rows:
        policy = policies.at(row.policy_version)
        if row.likeness_id not in names or policy is None:
            continue
        kept = Facts.from_json(row.facts or {}, name=names[row.likeness_id])
        facts = replace(kept, state=told.state.value, ai=told.ai.value, signer=told.signer, trust_list=told.trust_list)
        said = None if facts == kept else assess(facts, policy)
        later = _recorded_again(session, row, facts, said, told.trust_version, now)
        if said is not None:
            gained, lost = gained + (said.flagged and not row.flagged), lost + (row.flagged and not said.flagged)
            if said.flagged:
                _to_case(session, later, policy, facts, policies.current().active.after_verdict, now)
    return gained, lost


def _recorded_again(session: Session, row: Assessment, facts: Facts, said: Weighed | None, trust_version: str, now: datetime) -> Assessment:
    """The assessment that stands from now on: the same under other lists, or what was `said` anew; the row before is superseded."""
    judged = Judged(
        likeness_id=row.likeness_id,
        risk=row.risk if said is None else said.risk,
        flagged=row.flagged if said is None else said.flagged,
        reasons=row.reasons if said is None else [asdict(reason) for reason in said.reasons],
        matches=row.matches,
        facts=facts.to_json() if said is not None else row.facts,
    )
    versions = Versions(
        policy=row.policy_version,
        index=row.index_version,
        model=row.model_version,
        trust=trust_version,
        watermarks=row.watermarks_version,
        probe=row.probe_version,
    )
    later, earlier = replace_assessment(session, judged, post_id=row.post_id, video_sha256=row.video_sha256, versions=versions, now=now)
    if earlier is not None:
        joining.note_flags_lost(session, [Superseded(earlier, later)], now=now, actor=_ACTOR)
    return later


def _to_case(session: Session, row: Assessment, policy: Policy, facts: Facts, reopens: Reopens, now: datetime) -> None:
    """Take an assessment to its case, as a scan would: the case is opened, joined, or reopened where the verdict's table says so."""
    case = session.scalars(select(Case).filter_by(likeness_id=row.likeness_id, video_sha256=row.video_sha256)).one_or_none()
    found = Found(
        post_id=row.post_id,
        likeness_id=row.likeness_id,
        video_sha256=row.video_sha256,
        risk=row.risk,
        reasons=row.reasons,
        moments=case.moments if case else (),
        versions=(case.versions if case else {"index": row.index_version, "model": row.model_version})
        | {"policy": row.policy_version, "trust": row.trust_version},
    )
    route = policy.route(facts)
    place = Place(route.queue, route.priority, now + timedelta(hours=route.sla_hours))
    joining.open_or_join(session, found, place=place, reopens=reopens, now=now, actor=_ACTOR)

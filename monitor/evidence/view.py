"""The parts of a case that may stand in a pack, by audience. No other place decides this.

A reviewer's pack holds what the case page shows. A rights holder's holds less: reference pictures of their own likeness alone; no
name of whoever reviewed (they become "reviewer 1", …); of an address no query and of a local file the name alone, since the one may be
a signed link and the other tells how the operator's machines are laid out. Both hold conclusions about the case's likeness alone,
whoever else was found in the video.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy.orm import Session

from monitor.base.audit import AuditEvent
from monitor.evidence.manifest import Audience
from monitor.provenance.history import History
from monitor.provenance.outline import (
    Node,
    actions,
    facts,
    heading,
    ingredient_words,
    left_out,
    left_out_of,
    outline,
    recorded_words,
    state_words,
)
from monitor.registry.references import Reference
from monitor.review import trail
from monitor.review.assessments import assessments
from monitor.review.cases import Moment
from monitor.review.verdicts import GivenVerdict
from monitor.review.videos import Post
from monitor.scan import views

_PARTS = frozenset(("scan", "command line", "serve", "worker", "trust lists"))
"""Actors that are no people."""


@dataclass(frozen=True, slots=True)
class CaseEvidence:
    """Everything of a case but its stills: plain values that a reader of the pack may see, and names of blobs.

    `sources` are the posts' own addresses, to fetch the video from; they stand in no file.
    """

    case: Mapping[str, Any]
    assessments: Sequence[Mapping[str, Any]]
    provenance: Mapping[str, Any]
    sentences: Sequence[str]
    tree: str
    audit: Sequence[Mapping[str, Any]]
    moments: Sequence[Moment]
    references: Mapping[str, str]
    sources: Sequence[tuple[str, str]]


def gather(session: Session, case_id: str, audience: Audience) -> CaseEvidence:
    """The evidence of a case for one audience. Read-only. Raises `NotFound`."""
    view = views.case_view(session, case_id)
    case, likeness, video = view.case, view.likeness, view.video
    shown = _Names(audience)
    trail = [_event(event, shown) for event in view.trail]
    return CaseEvidence(
        case={
            "id": case.id,
            "state": case.state,
            "verdict": case.verdict,
            "risk": case.risk,
            "reasons": [dict(reason) for reason in view.reasons],
            "versions": dict(case.versions),
            "opened_at": _iso(case.opened_at),
            "likeness": {
                "id": likeness.id,
                "name": likeness.name,
                "deceased_on": likeness.deceased_on and likeness.deceased_on.isoformat(),
            },
            "video": {
                "sha256": video.sha256,
                "size_bytes": video.size_bytes,
                "duration_s": video.duration_s,
                "truncated_at_s": video.truncated_at_s,
                "visible_marks": [mark.to_json() for mark in view.marks],
            },
            "posts": [_post(post, audience) for post in view.posts],
            "verdicts": [_verdict(each, shown) for each in reversed(view.verdicts)],
        },
        assessments=[
            {
                "post": each.post_id,
                "risk": each.risk,
                "flagged": each.flagged,
                "reasons": each.reasons,
                "facts": each.facts,
                "matches": each.matches,
                "policy_version": each.policy_version,
                "index_version": each.index_version,
                "model_version": each.model_version,
                "trust_version": each.trust_version,
                "watermarks_version": each.watermarks_version,
                "probe_version": each.probe_version,
                "created_at": _iso(each.created_at),
            }
            for each in assessments(session, video_sha256=video.sha256, likeness_id=likeness.id)
        ],
        provenance=dict(video.provenance),
        sentences=view.provenance,
        tree=tree_text(view.history),
        audit=trail,
        moments=sorted(case.moments, key=lambda moment: moment.time_s),
        references=_references(session, case.moments, likeness.id, audience),
        sources=[(post.id, post.source) for post in view.posts],
    )


def shown_source(source: str, audience: Audience) -> str:
    """The part of a post's address that this audience may see."""
    if audience is Audience.REVIEWER:
        return source
    if "://" not in source:
        return PurePath(source).name
    parts = urlsplit(source)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def tree_text(history: History) -> str:
    """The provenance tree as indented lines; what a manifest says is never at the margin, so that it cannot pass for our words."""
    lines: list[str] = []
    for root in outline(history):
        lines.append(f"[{root.number}] {state_words(root.manifest)} · {heading(root)}")
        _draw(root, 1, lines)
    if rest := left_out(history):
        lines.append(f"{rest}.")
    clean = ("".join(c if c.isprintable() else " " for c in line) for line in lines)  # a line separator would reach the margin
    return "\n".join(clean) + "\n" if lines else "No C2PA manifest.\n"


def _draw(node: Node, level: int, lines: list[str]) -> None:
    indent = "    " * level
    lines += [f"{indent}{what}: {value}" for what, value in facts(node.manifest)]
    lines += [f"{indent}Action: {' · '.join(said)}" for said in actions(node.manifest)]
    for branch in node.branches:
        words = ingredient_words(branch.ingredient)
        if branch.node is None:
            lines.append(f"{indent}{words} · {branch.instead}")
        else:
            lines.append(f"{indent}[{branch.node.number}] {state_words(branch.node.manifest)} · {words}")
        if recorded := recorded_words(branch.ingredient):
            lines.append(f"{indent}    {recorded}")
        if branch.node is not None:
            _draw(branch.node, level + 1, lines)
    if rest := left_out_of(node.manifest):
        lines.append(f"{indent}{rest}")


class _Names:
    """The names of accounts as this audience sees them, numbered in the order of their appearance."""

    def __init__(self, audience: Audience) -> None:
        self._open = audience is Audience.REVIEWER
        self._numbers: dict[str, int] = {}

    def __call__(self, actor: str) -> str:
        if self._open or actor in _PARTS:
            return actor
        return f"reviewer {self._numbers.setdefault(actor, len(self._numbers) + 1)}"


def _event(event: AuditEvent, shown: _Names) -> dict[str, Any]:
    actor = shown(event.actor)
    seen = AuditEvent(at=event.at, actor=actor, action=event.action, detail=event.detail)  # never added to a session
    return {
        "id": event.id,
        "at": _iso(event.at),
        "actor": actor,
        "action": event.action,
        "detail": dict(event.detail),
        "text": trail.told(seen),
    }


def _verdict(given: GivenVerdict, shown: Callable[[str], str]) -> dict[str, Any]:
    """A verdict, with the posts that had joined when it was given; earlier releases did not keep these, and `posts` is None then."""
    return {
        "verdict": given.verdict,
        "reason": given.reason,
        "by": shown(given.reviewer),
        "at": _iso(given.decided_at),
        "posts": None if given.uses is None else [use["post"] for use in given.uses],
    }


def _post(post: Post, audience: Audience) -> dict[str, Any]:
    return {
        "id": post.id,
        "source": shown_source(post.source, audience),
        "platform": post.platform,
        "account": post.account,
        "caption": post.caption,
        "views": post.views,
        "posted_at": _iso(post.posted_at) if post.posted_at else None,
        "received_at": _iso(post.received_at),
    }


def _references(session: Session, moments: Sequence[Moment], likeness_id: str, audience: Audience) -> dict[str, str]:
    """The file of each reference that the moments resemble and the audience may see, by reference id; an erased one is absent."""
    found = (session.get(Reference, moment.reference_id) for moment in moments if moment.reference_id is not None)
    return {each.id: each.file for each in found if each is not None and (audience is Audience.REVIEWER or each.likeness_id == likeness_id)}


def _iso(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="seconds")

"""The demo: a fictional cast, labelled posts, and what Sosie makes of them.

Everything happens in a home of its own with the shipped defaults; the environment's SOSIE_* settings are left out, so that
a demo never touches a real registry.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from PIL import Image

from monitor.base import settings
from monitor.base.settings import Settings
from monitor.cast.credentials import Studio
from monitor.cast.drawing import portrait
from monitor.cast.posts import LabelledPost, posts
from monitor.cast.roster import LICENSED, PROTECTED, Member
from monitor.cast.shot import Shot
from monitor.registry import consents, likenesses
from monitor.scan.result import Posted, ScanResult
from monitor.scan.workshop import Workshop

_ACTOR = "demo"
_REFERENCE_SHOTS = (Shot(), Shot(yaw=14, light_x=0.6, smile=0.1), Shot(yaw=-12, pitch=4, light=0.6, place=7))


@dataclass
class Score:
    """What was expected of the posts and what came out."""

    posts: int = 0
    expected: int = 0
    cases: set[str] = field(default_factory=set)
    missed: list[str] = field(default_factory=list)
    false: list[str] = field(default_factory=list)

    def count(self, post: LabelledPost, result: ScanResult) -> None:
        flagged = {finding.name for finding in result.findings if finding.assessment.flagged}
        wanted = set() if post.expected is None else {post.expected}
        self.posts += 1
        self.expected += len(wanted)
        self.cases |= {finding.case_id for finding in result.findings if finding.case_id}
        self.missed += [f"{post.label}: {name}" for name in sorted(wanted - flagged)]
        self.false += [f"{post.label}: {name}" for name in sorted(flagged - wanted)]


def demo_settings(home: Path, studio: Studio, **overrides: object) -> Settings:
    """The shipped defaults, with the demo's own certificate authority as the only trust list."""
    anchors = home / "sosie-demo-studio.pem"
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    anchors.write_bytes(studio.anchor_pem)
    return settings.load({}, home=home, trust_anchors=(anchors,), **overrides)


def run(workshop: Workshop, studio: Studio, tell: Callable[[LabelledPost, ScanResult], None]) -> Score:
    """Register the protected members, then scan each post as it is rendered; `tell` hears of each."""
    folder = workshop.settings.home / "posts"
    folder.mkdir(exist_ok=True)
    score = Score()
    rendered = posts(folder, studio)
    with ThreadPoolExecutor(1, thread_name_prefix="sosie-demo") as ahead:
        waiting = ahead.submit(_next, rendered)  # rendering starts while the models load
        register(workshop, PROTECTED)
        while (post := waiting.result()) is not None:
            waiting = ahead.submit(_next, rendered)
            result = workshop.pipeline.scan(Posted.of(str(post.path), account=post.account, platform="demo", caption=post.label))
            score.count(post, result)
            tell(post, result)
    return score


def _next(rendered: Iterator[LabelledPost]) -> LabelledPost | None:
    return next(rendered, None)


def register(workshop: Workshop, members: Sequence[Member]) -> None:
    """Enrol members of the cast from a few rendered pictures each, and grant the licences they gave."""
    folder = workshop.settings.home / "pictures"
    folder.mkdir(exist_ok=True)
    for member in members:
        prepared = []
        for n, shot in enumerate(_REFERENCE_SHOTS):
            path = folder / f"{member.name.replace(' ', '-').lower()}-{n}.png"
            Image.fromarray(portrait(member.person, shot)).save(path)
            prepared += workshop.enrolment.prepare(path)
        now = datetime.now(UTC)
        with workshop.store.session() as session:
            likeness, _ = likenesses.add_likeness(
                session, member.name, deceased_on=member.deceased_on, holder=member.holder, territory="worldwide", actor=_ACTOR, now=now
            )
            if member is LICENSED and member.licensee is not None:
                consents.grant(
                    session, likeness.id, account=member.licensee, valid_from=now, note="advertising, 2 years", actor=_ACTOR, now=now
                )
            for item in prepared:
                workshop.enrolment.keep(session, likeness.id, item, actor=_ACTOR)

"""A console with its own home, database and clock, a few cases in it, and people who are signed in."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
from fastapi import FastAPI
from fastapi.testclient import TestClient
from PIL import Image
from prometheus_client import CollectorRegistry

from monitor.base.database import Store
from monitor.base.settings import Settings, load
from monitor.console.app import create_app
from monitor.console.auth import SESSION_COOKIE
from monitor.decision.policy import AFTER_VERDICT
from monitor.provenance.types import AI, Provenance, State
from monitor.registry import likenesses, references
from monitor.registry.likenesses import Likeness
from monitor.review import accounts, assessments, cases, joining, videos
from monitor.review.accounts import Role
from monitor.review.assessments import Judged, Versions
from monitor.review.cases import Case, Moment
from monitor.review.joining import Found, Place
from monitor.review.videos import Posted, SeenVideo

PASSWORD = "a long enough password"
ORIGIN = "http://localhost"
VERSIONS = Versions(policy="1", index="i7", model="m1", trust="t1")
ANYWHERE = Place()
REASONS = (
    {"code": "face_match", "weight": 2.5, "text": "The face matches."},
    {"code": "consent", "weight": -1.25, "text": "A licence covers it."},
)


@dataclass
class Clock:
    now: datetime = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@dataclass
class Desk:
    settings: Settings
    store: Store
    clock: Clock
    app: FastAPI
    registry: CollectorRegistry
    posts: int = field(default=0)

    @property
    def home(self) -> Path:
        return self.settings.home

    def configured(self, environ: dict[str, str]) -> Settings:
        """The settings of this desk, and these besides."""
        return load(environ, home=str(self.home), lease_s=900)

    def stranger(self, *, host: str = "testclient") -> TestClient:
        return TestClient(self.app, ORIGIN, follow_redirects=False, raise_server_exceptions=False, client=(host, 50000))

    def person(self, name: str = "ana", role: Role = Role.REVIEWER) -> TestClient:
        """A new account, with the session cookie that signing in gives (test_signin.py goes through the form)."""
        with self.store.session() as session:
            account = accounts.create_account(session, name, PASSWORD, role=role, actor="test", now=self.clock())
        client = self.stranger()
        client.cookies.set(SESSION_COOKIE, self.app.state.door.sessions.issue(account))
        return client

    def likeness(self, name: str = "Ada Moreau", *, deceased_on: date | None = date(1994, 3, 11)) -> Likeness:
        with self.store.session() as session:
            return likenesses.add_likeness(session, name, deceased_on=deceased_on, holder="Moreau Estate", actor="test", now=self.clock())[
                0
            ]

    def reference(self, likeness: Likeness) -> str:
        sha256 = f"{self.posts:064x}"
        picture(self.home / "references" / f"{sha256}.jpg")
        with self.store.session() as session:
            added, _ = references.add_reference(
                session,
                likeness.id,
                picture_sha256=sha256,
                file=f"references/{sha256}.jpg",
                source="portrait.jpg",
                face_box=[0, 0, 9, 9],
                actor="test",
                now=self.clock(),
            )
        return added.id

    def case(
        self,
        likeness: Likeness,
        *,
        risk: float = 0.9,
        moments: Sequence[Moment] = (),
        reasons: Sequence[dict[str, object]] = REASONS,
        caption: str | None = "A caption",
        source: str = "https://videos.example/1",
        provenance: Provenance | None = None,
        queue: str = "main",
        priority: int = 5,
        due_in_s: float | None = None,
    ) -> str:
        """One case with one post. Returns its id."""
        self.posts += 1
        sha256 = f"{self.posts:064x}"
        stored = (provenance or Provenance(state=State.ABSENT, ai=AI.UNKNOWN, trust_version="t1")).to_json()
        with self.store.session() as session:
            videos.record_video(session, SeenVideo(sha256, 1, 12.0, None, stored), now=self.clock())
        due_at = None if due_in_s is None else self.clock() + timedelta(seconds=due_in_s)
        posted = Posted(source, f"post-{self.posts}", "Vidspace", "@someone", caption=caption, views=1234)
        shown = Found(posted.id, likeness.id, sha256, risk, reasons, moments, {"policy": "1", "index": "i7", "model": "m1", "trust": "t1"})
        return self.post(posted, shown, Place(queue, priority, due_at)).id

    def post(self, posted: Posted, found: Found, place: Place = ANYWHERE) -> Case:
        """One post of a video, as a scan with this finding leaves it."""
        judged = Judged(found.likeness_id, found.risk, flagged=True, reasons=found.reasons)
        with self.store.session() as session:
            videos.record_post(session, posted, video_sha256=found.video_sha256, now=self.clock())
            of = {"post_id": posted.id, "video_sha256": found.video_sha256}
            assessments.replace_assessment(session, judged, **of, versions=VERSIONS, now=self.clock())
            return joining.open_or_join(session, found, place=place, reopens=AFTER_VERDICT, now=self.clock()).case

    def another(self, case_id: str, post_id: str, *, account: str = "@someone", risk: float = 0.9) -> None:
        """Another post of the case's video, of the same platform."""
        with self.store.session(read_only=True) as session:
            case = cases.get_case(session, case_id)
        posted = Posted(f"https://videos.example/{post_id}", post_id, "Vidspace", account, caption="The same again", views=12)
        self.post(posted, Found(post_id, case.likeness_id, case.video_sha256, risk, REASONS, case.moments, case.versions))

    def rescan(self, case_id: str, post_id: str, *, risk: float | None) -> None:
        """A later scan of a post of the case: not flagged; `risk` None: nobody is found."""
        with self.store.session() as session:
            case = cases.get_case(session, case_id)
            flagged = risk is not None and risk >= 0.5
            judged = Judged(None if risk is None else case.likeness_id, risk or 0.02, flagged=flagged)
            of = {"post_id": post_id, "video_sha256": case.video_sha256}
            ceased = assessments.record_scan(session, [judged], **of, versions=VERSIONS, now=self.clock())
            joining.note_flags_lost(session, ceased, now=self.clock())

    def token(self, case_id: str) -> int:
        with self.store.session(read_only=True) as session:
            return cases.get_case(session, case_id).lease_token

    def state(self, case_id: str) -> str:
        with self.store.session(read_only=True) as session:
            return cases.get_case(session, case_id).state


def make_desk(home: Path) -> Desk:
    settings = load({}, home=str(home), lease_s=900)
    home.mkdir(parents=True, exist_ok=True)
    store = Store(settings.effective_database_url, busy_timeout_s=0.2)
    store.migrate()
    clock, registry = Clock(), CollectorRegistry()
    return Desk(settings, store, clock, create_app(settings, store, registry=registry, clock=clock), registry)


def sign_in(client: TestClient, name: str, password: str = PASSWORD, *, next: str = "/queue"):
    form = client.get("/sign-in")
    return client.post("/sign-in", data={"csrf_token": csrf_of(form.text), "name": name, "password": password, "next": next})


def csrf_of(html: str) -> str:
    found = re.search(r'name="csrf_token" value="([0-9a-f]{64})"', html)
    assert found, html
    return found[1]


def csrf(client: TestClient) -> str:
    """The token of the session, as a script gets it."""
    return client.get("/api/me").json()["csrf_token"]


def picture(file: Path, size: tuple[int, int] = (64, 36)) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((size[1], size[0], 3), 90, np.uint8)).save(file)

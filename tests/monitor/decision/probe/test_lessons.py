"""Which videos teach what: labels follow from provenance and verdicts as they stand; accounts and copies stay together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import numpy as np
import pytest
from sqlalchemy import select, update

from monitor.base.database import Store
from monitor.decision.probe import lessons
from monitor.decision.probe.lessons import ProbeExample, grouped
from monitor.decision.probe.teaching import Lesson
from monitor.provenance.types import AI, Provenance, State
from monitor.review import queue, verdicts, videos
from tests.monitor.fakes import DIM, identity
from tests.monitor.review.helpers import add_post, add_video, put_on_case

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def store(empty_database_url: str) -> Iterator[Store]:
    made = Store(empty_database_url, busy_timeout_s=60)
    made.migrate()
    yield made
    made.close()


def told(state: State = State.ABSENT, ai: AI = AI.UNKNOWN) -> Provenance:
    return Provenance(state, ai, "t1")


def add(store: Store, n: int, provenance: Provenance, *, accounts: Sequence[str | None] = (None,), space: str = "s") -> str:
    sha256 = f"{n:064x}"
    with store.session() as session:
        add_video(session, sha256, provenance=provenance.to_json())
        for i, account in enumerate(accounts):
            add_post(session, f"{n}-{i}", sha256, platform="p", account=account)
        assert lessons.keep(session, video_sha256=sha256, space_id=space, frames=identity(n)[None], now=NOW)
    return sha256


def decide(store: Store, sha256: str, verdict: str, *, likeness: str = "l") -> str:
    with store.session() as session:
        post = session.scalars(select(videos.Post.id).filter_by(video_sha256=sha256)).first()
        assert post is not None
        case, _ = put_on_case(session, post, sha256, likeness=likeness)
        lease = queue.claim(session, case.id, reviewer="ada", lease_s=60, now=NOW)
        verdicts.decide(session, case.id, reviewer="ada", token=lease.token, verdict=verdict, reason="seen", now=NOW)
        return case.id


def known(store: Store, space: str = "s") -> list[Lesson]:
    with store.session(read_only=True) as session:
        return lessons.lessons(session, space)


@pytest.mark.parametrize(
    ("state", "ai", "synthetic"),
    [
        (State.TRUSTED, AI.FULLY, True),
        (State.TRUSTED, AI.CAPTURED, False),
        (State.TRUSTED, AI.PARTLY, None),
        (State.TRUSTED, AI.MAY, None),
        (State.TRUSTED, AI.UNKNOWN, None),
        *((state, ai, None) for state in State if state is not State.TRUSTED for ai in (AI.FULLY, AI.CAPTURED)),
    ],
)
def test_only_a_trusted_credential_about_the_whole_video_teaches(store: Store, state: State, ai: AI, synthetic: bool | None) -> None:
    sha256 = add(store, 1, told(state, ai))
    assert lessons.teaches(told(state, ai)) == (synthetic is not None)
    assert [(x.video_sha256, x.synthetic, x.source, x.trust_version) for x in known(store)] == (
        [] if synthetic is None else [(sha256, synthetic, "provenance", "t1")]
    )


@pytest.mark.parametrize(
    ("verdict", "synthetic"),
    [
        *((verdict, True) for verdict in ("deepfake", "other_ai")),
        *((verdict, False) for verdict in ("authentic", "archive")),
        *((verdict, None) for verdict in ("manipulated", "licensed", "parody", "news", "not_this_person", "inconclusive")),
    ],
)
def test_verdicts_about_the_making_teach_and_others_do_not(store: Store, verdict: str, synthetic: bool | None) -> None:
    decide(store, add(store, 1, told()), verdict)
    assert [(x.synthetic, x.source, x.trust_version) for x in known(store)] == ([] if synthetic is None else [(synthetic, "verdict", None)])


def test_every_verdict_was_thought_of() -> None:
    assert set(verdicts.Verdict) - set(lessons._BY_VERDICT) == {
        "manipulated",
        "licensed",
        "parody",
        "news",
        "not_this_person",
        "inconclusive",
    }


def test_a_verdict_wins_over_the_credential_and_a_reversed_one_teaches_no_more(store: Store) -> None:
    sha256 = add(store, 1, told(State.TRUSTED, AI.CAPTURED))
    case = decide(store, sha256, "deepfake")
    assert [(x.synthetic, x.source) for x in known(store)] == [(True, "verdict")]
    with store.session() as session:
        verdicts.reopen(session, case, reviewer="ada", reason="again", now=NOW)
    assert [(x.synthetic, x.source) for x in known(store)] == [(False, "provenance")]


def test_verdicts_that_disagree_teach_nothing(store: Store) -> None:
    sha256 = add(store, 1, told(State.TRUSTED, AI.CAPTURED))
    decide(store, sha256, "deepfake", likeness="one")
    decide(store, sha256, "authentic", likeness="other")
    assert known(store) == []


def test_a_credential_that_is_not_trusted_any_more_teaches_no_more(store: Store) -> None:
    add(store, 1, told(State.TRUSTED, AI.CAPTURED))
    with store.session() as session:
        session.execute(update(videos.Video).values(provenance=told(State.REVOKED, AI.CAPTURED).to_json()))
    assert known(store) == []


def test_a_vector_is_kept_once_per_space_and_comes_back_as_it_was(store: Store) -> None:
    sha256 = add(store, 1, told(State.TRUSTED, AI.FULLY))
    with store.session() as session:
        values = {"video_sha256": sha256, "frames": identity(2)[None], "now": NOW}
        assert not lessons.keep(session, space_id="s", **values)
        assert lessons.keep(session, space_id="other", **values)
        assert not lessons.keep(session, space_id="third", **values | {"frames": np.empty((0, DIM), np.float32)})
    assert known(store)[0].vector == pytest.approx(identity(1), abs=1e-6)
    assert known(store, "other")[0].vector == pytest.approx(identity(2), abs=1e-6)
    with store.session(read_only=True) as session:
        assert len(session.scalars(select(ProbeExample)).all()) == 2


def test_accounts_are_groups_over_all_they_posted(store: Store) -> None:
    trusted = told(State.TRUSTED, AI.FULLY)
    one, two, three, four, five = (
        add(store, n, trusted, accounts=accounts) for n, accounts in enumerate([("@a",), ("@b",), ("@a", "@c"), ("@c",), (None,)])
    )
    assert {x.video_sha256: x.group for x in known(store)} == {one: one, three: one, four: one, two: two, five: five}


def test_copies_are_one_group_however_long_the_chain() -> None:
    steps = np.deg2rad([0.0, 5.0, 10.0, 60.0, 65.0, 180.0])  # cos 5° is 0.9962, cos 10° is 0.9848
    vectors = np.column_stack([np.cos(steps), np.sin(steps)]).astype(np.float32)
    assert grouped(list("abcdef"), {}, vectors) == list("aaaddf")
    assert grouped(list("abcdef"), {"c": ["@x"], "f": ["@x"]}, vectors) == list("aaadda")
    assert grouped([], {}, np.empty((0,), np.float32)) == []

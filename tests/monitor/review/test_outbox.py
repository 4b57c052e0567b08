"""The outbox: a change of a case and its event are one, counted per case."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from monitor.base.database import Store
from monitor.review import outbox, queue, relay_lease, verdicts
from monitor.review.outbox import CaseEvent
from tests.monitor.review.helpers import add_post, add_video, put_on_case

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
VIDEO = "ab" * 32


def join(store: Store, post: str, *, likeness: str = "who", video: str = VIDEO, risk: float = 0.9) -> str:
    """Record a post and put it on its case; returns the case."""
    with store.session() as session:
        add_video(session, video, now=NOW)
        add_post(session, post, video, now=NOW)
        return put_on_case(session, post, video, likeness=likeness, risk=risk, now=NOW)[0].id


def events(store: Store) -> list[tuple[str, int, str, str | None]]:
    with store.session(read_only=True) as session:
        rows = session.scalars(select(CaseEvent).order_by(CaseEvent.id))
        return [(row.case_id, row.sequence, row.change, row.detail["post_id"]) for row in rows]


def test_everything_that_happens_to_a_case_is_an_event_once(store: Store) -> None:
    case = join(store, "one")
    for post in ("one", "two", "one", "two"):
        join(store, post)
    with store.session() as session:
        lease = queue.claim(session, case, reviewer="ada", lease_s=60, now=NOW)
        for _ in range(2):  # the second is the same submission again
            verdicts.decide(session, case, reviewer="ada", token=lease.token, verdict="deepfake", reason="the mouth", now=NOW)
    with store.session() as session:
        verdicts.reopen(session, case, reviewer="bea", reason="look again", now=NOW)
    assert events(store) == [
        (case, 1, "opened", "one"),
        (case, 2, "joined", "two"),
        (case, 3, "decided", None),
        (case, 4, "reopened", None),
    ]


def test_the_facts_are_those_after_the_change_and_name_nobody(store: Store) -> None:
    case = join(store, "one", risk=0.6)
    join(store, "two", risk=0.8)
    with store.session() as session:
        lease = queue.claim(session, case, reviewer="ada", lease_s=60, now=NOW)
        verdicts.decide(session, case, reviewer="ada", token=lease.token, verdict="parody", reason="a joke", now=NOW)
    with store.session(read_only=True) as session:
        facts = [row.detail for row in outbox.waiting(session, limit=10)]
    shared = {"likeness_id": "who", "video_sha256": VIDEO}
    assert facts == [
        shared | {"state": "open", "risk": 0.6, "verdict": None, "post_id": "one"},
        shared | {"state": "open", "risk": 0.8, "verdict": None, "post_id": "two"},
        shared | {"state": "decided", "risk": 0.8, "verdict": "parody", "post_id": None},
    ]


def test_a_change_that_is_rolled_back_leaves_no_event(store: Store) -> None:
    def fail() -> None:
        with store.session() as session:
            add_video(session, VIDEO)
            add_post(session, "one", VIDEO)
            put_on_case(session, "one", VIDEO)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert events(store) == []


def test_changes_at_once_are_numbered_without_a_gap_in_the_order_of_their_ids(store: Store) -> None:
    posts = [f"post-{n}" for n in range(24)]
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda post: join(store, post, video=("ab", "cd")[int(post[5:]) % 2] * 32), posts))
    assert len(found) == 2
    for case in found:
        assert [sequence for each, sequence, _, _ in events(store) if each == case] == list(range(1, 13))


def test_what_is_published_no_longer_waits_and_is_pruned_later_and_the_count_goes_on(store: Store) -> None:
    case = join(store, "one")
    join(store, "two")
    with store.session() as session:
        first, second = outbox.waiting(session, limit=10)
        assert outbox.backlog(session) == (2, NOW)
        outbox.mark_published(session, [first.id, second.id], now=NOW)
        assert outbox.backlog(session) == (0, None)
    with store.session() as session:
        assert outbox.prune(session, before=NOW) == 0
        assert outbox.prune(session, before=NOW + timedelta(seconds=1)) == 2
    join(store, "three")
    assert events(store) == [(case, 3, "joined", "three")]


def test_one_relay_has_the_lease_until_it_expires_or_is_let_go(store: Store) -> None:
    def take(owner: str, seconds: float) -> bool:
        with store.session() as session:
            return relay_lease.take(session, owner=owner, lease_s=10, now=NOW + timedelta(seconds=seconds))

    assert take("one", 0)
    assert not take("two", 9.9)
    assert take("one", 9)  # renewed, to 19
    assert not take("two", 18)
    assert take("two", 19)
    assert not take("one", 20)
    with store.session() as session:
        relay_lease.release(session, owner="one", now=NOW)  # it has none to let go
    assert not take("one", 21)
    with store.session() as session:
        relay_lease.release(session, owner="two", now=NOW + timedelta(seconds=22))
    assert take("one", 22)


def test_of_many_that_ask_at_once_one_gets_the_lease(store: Store) -> None:
    def take(owner: int) -> bool:
        with store.session() as session:
            return relay_lease.take(session, owner=str(owner), lease_s=10, now=NOW)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(take, range(16))).count(True) == 1

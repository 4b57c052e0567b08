"""One case per likeness and video, whoever comes first, and however often."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from monitor.base import audit
from monitor.base.database import Store
from monitor.base.errors import NotFound
from monitor.review.cases import CaseState, get_case, posts
from monitor.review.joining import Place
from monitor.review.queue import claim, counts, page
from monitor.review.verdicts import Verdict, decide
from tests.monitor.review.helpers import MOMENT, NOW, scan, together

LATER = NOW + timedelta(hours=1)


def post_ids(store: Store, case_id: str) -> list[str]:
    with store.session(read_only=True) as session:
        return [post.id for post in posts(session, case_id)]


def case_ids(store: Store) -> list[str]:
    with store.session(read_only=True) as session:
        return [item.case.id for item in page(session, state=None).items]


def test_a_case_keeps_what_it_was_opened_with(store: Store) -> None:
    case, opened = scan(store)
    with store.session(read_only=True) as session:
        stored = get_case(session, case.id)
    assert opened
    assert stored.moments == (MOMENT,)
    assert (stored.state, stored.verdict, stored.risk, stored.versions, stored.opened_at) == (
        CaseState.OPEN,
        None,
        0.5,
        {"policy": "1"},
        NOW,
    )


def test_the_same_post_again_changes_nothing(store: Store) -> None:
    case, _ = scan(store)
    again, opened = scan(store, now=LATER)
    assert (opened, again.id, again.updated_at) == (False, case.id, NOW)
    assert post_ids(store, case.id) == ["p1"]
    with store.session(read_only=True) as session:
        assert [event.action for event in audit.events(session, subject_type="case", subject_id=case.id)] == ["case.opened"]


def test_another_post_joins_and_the_riskiest_post_is_shown(store: Store) -> None:
    case, _ = scan(store, risk=0.5)
    scan(store, post="p2", risk=0.9, now=LATER)
    joined, _ = scan(store, post="p3", risk=0.2, now=LATER + timedelta(hours=1))
    assert (joined.id, joined.risk, joined.reasons[0]["text"]) == (case.id, 0.9, "seen by p2")
    assert post_ids(store, case.id) == ["p1", "p2", "p3"]


def test_another_likeness_or_another_video_is_another_case(store: Store) -> None:
    ids = {scan(store)[0].id, scan(store, likeness="l2")[0].id, scan(store, video="v2", post="p2")[0].id}
    assert len(ids) == 3


def test_a_decided_case_keeps_its_verdict_about_the_content_when_a_post_joins(store: Store) -> None:
    case, _ = scan(store)
    with store.session() as session:
        lease = claim(session, case.id, reviewer="ada", lease_s=60, now=NOW)
        decide(session, case.id, reviewer="ada", token=lease.token, verdict=Verdict.DEEPFAKE, reason="the ears", now=NOW)
    joined, opened = scan(store, post="p2", risk=0.9)
    assert (opened, joined.state, joined.verdict, joined.risk) == (False, CaseState.DECIDED, Verdict.DEEPFAKE, 0.9)
    assert post_ids(store, case.id) == ["p1", "p2"]


def test_threads_at_once_make_one_case_with_every_post(store: Store) -> None:
    scanned = together([partial(scan, store, post=f"p{number}", risk=number / 10) for number in range(8)])
    assert sum(opened for _, opened in scanned) == 1
    [case_id] = case_ids(store)
    assert sorted(post_ids(store, case_id)) == [f"p{number}" for number in range(8)]
    with store.session(read_only=True) as session:
        assert get_case(session, case_id).risk == 0.7


SCAN = """
import sys
from monitor.base.database import Store
from tests.monitor.review.helpers import scan
store = Store(sys.argv[1], busy_timeout_s=60)
print("ready", flush=True)
sys.stdin.readline()
for number in range(5):
    scan(store, video=f"v{number}", post=f"{sys.argv[2]}-{number}")
"""


def test_processes_at_once_make_one_case_per_video_with_every_post(store: Store, database_url: str) -> None:
    root = Path(__file__).parents[3]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    scanners = [subprocess.Popen([sys.executable, "-c", SCAN, database_url, name], cwd=root, **pipes) for name in ("a", "b", "c")]
    assert [scanner.stdout.readline() for scanner in scanners] == ["ready\n"] * 3
    for scanner in scanners:
        scanner.stdin.write("go\n")
        scanner.stdin.flush()
    assert [(scanner.communicate()[1], scanner.returncode) for scanner in scanners] == [("", 0)] * 3
    with store.session(read_only=True) as session:
        assert counts(session, now=NOW).open == 5
        assert [item.posts for item in page(session).items] == [3] * 5


def test_an_unknown_case_is_not_found(store: Store) -> None:
    with store.session(read_only=True) as session, pytest.raises(NotFound):
        get_case(session, "unknown")


def test_a_case_stays_as_urgent_as_its_most_urgent_route(store: Store) -> None:
    soon, later = NOW + timedelta(hours=1), NOW + timedelta(hours=9)
    scan(store, post="p1", place=Place("main", 5, soon))
    case, _ = scan(store, post="p2", place=Place("estates", 3, later))
    assert (case.queue, case.priority, case.due_at) == ("estates", 3, soon)
    case, _ = scan(store, post="p3", place=Place("main", 4, NOW))
    assert (case.queue, case.priority, case.due_at) == ("estates", 3, soon)

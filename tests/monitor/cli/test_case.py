"""`sosie case`: what waits, what was decided, and back again, with a reason."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from monitor.base import settings
from monitor.base.database import Store
from monitor.registry import likenesses
from monitor.review.joining import Place
from monitor.review.queue import claim
from monitor.review.verdicts import decide
from tests.monitor.household import sosie, trail
from tests.monitor.review.helpers import arrive

NOW = datetime.now(UTC)


@pytest.fixture
def store(home: Path) -> Iterator[Store]:
    home.mkdir(parents=True, exist_ok=True)
    made = Store(settings.load().effective_database_url)
    made.migrate()
    yield made
    made.close()


@pytest.fixture
def case(store: Store) -> str:
    """Decided as licensed, with one post."""
    with store.session() as session:
        person, _ = likenesses.add_likeness(session, "Ada Moreau", deceased_on=None, holder=None, actor="test", now=NOW)
    place = Place("main", 5, NOW + timedelta(hours=72))
    found = arrive(store, likeness=person.id, account="@official", risk=0.6, now=NOW, place=place).case.id
    with store.session() as session:
        lease = claim(session, found, reviewer="ada", lease_s=60, now=NOW)
        decide(session, found, reviewer="ada", token=lease.token, verdict="licensed", reason="by contract", now=NOW)
    return found


def test_a_decided_case_is_reopened_with_a_reason_which_stands_in_its_trail(home: Path, case: str) -> None:
    assert sosie("case", "list").out == "No such case.\n"
    assert [(each["id"], each["verdict"], each["posts"]) for each in sosie("case", "list", "--state", "decided", "--json").objects] == [
        (case, "licensed", 1)
    ]
    missing = sosie("case", "reopen", case)
    assert (missing.status, "--reason" in missing.err) == (2, True)
    empty = sosie("case", "reopen", case, "--reason", " ")
    assert (empty.status, "needs a reason" in empty.err) == (1, True)
    reopened = sosie("case", "reopen", case, "--reason", "the [holder] withdrew it")
    assert reopened.status == 0, reopened.err
    assert reopened.out.startswith(f"Case {case} is in the queue main again, due ")
    assert trail(home, "case")[-1] == "case.reopened"
    shown = sosie("case", "show", case).out
    assert "Reopened by command line; the verdict was Licensed. “the [holder] withdrew it”" in shown
    [listed] = sosie("case", "list", "--state", "all", "--json").objects
    assert (listed["state"], listed["verdict"]) == ("open", None)
    assert "reopened" in sosie("case", "list").out
    again = sosie("case", "reopen", case, "--reason", "again")
    assert (again.status, "is open already" in again.err) == (1, True)


def test_a_case_is_shown_with_its_posts_as_they_stand(home: Path, store: Store, case: str) -> None:
    [whole] = sosie("case", "show", case, "--json").objects
    with store.session(read_only=True) as session:
        [person] = likenesses.list_likenesses(session)
    arrive(store, post="p2", likeness=person.id, account="@official", risk=0.6, now=NOW)
    [after] = sosie("case", "show", case, "--json").objects
    assert (whole["state"], [post["covered_by"] for post in after["posts"]]) == ("decided", [None, "licensed"])
    assert "covered by the verdict of" in sosie("case", "show", case).out
    assert after["verdicts"][0]["reason"] == "by contract"
    unknown = sosie("case", "show", "unknown")
    assert (unknown.status, "does not exist" in unknown.err) == (1, True)

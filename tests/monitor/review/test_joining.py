"""After the verdict: which later posts it covers, and which take the case back. Row by row of the table, on both databases."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import select, update

from monitor.base import audit
from monitor.base.audit import AuditEvent
from monitor.base.database import Store
from monitor.base.errors import RequestRefused
from monitor.decision.policy import AFTER_VERDICT, default_policy
from monitor.review.assessments import Judged, record_scan
from monitor.review.cases import Case, CasePost, CaseState, get_case
from monitor.review.joining import Joined, Place, note_flags_lost
from monitor.review.outbox import CaseEvent
from monitor.review.queue import claim, oldest_open, page
from monitor.review.uses import PostUse, unlike
from monitor.review.verdicts import GivenVerdict, decide, reopen, standing_verdict, uses_seen, verdicts
from monitor.review.vocabulary import Difference, Verdict
from tests.monitor.review.helpers import NOW, VERSIONS, arrive, together

LATER = NOW + timedelta(hours=1)
OFFICIAL: Mapping[str, Any] = {
    "account": "@official", "platform": "vidhub", "purpose": "tribute", "territory": "DE", "risk": 0.6, "facts": {"consent": None},
}  # fmt: skip
OTHERWISE: Mapping[Difference, Mapping[str, Any]] = {
    Difference.ACCOUNT: {"account": "@pirate"},
    Difference.PLATFORM: {"platform": "reels"},
    Difference.PURPOSE: {"purpose": "advertising"},
    Difference.TERRITORY: {"territory": "FR"},
    Difference.CONSENT: {"facts": {"consent": None, "breach": "it was withdrawn on 3 March 2026"}},
    Difference.RISK: {"risk": 0.99},
}
USE = [verdict for verdict in Verdict if verdict.is_about_use]


def post(store: Store, id: str, now: datetime = NOW, **changes: Any) -> Joined:
    return arrive(store, post=id, now=now, **{**OFFICIAL, **changes})


def judge(store: Store, case_id: str, verdict: str, *, now: datetime = NOW, seen: int | None = None, reviewer: str = "ada") -> GivenVerdict:
    with store.session() as session:
        lease = claim(session, case_id, reviewer=reviewer, lease_s=60, now=now)
        return decide(session, case_id, reviewer=reviewer, token=lease.token, verdict=verdict, reason="seen", now=now, seen=seen)


def decided(store: Store, verdict: str) -> str:
    case_id = post(store, "p1").case.id
    judge(store, case_id, verdict)
    return case_id


def told(store: Store, case_id: str) -> list[tuple[str, dict[str, Any]]]:
    """What other systems are told, without what all events say."""
    common = ("likeness_id", "video_sha256", "risk")
    with store.session(read_only=True) as session:
        rows = session.scalars(select(CaseEvent).filter_by(case_id=case_id).order_by(CaseEvent.sequence)).all()
    return [(row.change, {k: v for k, v in row.detail.items() if k not in common and v is not None}) for row in rows]


def trail(store: Store, case_id: str) -> list[AuditEvent]:
    with store.session(read_only=True) as session:
        return audit.events(session, subject_type="case", subject_id=case_id)


@pytest.mark.parametrize("verdict", Verdict)
@pytest.mark.parametrize("differs", [None, *Difference])
def test_every_row_of_the_table_against_every_difference(store: Store, verdict: Verdict, differs: Difference | None) -> None:
    case_id = decided(store, verdict)
    joined = post(store, "p2", LATER, **({} if differs is None else OTHERWISE[differs]))
    comes_back = differs is not None and verdict in (Verdict.LICENSED, Verdict.PARODY, Verdict.NEWS, Verdict.INCONCLUSIVE)
    assert joined.case.id == case_id
    if comes_back:
        assert (joined.reopened, joined.covered_by, joined.case.state, joined.case.verdict) == ((differs,), None, CaseState.OPEN, None)
        assert told(store, case_id)[2:] == [
            ("reopened", {"state": "open", "post_id": "p2", "cause": "post", "differs": [differs], "earlier_verdict": verdict}),
            ("joined", {"state": "open", "post_id": "p2"}),
        ], "whoever enforces verdicts must not take the post for covered"
    else:
        assert (joined.reopened, joined.case.state, joined.case.verdict) == ((), CaseState.DECIDED, verdict)
        assert joined.covered_by is not None
        assert (joined.covered_by.verdict, joined.covered_by.decided_at) == (verdict, NOW)
        assert told(store, case_id)[2:] == [("joined", {"state": "decided", "post_id": "p2", "verdict": verdict})]


def test_the_shipped_table_is_the_one_of_policies_that_say_nothing_of_it() -> None:
    assert default_policy().after_verdict == AFTER_VERDICT


def test_an_operators_table_is_followed(store: Store) -> None:
    decided(store, Verdict.PARODY)
    mine = AFTER_VERDICT | {Verdict.PARODY: frozenset({Difference.PURPOSE})}
    assert post(store, "p2", account="@pirate", risk=0.99, reopens=mine).covered_by is not None
    assert post(store, "p3", purpose="advertising", reopens=mine).reopened == (Difference.PURPOSE,)


def test_a_licence_for_one_account_does_not_swallow_anothers_post(store: Store) -> None:
    """The fault this file is about: licensed for @official, then @pirate posts the same file at risk .99, and nobody is told."""
    case_id = decided(store, Verdict.LICENSED)
    due = LATER + timedelta(hours=24)
    joined = post(store, "p2", LATER, account="@pirate", risk=0.99, place=Place("estates", 3, due))
    assert joined.reopened == (Difference.ACCOUNT, Difference.RISK)
    with store.session(read_only=True) as session:
        [item] = page(session).items
        assert (item.case.id, item.case.queue, item.case.priority, item.case.due_at) == (case_id, "estates", 3, due)
        assert oldest_open(session) == LATER == item.case.waiting_since, "it waits since it came back"
        assert [given.verdict for given in verdicts(session, case_id)] == ["licensed"], "the verdict stays on record"
    back = next(event for event in trail(store, case_id) if event.action == "case.reopened")
    assert (back.actor, back.detail) == ("scan", {"verdict": "licensed", "cause": "post", "post": "p2", "differs": ["account", "risk"]})


def test_a_less_urgent_route_is_the_reopened_cases_own(store: Store) -> None:
    case_id = arrive(store, post="p1", place=Place("estates", 2, NOW), **OFFICIAL).case.id
    judge(store, case_id, Verdict.NEWS)
    case = post(store, "p2", LATER, account="@pirate", place=Place("main", 5, None)).case
    assert (case.queue, case.priority, case.due_at) == ("main", 5, None)


def test_after_two_posts_a_third_is_covered_if_it_is_like_either_and_comes_back_if_it_mixes_them(store: Store) -> None:
    case_id = post(store, "p1", account="@a", territory="DE").case.id
    post(store, "p2", account="@b", territory="FR")
    given = judge(store, case_id, Verdict.LICENSED)
    assert [use["post"] for use in given.uses or ()] == ["p1", "p2"]
    assert post(store, "p3", LATER, account="@b", territory="FR").covered_by is not None
    assert post(store, "p4", LATER, account="@a", territory="FR").reopened in ((Difference.ACCOUNT,), (Difference.TERRITORY,))


def test_a_verdict_on_the_case_that_came_back_covers_what_it_was_given_on(store: Store) -> None:
    case_id = decided(store, Verdict.LICENSED)
    post(store, "p2", LATER, account="@pirate")
    judge(store, case_id, Verdict.LICENSED, now=LATER)
    assert post(store, "p3", LATER, account="@pirate").covered_by is not None
    assert post(store, "p4", LATER, account="@third").reopened == (Difference.ACCOUNT,)


def test_the_same_post_again_changes_nothing_and_assessed_otherwise_takes_the_case_back(store: Store) -> None:
    case_id = decided(store, Verdict.PARODY)
    before = told(store, case_id)
    assert post(store, "p1", LATER).covered_by is not None
    assert told(store, case_id) == before
    assert post(store, "p1", LATER, risk=0.99).reopened == (Difference.RISK,)
    assert told(store, case_id)[len(before) :] == [
        ("reopened", {"state": "open", "post_id": "p1", "cause": "reassessed", "differs": ["risk"], "earlier_verdict": "parody"})
    ]


def test_what_nobody_knows_of_two_posts_does_not_differ(store: Store) -> None:
    case_id = arrive(store, post="p1").case.id
    judge(store, case_id, Verdict.PARODY)
    assert arrive(store, post="p2", account="  ").covered_by is not None
    assert arrive(store, post="p3", account="@known").reopened == (Difference.ACCOUNT,)


def test_a_verdict_about_the_use_is_not_recorded_over_a_post_that_joined_unseen(store: Store) -> None:
    case = post(store, "p1").case
    seen = case.events
    post(store, "p2", account="@pirate")
    with pytest.raises(RequestRefused, match=r"another post joined it while you looked: another account posted it\. Look at it"):
        judge(store, case.id, Verdict.LICENSED, seen=seen)
    with store.session(read_only=True) as session:
        now = get_case(session, case.id)
        assert (now.state, verdicts(session, case.id)) == (CaseState.OPEN, [])
    assert len(judge(store, case.id, Verdict.LICENSED, seen=now.events).uses or ()) == 2


def test_a_verdict_about_the_content_holds_for_a_post_that_joined_unseen(store: Store) -> None:
    case = post(store, "p1").case
    post(store, "p2", account="@pirate")
    given = judge(store, case.id, Verdict.DEEPFAKE, seen=1)
    assert [use["post"] for use in given.uses or ()] == ["p1"]


def test_a_post_of_the_same_use_that_joined_unseen_stops_nobody(store: Store) -> None:
    case = post(store, "p1").case
    post(store, "p2")
    assert judge(store, case.id, Verdict.LICENSED, seen=1).verdict == "licensed"


def test_a_decision_and_a_post_at_once_never_leave_the_post_unheard(store: Store) -> None:
    """Whoever locks the case first: the post is either refused by the decision, or held against it."""
    for number in range(6):
        case = arrive(store, video=f"v{number}", post=f"p{number}", **OFFICIAL).case

        def decision(case: Case = case) -> None:
            with contextlib.suppress(RequestRefused):
                judge(store, case.id, Verdict.LICENSED, seen=case.events)

        pirate = partial(arrive, store, video=f"v{number}", post=f"q{number}", **{**OFFICIAL, "account": "@pirate"})
        together([decision, lambda pirate=pirate: pirate() and None])  # type: ignore[misc]
        with store.session(read_only=True) as session:
            assert get_case(session, case.id).state == CaseState.OPEN
            assert len(list(session.scalars(select(CasePost).filter_by(case_id=case.id)))) == 2


def test_a_verdict_of_an_earlier_release_was_given_on_the_posts_of_before_it(store: Store) -> None:
    """It names no uses; and a worker of that release swallowed a post since."""
    case_id = decided(store, Verdict.LICENSED)
    with store.session() as session:
        session.execute(update(GivenVerdict).values(uses=None))
    arrive(store, post="swallowed", now=LATER, **{**OFFICIAL, "account": "@pirate"}, reopens=dict.fromkeys(Verdict, ()))
    with store.session(read_only=True) as session:
        case = get_case(session, case_id)
        assert set(uses_seen(session, case, standing_verdict(session, case))) == {"p1"}
    assert post(store, "p3", LATER).covered_by is not None
    assert post(store, "p4", LATER, account="@pirate").reopened == (Difference.ACCOUNT,)


def test_an_earlier_verdict_is_held_against_the_assessment_of_then(store: Store) -> None:
    decided(store, Verdict.LICENSED)
    with store.session() as session:
        session.execute(update(GivenVerdict).values(uses=None))
    assert post(store, "p1", LATER, risk=0.99).reopened == (Difference.RISK,)


def test_a_reviewers_reopening_is_due_anew_in_as_much_time_as_there_was(store: Store) -> None:
    case_id = arrive(store, place=Place("main", 5, NOW + timedelta(hours=72))).case.id
    judge(store, case_id, Verdict.PARODY, now=LATER)
    much_later = NOW + timedelta(days=30)
    for moment in (much_later, much_later + timedelta(days=30)):
        with store.session() as session:
            case = reopen(session, case_id, reviewer="bea", reason="an appeal", now=moment)
            assert (case.due_at, case.waiting_since) == (moment + timedelta(hours=72), moment)
        judge(store, case_id, Verdict.PARODY, now=moment)
    assert told(store, case_id)[-2] == ("reopened", {"state": "open", "cause": "reviewer", "earlier_verdict": "parody"})


def test_a_flag_that_is_lost_stands_in_the_trail_and_the_case_stays_open(store: Store) -> None:
    case_id = post(store, "p1").case.id
    for likeness, risk in (("l1", 0.3), (None, 0.02)):
        with store.session() as session:
            judged = [Judged(likeness, risk, flagged=False)]
            ceased = record_scan(session, judged, post_id="p1", video_sha256="v1", versions=VERSIONS, now=LATER)
            note_flags_lost(session, ceased, now=LATER)
        post(store, "p1")
    said = [event.detail for event in trail(store, case_id) if event.action == "case.flag_lost"]
    assert said == [{"post": "p1", "risk": 0.3}, {"post": "p1", "risk": None}]
    with store.session(read_only=True) as session:
        assert get_case(session, case_id).state == CaseState.OPEN


def test_the_nearest_of_the_uses_seen_tells_the_difference() -> None:
    use = PostUse("new", account="@a", platform="x", risk="high")
    seen = [PostUse("far", account="@b", platform="y", risk="low"), PostUse("near", account="@a", platform="x", risk="low")]
    assert unlike(use, seen, Difference) == (Difference.RISK,)
    assert unlike(use, seen, [Difference.ACCOUNT]) == ()
    assert unlike(use, [], [Difference.RISK, Difference.ACCOUNT]) == (Difference.ACCOUNT, Difference.RISK)
    assert unlike(use, [], []) == ()


def test_a_use_is_read_again_as_it_was_stored_whatever_a_later_release_adds() -> None:
    use = PostUse("p", "@a", "x", "news", "DE", "consent 1", "high")
    assert PostUse.from_json(use.to_json() | {"added_later": 1}) == use

"""Verdicts: under a live claim only, once, with a reason, and on record for good."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial

import pytest

from monitor.base import audit
from monitor.base.database import Store
from monitor.base.errors import LeaseLost, NotFound, RequestRefused
from monitor.review.cases import CaseState, get_case
from monitor.review.queue import Lease, claim
from monitor.review.verdicts import GivenVerdict, Verdict, decide, held_recorded, reopen, verdicts
from tests.monitor.review.helpers import NOW, scan, together

LEASE_S = 60.0
EXPIRY = NOW + timedelta(seconds=LEASE_S)
TICK = timedelta(microseconds=1)


@pytest.fixture
def case_id(store: Store) -> str:
    return scan(store)[0].id


def take(store: Store, case_id: str, reviewer: str = "ada", now: datetime = NOW) -> Lease:
    with store.session() as session:
        return claim(session, case_id, reviewer=reviewer, lease_s=LEASE_S, now=now)


def give(
    store: Store, lease: Lease, verdict: str = Verdict.DEEPFAKE, reason: str = "the ears are wrong", now: datetime = NOW, reviewer: str = ""
) -> GivenVerdict:
    with store.session() as session:
        return decide(session, lease.case_id, reviewer=reviewer or lease.owner, token=lease.token, verdict=verdict, reason=reason, now=now)


def state(store: Store, case_id: str) -> tuple[str, str | None, list[str], list[str]]:
    with store.session(read_only=True) as session:
        case = get_case(session, case_id)
        actions = [event.action for event in audit.events(session, subject_type="case", subject_id=case_id)]
        return case.state, case.verdict, [given.reason for given in verdicts(session, case_id)], actions


def test_a_verdict_decides_the_case_and_ends_the_claim(store: Store, case_id: str) -> None:
    given = give(store, take(store, case_id), reason="  the ears are wrong ", now=EXPIRY - TICK)
    assert (given.verdict, given.reason, given.reviewer, given.decided_at) == (Verdict.DEEPFAKE, "the ears are wrong", "ada", EXPIRY - TICK)
    assert state(store, case_id) == (
        CaseState.DECIDED,
        "deepfake",
        ["the ears are wrong"],
        ["case.opened", "case.claimed", "case.decided"],
    )
    with store.session(read_only=True) as session:
        assert not get_case(session, case_id).claimed(NOW)
    with pytest.raises(RequestRefused, match=r"is decided \(deepfake\)"):
        take(store, case_id, "bob")


def test_the_same_submission_again_returns_the_first(store: Store, case_id: str) -> None:
    lease = take(store, case_id)
    first = give(store, lease)
    assert give(store, lease, now=EXPIRY).id == first.id
    assert state(store, case_id)[2:] == (["the ears are wrong"], ["case.opened", "case.claimed", "case.decided"])


@pytest.mark.parametrize("change", [{"verdict": "parody"}, {"reason": "another"}, {"reviewer": "bob"}])
def test_another_submission_with_a_used_claim_changes_nothing(store: Store, case_id: str, change: dict[str, str]) -> None:
    lease = take(store, case_id)
    give(store, lease)
    before = state(store, case_id)
    with pytest.raises(LeaseLost, match=r"decided meanwhile \(deepfake\)"):
        give(store, lease, **change)  # type: ignore[arg-type]
    assert state(store, case_id) == before


def test_a_late_verdict_changes_nothing(store: Store, case_id: str) -> None:
    lease = take(store, case_id)
    before = state(store, case_id)
    with pytest.raises(LeaseLost, match="your claim ended"):
        give(store, lease, now=EXPIRY)
    assert state(store, case_id) == before


def test_a_verdict_after_somebody_took_over_changes_nothing(store: Store, case_id: str) -> None:
    late = take(store, case_id)
    theirs = take(store, case_id, "bob", EXPIRY)
    with pytest.raises(LeaseLost, match="bob has claimed it"):
        give(store, late, now=EXPIRY)
    give(store, theirs, verdict="parody", reason="a sketch", now=EXPIRY)
    assert state(store, case_id)[:3] == (CaseState.DECIDED, "parody", ["a sketch"])


def test_the_first_of_ones_own_two_claims_is_worth_nothing(store: Store, case_id: str) -> None:
    old = take(store, case_id)
    take(store, case_id, now=EXPIRY)
    with pytest.raises(LeaseLost, match="replaced by a newer one"):
        give(store, old, now=EXPIRY)


def test_a_verdict_without_a_claim_is_refused(store: Store, case_id: str) -> None:
    with pytest.raises(LeaseLost):
        give(store, Lease(case_id, "ada", 0, EXPIRY))


@pytest.mark.parametrize("reason", ["", "  \n\t"])
def test_a_verdict_needs_a_reason(store: Store, case_id: str, reason: str) -> None:
    with pytest.raises(RequestRefused, match="needs a reason"):
        give(store, take(store, case_id), reason=reason)
    assert state(store, case_id)[0] == CaseState.OPEN


def test_a_verdict_outside_the_vocabulary_is_refused(store: Store, case_id: str) -> None:
    with pytest.raises(RequestRefused, match="Use one of: deepfake, manipulated, other_ai"):
        give(store, take(store, case_id), verdict="fake")


def test_an_unknown_case_is_not_found(store: Store) -> None:
    with pytest.raises(NotFound):
        give(store, Lease("unknown", "ada", 1, EXPIRY))


def test_every_verdict_has_words_for_a_page() -> None:
    assert len({verdict.label for verdict in Verdict}) == len(Verdict) == 10


def test_the_same_submission_twice_at_once_is_one_verdict(store: Store, case_id: str) -> None:
    lease = take(store, case_id)
    given = together([partial(give, store, lease) for _ in range(6)])
    assert len({verdict.id for verdict in given}) == 1
    assert state(store, case_id)[2] == ["the ears are wrong"]


def test_a_reversal_is_a_reopened_case_and_another_verdict(store: Store, case_id: str) -> None:
    first = take(store, case_id)
    give(store, first)
    with store.session() as session:
        reopen(session, case_id, reviewer="bob", reason="the holder sent the original", now=NOW)
    with pytest.raises(LeaseLost):
        give(store, first, verdict="parody")
    second = take(store, case_id, "bob")
    give(store, second, verdict="archive", reason="a concert of 1987")
    assert second.token > first.token
    assert state(store, case_id) == (
        CaseState.DECIDED,
        "archive",
        ["a concert of 1987", "the ears are wrong"],
        ["case.opened", "case.claimed", "case.decided", "case.reopened", "case.claimed", "case.decided"],
    )


def test_only_a_decided_case_is_reopened_and_only_with_a_reason(store: Store, case_id: str) -> None:
    with pytest.raises(RequestRefused, match="open already"), store.session() as session:
        reopen(session, case_id, reviewer="bob", reason="again", now=NOW)
    give(store, take(store, case_id))
    with pytest.raises(RequestRefused, match="needs a reason"), store.session() as session:
        reopen(session, case_id, reviewer="bob", reason=" ", now=NOW)
    assert state(store, case_id)[0] == CaseState.DECIDED


def test_only_a_verdict_that_stands_and_says_recorded_holds_that_this_person_was_recorded(store: Store, case_id: str) -> None:
    def held(likeness: str = "l1", video: str = "v1") -> str | None:
        with store.session(read_only=True) as session:
            return held_recorded(session, likeness_id=likeness, video_sha256=video)

    assert held() is None, "no verdict yet"
    for verdict, expected in (
        ("archive", "a reviewer's verdict on this video is archive footage"),
        ("authentic", "a reviewer's verdict on this video is authentic"),
        ("deepfake", None),
        ("news", None),
    ):
        give(store, take(store, case_id), verdict=verdict, reason="seen")
        assert held() == expected
        assert (held(likeness="l2"), held(video="v2")) == (None, None)
        with store.session() as session:
            reopen(session, case_id, reviewer="bob", reason="again", now=NOW)
        assert held() is None, "a reopened case has no verdict that stands"

"""The queue's order, and that a case is never in two hands."""

from __future__ import annotations

import base64
from datetime import datetime, timedelta
from functools import partial

import pytest

from monitor.base import audit
from monitor.base.database import Store
from monitor.base.errors import LeaseHeld, LeaseLost, NotFound, RequestRefused
from monitor.review.cases import CaseState, get_case
from monitor.review.joining import Place
from monitor.review.queue import Counts, Lease, claim, claim_next, counts, names, oldest_open, overdue, page, release, renew
from monitor.review.verdicts import Verdict, decide
from tests.monitor.review.helpers import NOW, scan, together

LEASE_S = 60.0
EXPIRY = NOW + timedelta(seconds=LEASE_S)
TICK = timedelta(microseconds=1)


def take(store: Store, case_id: str, reviewer: str = "ada", now: datetime = NOW) -> Lease:
    with store.session() as session:
        return claim(session, case_id, reviewer=reviewer, lease_s=LEASE_S, now=now)


def take_next(store: Store, reviewer: str = "ada", now: datetime = NOW, likeness_id: str | None = None) -> Lease | None:
    with store.session() as session:
        return claim_next(session, reviewer=reviewer, lease_s=LEASE_S, now=now, likeness_id=likeness_id)


def several(store: Store, number: int) -> list[str]:
    """Cases of three different risks and rising age, in the order they were opened."""
    return [
        scan(store, video=f"v{n}", post=f"p{n}", risk=0.5 + (n % 3) / 10, now=NOW - timedelta(hours=number - n))[0].id
        for n in range(number)
    ]


# order


def test_the_riskiest_come_first_then_the_oldest(store: Store) -> None:
    ids = several(store, 6)
    with store.session(read_only=True) as session:
        assert [item.case.id for item in page(session).items] == [ids[n] for n in (2, 5, 1, 4, 0, 3)]


def routed(store: Store, video: str, *, priority: int, risk: float = 0.5, name: str = "main", due_at: datetime | None = None) -> str:
    return scan(store, video=video, post=video, risk=risk, place=Place(name, priority, due_at))[0].id


def test_priority_comes_before_risk_on_every_page(store: Store) -> None:
    low, high, first = (routed(store, f"v{n}", priority=p, risk=r) for n, (p, r) in enumerate(((5, 0.9), (5, 0.95), (1, 0.5))))
    with store.session(read_only=True) as session:
        top = page(session, limit=1)
        rest = page(session, limit=1, after=top.next)
        last = page(session, limit=1, after=rest.next)
    assert [item.case.id for each in (top, rest, last) for item in each.items] == [first, high, low]
    taken = take_next(store)
    assert taken
    assert taken.case_id == first


def test_a_queue_has_its_own_cases_and_its_own_next(store: Store) -> None:
    main, estates = routed(store, "a", priority=1), routed(store, "b", priority=5, name="estates")
    with store.session(read_only=True) as session:
        assert [item.case.id for item in page(session, name="estates").items] == [estates]
        assert names(session) == ["estates", "main"]
    with store.session() as session:
        assert claim_next(session, reviewer="ada", lease_s=LEASE_S, now=NOW, name="estates").case_id == estates  # type: ignore[union-attr]
        assert claim_next(session, reviewer="bo", lease_s=LEASE_S, now=NOW, name="estates") is None
        assert claim_next(session, reviewer="bo", lease_s=LEASE_S, now=NOW).case_id == main  # type: ignore[union-attr]


def test_what_is_past_its_time_is_counted_until_it_is_decided(store: Store) -> None:
    late = routed(store, "a", priority=5, due_at=NOW - TICK)
    routed(store, "b", priority=5, due_at=NOW)
    routed(store, "c", priority=5)
    with store.session(read_only=True) as session:
        assert overdue(session, now=NOW) == 1
    lease = take(store, late)
    with store.session() as session:
        decide(session, late, reviewer="ada", token=lease.token, verdict=Verdict.PARODY, reason="r", now=NOW)
    with store.session(read_only=True) as session:
        assert overdue(session, now=NOW) == 0


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8])
def test_pages_add_up_to_the_whole_queue(store: Store, limit: int) -> None:
    several(store, 7)
    seen: list[str] = []
    sizes: list[int] = []
    after: str | None = None
    with store.session(read_only=True) as session:
        whole = [item.case.id for item in page(session).items]
        while True:
            part = page(session, after=after, limit=limit)
            seen += [item.case.id for item in part.items]
            sizes.append(len(part.items))
            if (after := part.next) is None:
                break
    assert seen == whole
    assert all(size == limit for size in sizes[:-1])
    assert sizes[-1] > 0


def test_a_new_case_does_not_shift_the_next_page(store: Store) -> None:
    several(store, 4)
    with store.session(read_only=True) as session:
        whole = [item.case.id for item in page(session).items]
        first = page(session, limit=2)
    scan(store, video="new", post="new", risk=1.0)
    with store.session(read_only=True) as session:
        second = page(session, after=first.next, limit=2)
    assert [item.case.id for item in first.items + second.items] == whole


def test_cases_opened_at_the_same_instant_with_the_same_risk_are_each_seen_once(store: Store) -> None:
    ids = {scan(store, video=f"v{n}", post=f"p{n}", risk=0.1 + 0.2)[0].id for n in range(5)}
    seen: list[str] = []
    after: str | None = None
    with store.session(read_only=True) as session:
        for _ in range(5):
            part = page(session, after=after, limit=1)
            seen += [item.case.id for item in part.items]
            after = part.next
    assert (set(seen), len(seen), after) == (ids, 5, None)


def test_filters_and_what_a_line_says(store: Store) -> None:
    case, _ = scan(store, views=40)
    scan(store, post="p2", views=2)
    scan(store, post="p3")
    scan(store, likeness="l2", video="v2", post="p4")
    decided, _ = scan(store, likeness="l3", video="v3", post="p5")
    lease = take(store, decided.id)
    with store.session() as session:
        decide(session, decided.id, reviewer="ada", token=lease.token, verdict=Verdict.NEWS, reason="a report", now=NOW)
    with store.session(read_only=True) as session:
        [item] = page(session, likeness_id="l1").items
        assert (item.case.id, item.posts, item.views) == (case.id, 3, 42)
        assert [item.case.id for item in page(session, state=CaseState.DECIDED).items] == [decided.id]
        assert len(page(session).items) == 2
        assert len(page(session, state=None).items) == 3


@pytest.mark.parametrize("after", ["", "x", "é", "W10=", "WzEsMl0=", "bnVsbA==", "WzEsICIyMDI2LTAxLTAxVDAwOjAwOjAwIiwgIngiXQ=="])
def test_a_cursor_nobody_gave_out_is_refused(store: Store, after: str) -> None:
    with store.session(read_only=True) as session, pytest.raises(RequestRefused, match="first page"):
        page(session, after=after)


@pytest.mark.parametrize(
    "inside",
    [
        f'[1, 1{"0" * 400}, "2026-01-01T00:00:00+00:00", "x"]',
        "[" * 5000,
        '[1, 1, "2026-01-01T00:00:00+00:00", "\\u0000"]',
        '[1, 1, "2026-01-01T00:00:00+00:00", "\\ud800"]',
        '[9223372036854775808, 1, "2026-01-01T00:00:00+00:00", "x"]',
    ],
    ids=["a number without end", "lists without end", "a NUL", "half a character", "a priority without end"],
)
def test_a_cursor_of_things_no_database_takes_is_refused(store: Store, inside: str) -> None:
    after = base64.urlsafe_b64encode(inside.encode()).decode()
    with store.session(read_only=True) as session, pytest.raises(RequestRefused, match="first page"):
        page(session, after=after)


@pytest.mark.parametrize("limit", [0, -1, 501])
def test_a_page_has_a_size(store: Store, limit: int) -> None:
    with store.session(read_only=True) as session, pytest.raises(RequestRefused):
        page(session, limit=limit)


def test_counts_and_the_oldest(store: Store) -> None:
    with store.session(read_only=True) as session:
        assert (counts(session, now=NOW), oldest_open(session)) == (Counts(0, 0, 0), None)
    ids = several(store, 3)
    take(store, ids[1])
    lease = take(store, ids[0])
    with store.session() as session:
        decide(session, ids[0], reviewer="ada", token=lease.token, verdict=Verdict.ARCHIVE, reason="1987", now=NOW)
    with store.session(read_only=True) as session:
        assert counts(session, now=NOW) == Counts(open=2, claimed=1, decided=1)
        assert counts(session, now=EXPIRY).claimed == 0
        assert oldest_open(session) == NOW - timedelta(hours=2)


# leases


def test_a_live_claim_keeps_others_away_and_says_whose_it_is(store: Store) -> None:
    case, _ = scan(store)
    take(store, case.id)
    with pytest.raises(LeaseHeld, match="ada has claimed it until 12:01:00 UTC"):
        take(store, case.id, "bob", EXPIRY - TICK)


def test_a_claim_is_over_at_its_expiry_for_others_and_for_its_owner(store: Store) -> None:
    case, _ = scan(store)
    first = take(store, case.id)
    with pytest.raises(LeaseLost, match="your claim ended at 12:01:00 UTC"), store.session() as session:
        renew(session, case.id, reviewer="ada", token=first.token, lease_s=LEASE_S, now=EXPIRY)
    second = take(store, case.id, "bob", EXPIRY)
    assert (second.owner, second.token > first.token, second.expires_at) == ("bob", True, EXPIRY + timedelta(seconds=LEASE_S))
    with pytest.raises(LeaseLost, match="bob has claimed it"), store.session() as session:
        renew(session, case.id, reviewer="ada", token=first.token, lease_s=LEASE_S, now=EXPIRY)


def test_claiming_ones_own_case_again_renews_it_under_the_same_token(store: Store) -> None:
    case, _ = scan(store)
    first = take(store, case.id)
    again = take(store, case.id, now=EXPIRY - TICK)
    assert again == Lease(case.id, "ada", first.token, EXPIRY - TICK + timedelta(seconds=LEASE_S))


def test_claiming_ones_own_case_after_its_expiry_gets_a_greater_token(store: Store) -> None:
    case, _ = scan(store)
    first = take(store, case.id)
    assert take(store, case.id, now=EXPIRY).token > first.token


def test_renewing_just_in_time_extends(store: Store) -> None:
    case, _ = scan(store)
    lease = take(store, case.id)
    with store.session() as session:
        renewed = renew(session, case.id, reviewer="ada", token=lease.token, lease_s=LEASE_S, now=EXPIRY - TICK)
    assert (renewed.token, renewed.expires_at) == (lease.token, EXPIRY - TICK + timedelta(seconds=LEASE_S))
    with pytest.raises(LeaseHeld):
        take(store, case.id, "bob", EXPIRY)


def test_a_released_case_is_free_and_the_old_token_is_worth_nothing(store: Store) -> None:
    case, _ = scan(store)
    first = take(store, case.id)
    with store.session() as session:
        release(session, case.id, reviewer="ada", token=first.token, now=NOW)
    with pytest.raises(LeaseLost, match="released or replaced"), store.session() as session:
        renew(session, case.id, reviewer="ada", token=first.token, lease_s=LEASE_S, now=NOW)
    second = take(store, case.id, "bob")
    with pytest.raises(LeaseLost), store.session() as session:
        release(session, case.id, reviewer="ada", token=first.token, now=NOW)
    with pytest.raises(LeaseLost), store.session() as session:  # the right token in the wrong hands
        release(session, case.id, reviewer="ada", token=second.token, now=NOW)
    assert second.token > first.token
    with store.session(read_only=True) as session:
        assert get_case(session, case.id).lease_owner == "bob"
        actions = [event.action for event in audit.events(session, subject_type="case", subject_id=case.id)]
    assert actions == ["case.opened", "case.claimed", "case.released", "case.claimed"]


def test_an_unknown_case_cannot_be_claimed(store: Store) -> None:
    with pytest.raises(NotFound):
        take(store, "unknown")


# next


def test_next_gives_cases_in_order_until_none_is_free(store: Store) -> None:
    several(store, 3)
    with store.session(read_only=True) as session:
        expected = [item.case.id for item in page(session).items]
    leases = [take_next(store) for _ in range(4)]
    assert [lease and lease.case_id for lease in leases] == [*expected, None]
    taken_over = take_next(store, "bob", EXPIRY)
    assert taken_over is not None
    assert (taken_over.case_id, taken_over.token) == (expected[0], 2)


def test_next_of_one_likeness(store: Store) -> None:
    scan(store, risk=0.9)
    wanted, _ = scan(store, likeness="l2", video="v2", post="p2", risk=0.1)
    lease = take_next(store, likeness_id="l2")
    assert lease is not None
    assert lease.case_id == wanted.id
    assert take_next(store, likeness_id="l2") is None


def test_reviewers_who_ask_at_once_get_different_cases(store: Store) -> None:
    ids = several(store, 8)
    leases = together([partial(take_next, store, f"reviewer {number}") for number in range(8)])
    assert sorted(lease.case_id for lease in leases if lease) == sorted(ids)


@pytest.mark.postgres
def test_next_on_postgresql_passes_over_a_case_being_claimed_without_waiting(postgres_url: str) -> None:
    store = Store(postgres_url, busy_timeout_s=0.05)
    store.migrate()
    several(store, 2)
    with store.session() as session:
        first = claim_next(session, reviewer="ada", lease_s=LEASE_S, now=NOW)
        second = take_next(store, "bob")
    assert first is not None
    assert second is not None
    assert first.case_id != second.case_id
    store.close()


def test_of_reviewers_who_claim_one_case_at_once_one_gets_it(store: Store) -> None:
    case, _ = scan(store)

    def attempt(reviewer: str) -> Lease | None:
        try:
            return take(store, case.id, reviewer)
        except LeaseHeld:
            return None

    leases = together([partial(attempt, f"reviewer {number}") for number in range(8)])
    assert len([lease for lease in leases if lease]) == 1


def test_the_token_grows_with_every_change_of_hands_under_eight_threads(store: Store) -> None:
    """Leases of no length: every claim takes the case over."""
    case, _ = scan(store)
    claims_each = 10

    def claim_often(reviewer: str) -> list[Lease]:
        taken = []
        for _ in range(claims_each):
            with store.session() as session:
                lease = claim(session, case.id, reviewer=reviewer, lease_s=0, now=NOW)
                assert get_case(session, case.id).lease_token == lease.token
            taken.append(lease)
        return taken

    by_thread = together([partial(claim_often, f"reviewer {number}") for number in range(8)])
    tokens = [lease.token for leases in by_thread for lease in leases]
    assert sorted(tokens) == list(range(1, 8 * claims_each + 1))
    for leases in by_thread:
        assert [lease.token for lease in leases] == sorted(lease.token for lease in leases)

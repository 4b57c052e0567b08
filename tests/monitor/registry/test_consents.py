"""Which consent covers which post, and that a withdrawal holds at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from monitor import audit
from monitor.errors import NotFound, RequestRefused
from monitor.registry.consents import Consent, covering, grant, list_consents, revoke
from monitor.registry.likenesses import add_likeness
from monitor.store import Store

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
END = START + timedelta(days=30)
TICK = timedelta(microseconds=1)


@pytest.fixture
def likeness_id(store: Store) -> str:
    with store.session() as session:
        return add_likeness(session, "Mira", actor="test", now=START)[0].id


def give(store: Store, likeness_id: str, account: str = "@studio", platform: str | None = None, until: datetime | None = END) -> Consent:
    with store.session() as session:
        return grant(session, likeness_id, account, platform=platform, valid_from=START, valid_until=until, actor="test", now=START)


def covers(store: Store, likeness_id: str, at: datetime, account: str | None = "@studio", platform: str | None = "clips") -> bool:
    with store.session(read_only=True) as session:
        return covering(session, likeness_id, account=account, platform=platform, at=at) is not None


def test_the_window_includes_its_start_and_not_its_end(store: Store, likeness_id: str) -> None:
    give(store, likeness_id)
    assert [covers(store, likeness_id, at) for at in (START - TICK, START, END - TICK, END)] == [False, True, True, False]


def test_a_window_without_end_stays_open(store: Store, likeness_id: str) -> None:
    give(store, likeness_id, until=None)
    assert covers(store, likeness_id, START + timedelta(days=40_000))


@pytest.mark.parametrize(
    ("granted_for", "posted_on", "covered"),
    [(None, "clips", True), (None, None, True), ("clips", "clips", True), ("clips", "reels", False), ("clips", None, False)],
)
def test_platforms(store: Store, likeness_id: str, granted_for: str | None, posted_on: str | None, covered: bool) -> None:
    give(store, likeness_id, platform=granted_for)
    assert covers(store, likeness_id, START, platform=posted_on) is covered


@pytest.mark.parametrize("account", ["@studio2", "@Studio", "studio", "", None])
def test_another_account_is_not_covered(store: Store, likeness_id: str, account: str | None) -> None:
    give(store, likeness_id)
    assert not covers(store, likeness_id, START, account=account)


def test_another_likeness_is_not_covered(store: Store, likeness_id: str) -> None:
    give(store, likeness_id)
    with store.session() as session:
        other = add_likeness(session, "Jonas", actor="test", now=START)[0].id
    assert not covers(store, other, START)


def test_a_revoked_consent_covers_nothing_not_even_the_past(store: Store, likeness_id: str) -> None:
    consent = give(store, likeness_id)
    for at in (START + timedelta(days=1), START + timedelta(days=2)):
        with store.session() as session:
            revoke(session, consent.id, actor="holder", now=at)
    assert not covers(store, likeness_id, START)
    with store.session(read_only=True) as session:
        [listed] = list_consents(session, likeness_id=likeness_id)
        actions = [event.action for event in audit.events(session, subject_type="likeness", subject_id=likeness_id)]
    assert listed.revoked_at == START + timedelta(days=1)
    assert actions == ["likeness.added", "consent.granted", "consent.revoked"]


def test_one_revoked_consent_leaves_the_other(store: Store, likeness_id: str) -> None:
    first = give(store, likeness_id)
    give(store, likeness_id)
    with store.session() as session:
        revoke(session, first.id, actor="holder", now=START)
    assert covers(store, likeness_id, START)


@pytest.mark.parametrize("until", [START, START - TICK])
def test_a_window_that_ends_before_it_starts_is_refused(store: Store, likeness_id: str, until: datetime) -> None:
    with pytest.raises(RequestRefused, match="before it starts"):
        give(store, likeness_id, until=until)


def test_an_empty_account_is_refused(store: Store, likeness_id: str) -> None:
    with pytest.raises(RequestRefused, match="names no account"):
        give(store, likeness_id, account="  ")


def test_revoking_what_does_not_exist_is_not_found(store: Store) -> None:
    with pytest.raises(NotFound), store.session() as session:
        revoke(session, "unknown", actor="holder", now=START)

"""Which consent covers which post, and that a withdrawal holds at once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from monitor.base import audit
from monitor.base.database import Store
from monitor.base.errors import NotFound, RequestRefused
from monitor.registry.consents import Consent, covering, grant, list_consents, revoke
from monitor.registry.likenesses import add_likeness
from monitor.registry.scope import Coverage, Use

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
END = START + timedelta(days=30)
TICK = timedelta(microseconds=1)
CERTIFICATE = "ab" * 32


@pytest.fixture
def likeness_id(store: Store) -> str:
    with store.session() as session:
        return add_likeness(session, "Mira", actor="test", now=START)[0].id


def give(
    store: Store,
    likeness_id: str,
    account: str | None = "@studio",
    platforms: Sequence[str] = (),
    until: datetime | None = END,
    **terms: Any,
) -> Consent:
    with store.session() as session:
        return grant(
            session,
            likeness_id,
            account=account,
            platforms=platforms,
            valid_from=START,
            valid_until=until,
            actor="test",
            now=START,
            **terms,
        )


def covers(
    store: Store,
    likeness_id: str,
    at: datetime,
    account: str | None = "@studio",
    platform: str | None = "clips",
    certificate: str | None = None,
) -> bool:
    with store.session(read_only=True) as session:
        found = covering(session, likeness_id, Use(at, platform), account=account, certificate=certificate)
        return found.consent is not None


def test_the_window_includes_its_start_and_not_its_end(store: Store, likeness_id: str) -> None:
    give(store, likeness_id)
    assert [covers(store, likeness_id, at) for at in (START - TICK, START, END - TICK, END)] == [False, True, True, False]


def test_a_window_without_end_stays_open(store: Store, likeness_id: str) -> None:
    give(store, likeness_id, until=None)
    assert covers(store, likeness_id, START + timedelta(days=40_000))


@pytest.mark.parametrize(
    ("granted_for", "posted_on", "covered"),
    [((), "clips", True), ((), None, True), (["a", "clips"], "clips", True), (["clips"], "reels", False), (["clips"], None, False)],
)
def test_platforms(store: Store, likeness_id: str, granted_for: Sequence[str], posted_on: str | None, covered: bool) -> None:
    give(store, likeness_id, platforms=granted_for)
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


@pytest.mark.parametrize("account", ["  ", None])
def test_a_consent_for_nobody_is_refused(store: Store, likeness_id: str, account: str | None) -> None:
    with pytest.raises(RequestRefused, match="names no licensee"):
        give(store, likeness_id, account=account)


@pytest.mark.parametrize(
    ("terms", "reason"),
    [
        ({"certificate": "ab" * 31}, "no SHA-256"),
        ({"certificate": "me.pem"}, "no SHA-256"),
        ({"territories": ["Germany"]}, "'Germany', which is no code Sosie knows"),
        ({"territories": ["DE", "XX"]}, "'XX', which is no code Sosie knows"),
        ({"territories": ["US-XX"]}, "'US-XX', which is no code Sosie knows"),
    ],
)
def test_terms_that_nothing_could_meet_are_refused(store: Store, likeness_id: str, terms: dict[str, Any], reason: str) -> None:
    with pytest.raises(RequestRefused, match=reason):
        give(store, likeness_id, **terms)


@pytest.mark.parametrize(
    ("granted_for", "kept", "shown_in", "covered"),
    [
        (["001"], ["001"], "DE", True),
        (["001"], ["001"], None, True),
        (["001"], ["001"], "ZZ", True),
        (["eu"], ["EU"], "DE", True),
        (["EU"], ["EU"], "US", False),
        (["us", "USA", "840"], ["US"], "US-CA", True),
        (["US"], ["US"], "DE", False),
        (["US"], ["US"], None, False),
        (["UK"], ["GB"], "GB", True),
    ],
)
def test_a_territory_covers_what_lies_inside_it(
    store: Store, likeness_id: str, granted_for: list[str], kept: list[str], shown_in: str | None, covered: bool
) -> None:
    assert give(store, likeness_id, territories=granted_for).territories == kept
    with store.session(read_only=True) as session:
        found = covering(session, likeness_id, Use(START, territory=shown_in), account="@studio", certificate=None)
    assert (found.consent is not None) is covered
    assert (found.breach is None) is covered


def test_a_consent_of_before_codes_were_checked_is_read_and_its_unknown_codes_are_marked(store: Store, likeness_id: str) -> None:
    consent = give(store, likeness_id, territories=["FR"])
    with store.session() as session:
        session.get_one(Consent, consent.id).territories = ["XX", "FR"]
    with store.session(read_only=True) as session:
        told = {
            place: covering(session, likeness_id, Use(START, territory=place), account="@studio", certificate=None).breach
            for place in ("FR-75C", "XX", "DE", "ZZ")
        }
    assert told == {
        "FR-75C": None,
        "XX": None,
        "DE": "it is limited to the territories XX (unknown), FR, and this is DE",
        "ZZ": "it is limited to the territories XX (unknown), FR, and this is ZZ (unknown)",
    }


def test_a_licensee_may_be_an_account_a_certificate_or_either(store: Store, likeness_id: str) -> None:
    give(store, likeness_id, account=None, certificate="AB:" * 31 + "AB")
    assert covers(store, likeness_id, START, account=None, certificate=CERTIFICATE)
    assert covers(store, likeness_id, START, account="@anybody", certificate=CERTIFICATE)
    assert not covers(store, likeness_id, START, account="@anybody", certificate="cd" * 32)
    assert not covers(store, likeness_id, START, account=None)
    give(store, likeness_id, account="@studio", certificate="cd" * 32)
    assert covers(store, likeness_id, START, account="@studio")
    assert covers(store, likeness_id, START, account="@anybody", certificate="cd" * 32)


def test_the_reason_is_told_where_a_licensee_goes_beyond_the_terms_and_none_where_nobody_holds_a_consent(
    store: Store, likeness_id: str
) -> None:
    give(store, likeness_id, platforms=["clips"], uses=["tribute"], territories=["de"])
    with store.session(read_only=True) as session:
        inside = covering(session, likeness_id, Use(START, "clips", "tribute", "DE"), account="@studio", certificate=None)
        beyond = covering(session, likeness_id, Use(START, "clips", "advertising", "DE"), account="@studio", certificate=None)
        other = covering(session, likeness_id, Use(START, "clips", "advertising", "DE"), account="@other", certificate=None)
    assert inside.consent is not None
    assert beyond == Coverage(breach="it is limited to the uses tribute, and this is advertising")
    assert other == Coverage()


def test_revoking_what_does_not_exist_is_not_found(store: Store) -> None:
    with pytest.raises(NotFound), store.session() as session:
        revoke(session, "unknown", actor="holder", now=START)

"""Who may read metrics."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry
from starlette.datastructures import Headers

from monitor.base.exposition import Exposition
from monitor.base.settings import load

TOKEN = "a token of sixteen or more"


@pytest.fixture
def exposition() -> Exposition:
    return Exposition.of(CollectorRegistry(), load({"SOSIE_METRICS_CLIENTS": "10.2.0.0/16,2001:db8::5", "SOSIE_METRICS_TOKEN": TOKEN}))


@pytest.mark.parametrize(
    ("peer", "admitted"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("10.2.3.4", True),
        ("2001:db8::5", True),
        ("10.3.0.1", False),
        ("testclient", False),
        (None, False),
    ],
)
def test_by_address(exposition: Exposition, peer: str | None, admitted: bool) -> None:
    assert exposition.admits(peer, Headers()) is admitted
    for forwarded in ("Forwarded", "X-Forwarded-For", "X-Real-IP"):
        assert not exposition.admits(peer, Headers({forwarded: "203.0.113.9"})), "who asked is not the peer"


@pytest.mark.parametrize(
    ("sent", "admitted"),
    [
        (f"Bearer {TOKEN}", True),
        (f"bearer {TOKEN}", True),
        (f"Bearer {TOKEN}x", False),
        (f"Bearer {TOKEN[:-1]}", False),
        ("Bearer é", False),
        ("Bearer ", False),
        (f"Basic {TOKEN}", False),
        (TOKEN, False),
    ],
)
def test_by_token(exposition: Exposition, sent: str, admitted: bool) -> None:
    for headers in ({"Authorization": sent}, {"Authorization": sent, "X-Forwarded-For": "203.0.113.9"}):
        assert exposition.admits("203.0.113.9", Headers(headers)) is admitted


def test_no_token_is_none_that_could_be_sent() -> None:
    plain = Exposition(CollectorRegistry())
    for sent in ("Bearer ", "Bearer None", "Bearer"):
        assert not plain.admits("203.0.113.9", Headers({"Authorization": sent}))
    assert plain.admits("127.0.0.1", Headers())

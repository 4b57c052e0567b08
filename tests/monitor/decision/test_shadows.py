from __future__ import annotations

from monitor.base.database import Store
from monitor.decision import shadows
from monitor.decision.policy import Assessment
from tests.monitor.review.helpers import NOW, scan


def said(risk: float, policy: str) -> Assessment:
    return Assessment(risk, risk >= 0.5, (), policy)


def record(store: Store, post: str, *, shadow: float, live: float, likeness: str = "l1") -> None:
    with store.session() as session:
        shadows.record(session, post_id=post, likeness_id=likeness, shadow=said(shadow, "2"), live=said(live, "1"), now=NOW)


def test_what_a_shadow_would_have_changed_is_counted_once_per_post_and_likeness(store: Store) -> None:
    for post in ("p1", "p2", "p3"):
        scan(store, post=post)
    record(store, "p1", shadow=0.9, live=0.1)
    record(store, "p1", shadow=0.9, live=0.1)
    record(store, "p2", shadow=0.2, live=0.8)
    record(store, "p3", shadow=0.9, live=0.8)
    record(store, "p3", shadow=0.1, live=0.1, likeness="l2")
    with store.session(read_only=True) as session:
        assert shadows.comparisons(session) == {"2": shadows.Comparison(4, 2, 2, 1, 1)}


def test_the_last_word_stands(store: Store) -> None:
    scan(store)
    record(store, "p1", shadow=0.9, live=0.1)
    record(store, "p1", shadow=0.1, live=0.1)
    with store.session(read_only=True) as session:
        assert shadows.comparisons(session)["2"] == shadows.Comparison(1, 0, 0, 0, 0)

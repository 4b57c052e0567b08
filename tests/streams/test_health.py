"""Alive is progress; ready is having what the work needs."""

from __future__ import annotations

from streams.health import Idleness, Parts, Progress, live, ready


def test_an_idle_worker_is_alive_for_ever() -> None:
    assert live(Progress(idle_s=1e6, waiting=0), 60).ok


def test_a_worker_that_moves_is_alive_and_one_that_does_not_is_not() -> None:
    assert live(Progress(idle_s=59, waiting=3), 60).ok
    hung = live(Progress(idle_s=61, waiting=3), 60)
    assert not hung.ok
    assert hung.reason == "nothing was acknowledged for 61 s although 3 events are in flight (limit 60 s)"


def test_a_quiet_night_is_no_hang() -> None:
    idleness = Idleness(quiet_at=0)
    idleness.seen(now=10_000, moved_at=100, waiting=0)
    assert idleness.seen(now=10_001, moved_at=100, waiting=1) == Progress(1, 1)
    assert idleness.seen(now=10_050, moved_at=100, waiting=1) == Progress(50, 1)
    assert idleness.seen(now=10_060, moved_at=10_055, waiting=3) == Progress(5, 3)


def test_ready_names_everything_that_is_missing() -> None:
    assert ready(Parts()).reason == "the index is not loaded yet; the broker has not been reached yet"
    assert not ready(Parts(index=None)).ok
    assert ready(Parts(index=None, broker=None)).ok
    paused = ready(Parts(index=None, broker=None, work="videos[0]: is paused. Read `sosie dead-letters list`."))
    assert (paused.ok, paused.reason) == (False, "videos[0]: is paused. Read `sosie dead-letters list`.")
    assert ready(Parts(index=None, broker=None, stopping=True)).reason == "the worker is stopping"

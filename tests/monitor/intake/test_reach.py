"""Whose fault a connection that fails is: a host's, or that of Sosie's own network."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from monitor.base.errors import FetchFailed, NetworkAway, SosieFault, SourceFault
from monitor.intake.fetch import FetchLimits, fetch
from monitor.intake.reach import KEPT_HOSTS, Reach
from streams.retry import RetryRule, Verdict
from tests.monitor.intake.servers import CLIP, FileServer, file_server

LIMITS = FetchLimits(max_bytes=1_000_000, timeout_s=30, min_bytes_per_s=0, max_redirects=3, allow_private=True)


@pytest.fixture(scope="module")
def server() -> Iterator[FileServer]:
    with file_server() as running:
        yield running


class World:
    """Names that lead to the server on loopback, until they are switched off: `dark` ones are not resolved, `closed` ones refuse."""

    def __init__(self, server: FileServer, scratch: Path) -> None:
        self.dark: set[str] = set()
        self.closed: set[str] = set()
        self._server = server
        self._scratch = scratch
        self._reach = Reach()

    def _resolve(self, host: str, port: int) -> Sequence[str]:
        if host in self.dark or "every" in self.dark:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return ["127.0.0.2" if host in self.closed else "127.0.0.1"]

    def fetch(self, host: str) -> bytes:
        url = f"http://{host}:{self._server.port}/clip"
        with fetch(url, scratch=self._scratch, limits=LIMITS, resolver=self._resolve, reach=self._reach) as fetched:
            return fetched.path.read_bytes()

    def fault(self, host: str) -> type:
        with pytest.raises((SourceFault, SosieFault)) as caught:
            self.fetch(host)
        return caught.type


@pytest.fixture
def world(server: FileServer, tmp_path: Path) -> World:
    return World(server, tmp_path / "scratch")


def test_while_the_network_is_away_nothing_is_held_against_a_post_and_afterwards_all_goes_on(world: World) -> None:
    assert world.fetch("one.example") == world.fetch("two.example") == CLIP
    world.dark.add("every")
    assert world.fault("one.example") is FetchFailed, "one host alone says nothing"
    for host in ("two.example", "one.example", "never-met.example"):
        assert world.fault(host) is NetworkAway
    world.dark.clear()
    assert world.fetch("one.example") == CLIP
    world.dark.add("two.example")
    assert world.fault("two.example") is FetchFailed


def test_connections_that_are_refused_count_like_names_that_are_not_resolved(world: World) -> None:
    world.fetch("one.example")
    world.closed |= {"one.example", "two.example"}
    assert world.fault("two.example") is FetchFailed
    with pytest.raises(NetworkAway) as caught:
        world.fetch("one.example")
    assert str(caught.value) == (
        "This machine's network: no connection out of it can be made any more, not to one.example either, which answered before. "
        "Check the network, its firewall and the name server."
    )
    assert RetryRule().judge(caught.value, 99) is Verdict.WAIT_OUT


def test_dead_addresses_alone_are_their_posters_affair(world: World) -> None:
    world.dark |= {f"made-up-{number}.example" for number in range(50)}
    world.fetch("one.example")
    assert {world.fault(host) for host in sorted(world.dark)} == {FetchFailed}, "none of them ever answered"


def test_one_that_is_reached_in_between_ends_the_suspicion(world: World) -> None:
    world.fetch("one.example")
    world.fetch("two.example")
    world.dark |= {"one.example", "two.example"}
    for host in ("one.example", "two.example", "one.example"):
        world.fetch("three.example")
        assert world.fault(host) is FetchFailed


def test_what_answers_badly_was_reached(server: FileServer, tmp_path: Path) -> None:
    reach = Reach()
    reach.reached("one.example")
    reach.failed("one.example")
    with pytest.raises(FetchFailed), fetch(server.url("/status/503"), scratch=tmp_path, limits=LIMITS, reach=reach):
        pass
    assert reach.failed("two.example") is None


def test_what_is_remembered_is_bounded_and_keeps_the_host_that_answered() -> None:
    reach = Reach()
    for number in range(3 * KEPT_HOSTS):
        reach.reached(f"{number}.example")
    last = f"{3 * KEPT_HOSTS - 1}.example"
    for number in range(3 * KEPT_HOSTS):
        assert reach.failed(f"dead-{number}.example") is None
    assert reach.failed(last) == last
    assert reach.failed("another.example") == last
    assert max(len(reach._reached), len(reach._failing)) <= KEPT_HOSTS + 1
    assert reach.failed("0.example") == last, "an early one was forgotten"

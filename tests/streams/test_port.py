"""The worker's port, asked by a real client."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx
import pytest
from prometheus_client import CollectorRegistry, Gauge

from monitor.base.errors import ConfigError
from monitor.base.exposition import Exposition
from streams.health import Answer
from streams.port import open_port

HOST = "127.0.0.1"


class Told:
    """What the probes say; a test changes it while the port is open."""

    def __init__(self) -> None:
        self.live = Answer(True, "nothing waits")
        self.ready = Answer(False, "the index is not loaded yet")
        self.registry = CollectorRegistry()
        self.exposition = Exposition(self.registry)


@asynccontextmanager
async def asked(told: Told, port: int = 0, refresh: Callable[[], None] = lambda: None) -> AsyncIterator[httpx.AsyncClient]:
    opened = open_port(HOST, port, live=lambda: told.live, ready=lambda: told.ready, refresh=refresh, exposition=told.exposition)
    async with opened as number, httpx.AsyncClient(base_url=f"http://{HOST}:{number}", trust_env=False) as client:
        yield client


async def get(told: Told, *paths: str) -> list[httpx.Response]:
    async with asked(told) as client:
        return [await client.get(path) for path in paths]


def test_a_probe_is_answered_with_a_status_and_a_reason() -> None:
    live, ready = asyncio.run(get(Told(), "/health/live", "/health/ready"))
    assert (live.status_code, live.json()) == (200, {"status": "ok", "reason": "nothing waits"})
    assert (ready.status_code, ready.json()) == (503, {"status": "unavailable", "reason": "the index is not loaded yet"})
    assert live.headers["Content-Type"].startswith("application/json")


def test_each_probe_is_asked_anew() -> None:
    async def over_time() -> list[int]:
        told = Told()
        async with asked(told) as client:
            before = await client.get("/health/ready")
            told.ready = Answer(True, "all there")
            after = await client.get("/health/ready")
            told.live = Answer(False, "nothing moved")
            hung = await client.get("/health/live")
        return [each.status_code for each in (before, after, hung)]

    assert asyncio.run(over_time()) == [503, 200, 503]


def test_metrics_are_those_of_the_registry_refreshed_before_each_scrape() -> None:
    async def scraped() -> list[httpx.Response]:
        told = Told()
        gauge = Gauge("sosie_test_waiting", "Of this test.", registry=told.registry)
        async with asked(told, refresh=gauge.inc) as client:
            return [await client.get("/metrics") for _ in range(2)]

    first, second = asyncio.run(scraped())
    assert (first.status_code, second.status_code) == (200, 200)
    assert first.headers["Content-Type"].startswith("text/plain; version=")
    assert "# HELP sosie_test_waiting Of this test." in first.text
    assert "sosie_test_waiting 1.0" in first.text
    assert "sosie_test_waiting 2.0" in second.text


def test_metrics_are_for_scrapers_that_may_read_them_and_health_is_for_all() -> None:
    async def scraped() -> list[int]:
        told = Told()
        told.ready = Answer(True, "all there")
        told.exposition = Exposition(told.registry, token=b"a token of sixteen or more")
        forwarded = {"X-Forwarded-For": "203.0.113.9"}
        async with asked(told) as client:
            answers = [
                await client.get("/metrics"),
                await client.get("/metrics", headers=forwarded),
                await client.get("/metrics", headers={"Authorization": "Bearer another"}),
                await client.get("/metrics", headers=forwarded | {"Authorization": "Bearer a token of sixteen or more"}),
                await client.get("/health/ready", headers=forwarded),
            ]
        return [each.status_code for each in answers]

    assert asyncio.run(scraped()) == [200, 403, 403, 200, 200]


def test_nothing_else_is_served() -> None:
    paths = ("/", "/health", "/health/", "/health/live/x", "/metrics/..%2f", "/favicon.ico")
    assert [answer.status_code for answer in asyncio.run(get(Told(), *paths))] == [404] * len(paths)


def test_nothing_can_be_changed_through_it() -> None:
    async def tried() -> set[int]:
        async with asked(Told()) as client:
            return {
                (await client.request(method, path)).status_code
                for method in ("POST", "PUT", "DELETE", "PATCH")
                for path in ("/health/live", "/health/ready", "/metrics")
            }

    assert asyncio.run(tried()) == {405}


def test_a_port_in_use_is_told_with_what_to_do() -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]

        async def opening() -> None:
            async with asked(Told(), port):
                pass

        with pytest.raises(ConfigError, match=rf"{HOST}:{port}: cannot listen there: {os.strerror(errno.EADDRINUSE)}.*SOSIE_WORKER_PORT"):
            asyncio.run(opening())


def test_a_host_that_is_not_ours_is_told() -> None:
    async def opening(host: str) -> None:
        told = Told()
        async with open_port(host, 0, live=lambda: told.live, ready=lambda: told.ready, refresh=lambda: None, exposition=told.exposition):
            pass

    with pytest.raises(ConfigError, match=os.strerror(errno.EADDRNOTAVAIL)):
        asyncio.run(opening("192.0.2.1"))
    with pytest.raises(ConfigError, match=r"cannot listen there: (?!Unknown error)"):
        asyncio.run(opening("nobody.invalid"))


def test_port_zero_is_a_free_one_and_two_may_be_open() -> None:
    async def both() -> set[int | None]:
        async with asked(Told()) as one, asked(Told()) as other:
            assert (await one.get("/health/live")).status_code == (await other.get("/health/live")).status_code == 200
            return {one.base_url.port, other.base_url.port}

    ports = asyncio.run(both())
    assert len(ports) == 2
    assert 0 not in ports


def test_after_the_block_the_port_is_free_again() -> None:
    async def twice() -> None:
        async with asked(Told()) as client:
            port = client.base_url.port
            await client.get("/health/live")
        async with asked(Told(), port or 0) as client:
            assert (await client.get("/health/live")).status_code == 200

    asyncio.run(twice())

"""An event that ends its worker is found and put aside; its neighbours, and whoever was at work when a plug was pulled, are not.

A worker is a delivery over a log in memory. It dies by its tasks being cancelled, and nothing of that is recorded: as after a kill -9.
"""

from __future__ import annotations

import asyncio
import random
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from contextlib import AsyncExitStack, closing
from pathlib import Path

from monitor.base.errors import NotAVideo
from streams.attempts import Left
from streams.delivery import Delivery
from streams.event import Event, Place
from streams.gate import DEATHS, Gate
from tests.streams.memory import QUICK, MemoryAttempts, MemoryBroker, delivering, filled, place, run, settled, take_all


class Dead(MemoryAttempts):
    """The record of a process that is gone: its rows stay as they are."""

    gone = False

    def end(self, place: Place, offset: int) -> None:
        if not self.gone:
            super().end(place, offset)

    def hand_back(self, place: Place, offset: int) -> None:
        if not self.gone:
            super().hand_back(place, offset)


class Life:
    """Workers one after the other, on one log and one record. `killers` end their worker while they are at work."""

    def __init__(self, broker: MemoryBroker, killers: Iterable[bytes] = (), *, plugs: float = 0.0) -> None:
        self.broker = broker
        self.killers = set(killers)
        self.plugs = plugs
        self.rows: dict[tuple[Place, int], tuple[str, Left]] = {}
        self.runs = 0
        self.done: Counter[bytes] = Counter()
        self.at_work: list[bytes] = []
        self.alone: list[bytes] = []  # what was tried with nothing beside it
        self.rng = random.Random(7)

    async def run(self, *, limit: int) -> None:
        """Until everything is committed, at most so many workers."""
        while self.runs < limit and self.broker.from_committed(0):
            self.runs += 1
            await self._one(Dead(self.rows, f"worker {self.runs}"))

    async def _one(self, attempts: Dead) -> None:
        died = asyncio.Event()

        async def handler(event: Event) -> bool:
            assert event.value is not None
            if self.done[event.value]:
                return False  # its result is on record
            self.at_work.append(event.value)
            try:
                await asyncio.sleep(0.001)
                if event.value in self.killers or self.rng.random() < self.plugs:
                    attempts.gone = True
                    died.set()
                    await asyncio.sleep(60)
                if self.at_work == [event.value]:
                    self.alone.append(event.value)
                self.done[event.value] += 1
                return True
            finally:
                self.at_work.remove(event.value)

        async with AsyncExitStack() as stack:
            delivery: Delivery = await stack.enter_async_context(delivering(self.broker, handler, attempts=attempts))

            async def work() -> None:
                await take_all(delivery, self.broker)
                await settled(delivery)

            over = [asyncio.create_task(work()), asyncio.create_task(died.wait())]
            await asyncio.wait(over, return_when=asyncio.FIRST_COMPLETED)
            for each in over:
                each.cancel()
            if not died.is_set() or self.rng.random() < 0.5:
                await delivery.commit()


def test_the_killer_among_good_ones_is_quarantined_after_so_many_deaths_and_the_others_are_done() -> None:
    async def scenario() -> None:
        broker = filled(*(f"{n}" for n in range(10)), "killer", *(f"{n}" for n in range(10, 30)))
        life = Life(broker, [b"killer"])
        await life.run(limit=50)
        assert [(failure.code, failure.event.value) for failure in broker.dead] == [("quarantined", b"killer")]
        assert f"its worker died {DEATHS} times while this event alone was at work" in broker.dead[0].text
        assert broker.offsets == {place(): 31}
        assert set(life.done) == {f"{n}".encode() for n in range(30)}
        assert life.rows == {}
        assert DEATHS < life.runs <= DEATHS + 4

    run(scenario())


def test_two_killers_at_once_are_told_apart_from_their_neighbours() -> None:
    async def scenario() -> None:
        broker = filled("killer 1", "a", "killer 2", *"bcdefgh")
        life = Life(broker, [b"killer 1", b"killer 2"])
        await life.run(limit=100)
        put_aside = {failure.event.value for failure in broker.dead}  # again after each restart, under one identity
        assert put_aside == {b"killer 1", b"killer 2"}
        assert broker.offsets == {place(): 10}
        assert set(life.done) == {each.encode() for each in "abcdefgh"}
        assert life.rows == {}

    run(scenario())


def test_plugs_pulled_at_random_quarantine_nobody() -> None:
    async def scenario() -> None:
        broker = filled(*(f"{n}" for n in range(150)))
        life = Life(broker, plugs=0.1)
        await life.run(limit=1000)
        assert life.runs > 10, "the plug was to be pulled often"
        assert broker.dead == []
        assert len(life.done) == 150
        assert broker.offsets == {place(): 150}

    run(scenario())


def test_while_every_event_ends_its_worker_nobody_is_put_aside() -> None:
    async def scenario() -> None:
        broker = filled(*(f"{n}" for n in range(8)))
        life = Life(broker, plugs=1.0)
        await life.run(limit=40)
        assert broker.dead == []
        assert broker.offsets == {}
        life.plugs = 0.0
        await life.run(limit=1000)
        assert broker.dead == []
        assert broker.offsets == {place(): 8}
        assert life.rows == {}

    run(scenario())


def test_what_was_at_work_when_a_worker_died_is_tried_alone_after_others_got_through() -> None:
    async def scenario() -> None:
        broker, seen = filled("suspect", *"abcdef"), list[str]()
        attempts = MemoryAttempts({(place(), 0): ("somebody else", Left(1, 0))}, "me")
        running = 0

        async def handler(event: Event) -> None:
            nonlocal running
            running += 1
            await asyncio.sleep(0.002)
            seen.append(f"{event.value!r} beside {running - 1}")
            running -= 1

        async with delivering(broker, handler, attempts=attempts) as delivery:
            await take_all(delivery, broker)
            await settled(delivery)
        assert "b'suspect' beside 0" in seen
        assert seen.index("b'suspect' beside 0") > 0
        assert attempts.rows == {}

    run(scenario())


def test_a_suspect_that_ends_badly_by_itself_is_no_suspect_any_more() -> None:
    async def scenario() -> None:
        broker = filled("bad", "good")
        attempts = MemoryAttempts({(place(), 0): ("somebody else", Left(9, DEATHS - 1))}, "me")

        async def handler(event: Event) -> None:
            if event.value == b"bad":
                raise NotAVideo("it", "is text", "Send a video")

        async with delivering(broker, handler, attempts=attempts) as delivery:
            await take_all(delivery, broker)
            await settled(delivery)
        assert [failure.code for failure in broker.dead] == ["not_a_video"]
        assert attempts.rows == {}

    run(scenario())


def test_a_suspect_whose_successor_has_the_same_key_does_not_wait_for_it() -> None:
    async def scenario() -> None:
        broker, done = MemoryBroker(), list[bytes | None]()
        broker.add(b"suspect", key=b"k")
        broker.add(b"behind it", key=b"k")

        async def handler(event: Event) -> None:
            done.append(event.value)

        async with delivering(broker, handler, attempts=MemoryAttempts({(place(), 0): ("other", Left(3, 0))}, "me")) as delivery:
            await take_all(delivery, broker)
            await settled(delivery)
        assert done == [b"suspect", b"behind it"]

    run(scenario())


def test_a_rebalance_makes_no_suspects() -> None:
    async def scenario() -> None:
        broker, rows = filled("slow"), dict[tuple[Place, int], tuple[str, Left]]()
        gate = asyncio.Event()

        async def handler(event: Event) -> None:
            await gate.wait()

        async with delivering(broker, handler, attempts=MemoryAttempts(rows, "me")) as delivery:
            await take_all(delivery, broker)
            while not delivery.at_work:
                await asyncio.sleep(0)
            assert rows
            delivery.revoked([place()])
            await delivery.remember()
            assert rows == {}
            gate.set()

    run(scenario())


def test_a_record_that_cannot_be_kept_is_waited_for_and_nothing_begins_without_it() -> None:
    async def scenario() -> None:
        broker, attempts = filled("a", "b"), MemoryAttempts({}, "me", down=True)
        tried = Counter[bytes | None]()

        async def handler(event: Event) -> None:
            tried[event.value] += 1

        async with delivering(broker, handler, attempts=attempts) as delivery:
            await take_all(delivery, broker)
            while delivery.trouble is None:
                await asyncio.sleep(0.001)
            await asyncio.sleep(0.02)
            assert tried == {}
            assert broker.dead == []
            attempts.down = False
            await settled(delivery)
        assert tried == {b"a": 1, b"b": 1}

    run(scenario())


def test_processes_that_really_die_of_it_find_it_by_what_the_database_remembers(sqlite_url: str) -> None:
    folder = Path(sqlite_url.removeprefix("sqlite:///")).parent
    (folder / "log").write_text("a killer b c d e f g h i")
    command = [sys.executable, "-m", "tests.streams.mortal", str(folder)]
    statuses = []
    while not statuses or (statuses[-1] == -signal.SIGKILL and len(statuses) < 30):
        statuses.append(subprocess.run(command, check=False, cwd=Path(__file__).parents[2]).returncode)
    assert statuses[-1] == 0
    assert DEATHS < len(statuses) <= DEATHS + 4
    assert (folder / "dead").read_text() == f"1 quarantined {len(statuses) - 1}\n"
    assert sorted((folder / "done").read_text().split()) == list("abcdefghi")
    assert (folder / "offset").read_text() == "10"
    with closing(sqlite3.connect(folder / "sosie.sqlite3")) as database:
        assert database.execute("SELECT count(*) FROM attempts").fetchone() == (0,)


def test_a_try_that_is_broken_off_from_outside_takes_no_suspicion_away() -> None:
    async def scenario() -> None:
        event, deaths = Event(place(0), 3, None, b"", 0.0), ("a worker that died", Left(4, 4))
        attempts = MemoryAttempts({(place(0), 3): deaths}, "ours")
        gate = Gate(2, QUICK, random.Random(7), attempts)
        gate.assigned([place(0)])
        begun = asyncio.Event()

        async def tried() -> None:
            async with gate.passage(event):
                begun.set()
                await asyncio.sleep(60)

        trying = asyncio.create_task(tried())
        await begun.wait()
        assert attempts.rows == {(place(0), 3): ("ours", Left(5, 5))}
        trying.cancel()
        await asyncio.gather(trying, return_exceptions=True)
        assert attempts.rows == {(place(0), 3): deaths}, "the worker was told to stop"

        async with gate.passage(event):
            gate.revoked([event])
            assert attempts.rows == {(place(0), 3): deaths}, "its partition goes to somebody else"

    run(scenario())

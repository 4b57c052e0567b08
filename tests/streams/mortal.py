"""A worker without Kafka and without videos, that really dies: `python -m tests.streams.mortal FOLDER`.

FOLDER holds a log of events (`log`, one a line), the committed offset, what is done and what was put aside, each a file, and the
record of attempts in SQLite. An event named `killer…` ends the process with SIGKILL in the midst of work. Exits with 0 when the
whole log is committed.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from monitor.base.database import Store
from streams.attempts import DatabaseAttempts
from streams.event import Event, Place
from streams.failures import Failure
from tests.streams.memory import MemoryBroker, delivering, place, settled, take_all


class FileBroker(MemoryBroker):
    """Offsets and dead letters outlive the process."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        for line in (folder / "log").read_text().split():
            self.add(line.encode())
        if (folder / "offset").exists():
            self.offsets[place()] = int((folder / "offset").read_text())

    async def commit(self, offsets: Mapping[Place, int]) -> bool:
        (self._folder / "offset").write_text(str(offsets[place()]))
        return await super().commit(offsets)

    async def put_aside(self, failure: Failure) -> None:
        with (self._folder / "dead").open("a") as file:
            file.write(f"{failure.event.offset} {failure.code} {failure.attempts}\n")


async def live(folder: Path) -> None:
    broker = FileBroker(folder)
    done = folder / "done"
    done.touch()

    async def handler(event: Event) -> bool:
        assert event.value is not None
        if (name := event.value.decode()) in done.read_text().split():
            return False
        await asyncio.sleep(0.002)
        if name.startswith("killer"):
            os.kill(os.getpid(), signal.SIGKILL)
        with done.open("a") as file:
            file.write(f"{name}\n")
        return True

    store = Store(f"sqlite:///{folder / 'sosie.sqlite3'}", busy_timeout_s=60)
    attempts = DatabaseAttempts(store)
    async with delivering(broker, handler, attempts=attempts) as delivery:
        await take_all(delivery, broker)
        await settled(delivery)
        assert await delivery.commit()
        await delivery.remember()
    attempts.close()
    store.close()


if __name__ == "__main__":
    asyncio.run(live(Path(sys.argv[1])))

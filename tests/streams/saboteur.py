"""The `sosie` command with traps in it: `python -m tests.streams.saboteur worker …` is a real worker that dies or fails where a test says.

A trap is a file in the folder SOSIE_TEST_TRAPS, named `POINT~ACTION~NUMBER`; whoever reaches its point first takes it (by
unlinking, so exactly once over all processes) and does what it says:

- `kill`: the process is gone, as by the kernel's hand
- the code of an error: it is raised there; `bug` raises what is no error of ours, `ENOSPC` and `EROFS` what the system says of a disk

A post whose file is named KILLER ends whatever worker is at work on it, each time.

Points are the pipeline's stages, `fetch` to `review`, each with `-begins` and `-ends`, and the edges of delivery: see `_EDGES`.
"""

from __future__ import annotations

import errno
import os
import random
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from monitor.base.errors import BrokerUnavailable, DatabaseBusy, FetchFailed, NotAVideo, SosieError, StorageFull, UnreadableMedia
from monitor.base.metrics import STAGES, Metrics
from tests.streams.recall import MEMORIES, recall

TRAPS = "SOSIE_TEST_TRAPS"
PASS_BY = "SOSIE_TEST_PASS_BY"
"""The share of times that a trap is passed by, so that it snaps at a random moment."""

_EDGES = ("before-commit", "after-commit", "event-sent", "dead-letter-kept")
POINTS = (*(f"{stage}-{edge}" for stage in STAGES for edge in ("begins", "ends")), *_EDGES)
ERRORS: dict[str, type[SosieError]] = {
    kind.code: kind for kind in (BrokerUnavailable, DatabaseBusy, FetchFailed, NotAVideo, StorageFull, UnreadableMedia)
}


SYSTEM = ("ENOSPC", "EROFS")
KILLER = "killer.mp4"


def set_trap(folder: Path, point: str, action: str, number: int) -> None:
    """Lay a trap for whichever worker comes first."""
    if point not in POINTS:
        raise ValueError(f"no such point: {point}")
    folder.mkdir(exist_ok=True)
    (folder / f"{point}~{action}~{number}").touch()


def left(folder: Path) -> list[str]:
    """The traps nobody has met yet."""
    return sorted(trap.name for trap in folder.iterdir()) if folder.exists() else []


def _reach(point: str) -> None:
    folder = Path(os.environ[TRAPS])
    for trap in sorted(folder.glob(f"{point}~*")):
        if _chance.random() < float(os.environ.get(PASS_BY, "0")):
            return
        try:
            trap.unlink()
        except FileNotFoundError:
            continue  # somebody else was first
        action = trap.name.split("~")[1]
        print(f"trap {trap.name}", file=sys.stderr, flush=True)
        if action == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if action == "bug":
            raise KeyError("a bug, laid by a test")
        if action in SYSTEM:
            raise OSError(getattr(errno, action), os.strerror(getattr(errno, action)))
        raise ERRORS[action](f"Trap {trap.name}", "was laid by a test", "Go on")


_chance = random.Random()


def _lay() -> None:
    stage = Metrics.stage

    @contextmanager
    def trapped(self: Metrics, name: str) -> Iterator[None]:
        _reach(f"{name}-begins")
        with stage(self, name):
            yield
        _reach(f"{name}-ends")

    Metrics.stage = trapped  # type: ignore[method-assign, assignment]

    from monitor.scan.pipeline import Pipeline
    from streams.faust_broker import FaustBroker
    from streams.publisher import Publisher

    commit, put_aside, publish = FaustBroker.commit, FaustBroker.put_aside, Publisher.publish

    async def trapped_commit(self: Any, offsets: Any) -> bool:
        _reach("before-commit")
        done = await commit(self, offsets)
        _reach("after-commit")
        return done

    async def trapped_put_aside(self: Any, failure: Any) -> None:
        await put_aside(self, failure)
        _reach("dead-letter-kept")

    def trapped_publish(self: Any, topic: str, records: Any) -> Any:
        answer = publish(self, topic, records)
        if topic.endswith(".cases"):
            _reach("event-sent")
        return answer

    scan = Pipeline.scan

    def trapped_scan(self: Any, posted: Any, **options: Any) -> Any:
        if posted.source.endswith(KILLER):
            os.kill(os.getpid(), signal.SIGKILL)
        return scan(self, posted, **options)

    Pipeline.scan = trapped_scan  # type: ignore[method-assign]
    FaustBroker.commit = trapped_commit  # type: ignore[method-assign]
    FaustBroker.put_aside = trapped_put_aside  # type: ignore[method-assign]
    Publisher.publish = trapped_publish  # type: ignore[method-assign]


if __name__ == "__main__":
    _lay()
    if memories := os.environ.get(MEMORIES):
        recall(Path(memories))
    from monitor.cli import main

    main()

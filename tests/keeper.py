"""`python -m tests.keeper kafka|postgresql PID`: a server that the processes of a test run share.

The first test that needs one starts the keeper, whichever process it runs in (`shared_address`). The keeper starts the server, says
its address in one line, and stops the server when it is told to (SIGTERM, by `stop_keepers` at the end of the run) or when the run's
process PID is gone, however it went: a test process that crashes takes no server along and leaves none behind.
"""

from __future__ import annotations

import contextlib
import json
import math
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NoReturn

import psutil

from tests.once import locked, run_pid

STOP_TIMEOUT_S = 60.0
_ROOT = Path(__file__).parents[1]
_started: list[subprocess.Popen[bytes]] = []


def shared_address(folder: Path, kind: str) -> str:
    """Where the run's server of this kind answers, started if it was not. `folder`: the run's. Raises RuntimeError with its log."""
    note = folder / f"{kind}.keeper.json"
    with locked(note.with_suffix(".lock")):
        if not note.exists():
            log = note.with_suffix(".log")
            with log.open("wb") as errors:
                keeper = subprocess.Popen(
                    [sys.executable, "-m", "tests.keeper", kind, str(run_pid())],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    cwd=_ROOT,
                    start_new_session=True,  # Ctrl+C is for the tests; they still use the server while they end
                )
            assert keeper.stdout is not None
            with keeper.stdout as said:
                address = said.readline().decode().strip()
            if not address:
                keeper.wait()
                raise RuntimeError(f"no {kind} for the tests: {log.read_text(errors='replace')[-4000:]}")
            _started.append(keeper)
            note.write_text(json.dumps({"pid": keeper.pid, "born": psutil.Process(keeper.pid).create_time(), "address": address}))
        address = json.loads(note.read_text())["address"]
    return str(address)


def stop_keepers(folder: Path) -> None:
    """Stop what this run shared, by pid. Returns when all is gone; idempotent."""
    for note in folder.glob("*.keeper.json"):
        kept = json.loads(note.read_text())
        with contextlib.suppress(psutil.NoSuchProcess):
            keeper = psutil.Process(kept["pid"])
            if keeper.create_time() == kept["born"]:
                keeper.terminate()
                _wait(keeper)
        note.unlink()


def _wait(keeper: psutil.Process) -> None:
    for own in _started:
        if own.pid == keeper.pid:
            own.wait(STOP_TIMEOUT_S)
            return
    _wait_until_ended(keeper, STOP_TIMEOUT_S)


def _wait_until_ended(process: psutil.Process, limit_s: float = math.inf) -> None:
    """Of somebody else's child: a zombie that nobody has fetched yet has ended as well, which `psutil.Process.wait` does not see so."""
    deadline = time.monotonic() + limit_s
    with contextlib.suppress(psutil.NoSuchProcess):
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
            time.sleep(0.2)


@contextmanager
def _kafka() -> Iterator[str]:
    from tests.kafka import running_broker

    with running_broker() as broker:
        yield broker.brokers


@contextmanager
def _postgresql() -> Iterator[str]:
    from tests.postgres import running_server

    with running_server() as server:
        yield str(server.folder)


_KINDS: dict[str, Callable[[], AbstractContextManager[str]]] = {"kafka": _kafka, "postgresql": _postgresql}


def _told_to_stop(*_: object) -> NoReturn:
    raise SystemExit


def main() -> None:
    kind, pid = sys.argv[1], int(sys.argv[2])
    signal.signal(signal.SIGTERM, _told_to_stop)
    try:
        run = psutil.Process(pid)
    except psutil.NoSuchProcess:
        return
    with _KINDS[kind]() as address:
        print(address, flush=True)
        sys.stdout.close()
        _wait_until_ended(run)


if __name__ == "__main__":
    main()

"""Workers as processes: started, watched, killed, asked."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import httpx
import psutil

from tests.monitor.household import SCRIPT
from tests.streams.saboteur import PASS_BY, TRAPS


class Worker:
    """A worker process, started again whenever it dies until it is told to stop."""

    def __init__(self, log: Path, environment: Mapping[str, str], *, slots: int, traps: Path | None, restarted: bool) -> None:
        self.log = log
        self.statuses: list[int] = []
        self._command = [sys.executable, "-m", "tests.streams.saboteur"] if traps is not None else [str(SCRIPT)]
        self._command += ["worker", "--slots", str(slots)]
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SOSIE_")}
        self._environment = kept | dict(environment) | {"OMP_NUM_THREADS": "1", TRAPS: str(traps), PASS_BY: "0.3"}
        self._restarted = restarted
        self._stopping = threading.Event()
        self._start()
        self._watch = threading.Thread(target=self._supervise, daemon=True)
        self._watch.start()

    @property
    def runs(self) -> bool:
        return self._watch.is_alive()

    @property
    def pid(self) -> int:
        return self._process.pid

    def kill(self) -> None:
        self._process.kill()

    def restart(self) -> None:
        """SIGTERM, as for a new release: it ends what it is at, and is started again."""
        self._process.terminate()

    def terminate(self, limit_s: float = 400) -> None:
        """SIGTERM, as soon as it hears it: a process that has only just begun to load would end by the signal itself."""
        self._stopping.set()
        deadline = time.monotonic() + limit_s
        while self.port is None and self.runs:
            assert time.monotonic() < deadline, f"it never said where it is\n{self.log.read_text()[-4000:]}"
            time.sleep(0.05)
        self._process.terminate()

    def wait(self, limit_s: float = 300) -> int:
        """Its last exit status."""
        self._watch.join(limit_s)
        if self._watch.is_alive():
            self._process.send_signal(signal.SIGABRT)
            raise AssertionError(f"the worker did not stop\n{self.log.read_text()[-4000:]}")
        return self.statuses[-1]

    def close(self) -> None:
        self._stopping.set()
        self._process.kill()
        self._watch.join(30)

    def says(self, words: str) -> bool:
        return words in self.log.read_text()

    @property
    def port(self) -> int | None:
        """Of the process that runs now, once it has said so."""
        said = self.log.read_bytes()[self._said_before :].decode(errors="replace")
        lines = [line for line in said.splitlines(keepends=True) if "/health/live" in line and line.endswith("\n")]
        return int(lines[-1].split("http://", 1)[1].split("/", 1)[0].rpartition(":")[2]) if lines else None

    def asked(self, path: str) -> tuple[int, str]:
        """Status and reason of a probe; 0 while it does not answer."""
        if self.port is None:
            return 0, ""
        try:
            answer = httpx.get(f"http://127.0.0.1:{self.port}{path}", timeout=10)
        except httpx.HTTPError:
            return 0, ""
        return answer.status_code, answer.json()["reason"]

    def metrics(self) -> str:
        """Everything on /metrics; empty while it does not answer."""
        if self.port is None:
            return ""
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/metrics", timeout=10).text
        except httpx.HTTPError:
            return ""

    def metric(self, name: str) -> float:
        """The first series whose line begins so; NaN while there is none."""
        lines = [line for line in self.metrics().splitlines() if line.startswith(name)]
        return float(lines[0].rsplit(" ", 1)[1]) if lines else math.nan

    @property
    def holds(self) -> float:
        """How many partitions it holds."""
        return self.metric("sosie_stream_assigned_partitions ")

    def _start(self) -> None:
        with self.log.open("ab") as log:
            self._said_before = log.tell()
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self._environment, cwd=Path(__file__).parents[2]
            )

    def _supervise(self) -> None:
        while True:
            self.statuses.append(self._process.wait())
            if self._stopping.is_set() or not self._restarted:
                return
            time.sleep(0.2)
            self._start()


def decoder(pids: Iterable[int], video: Path, limit_s: float = 400) -> psutil.Process:
    """The process below one of these that decodes this video, stopped in the midst of it: to be killed, or left so.

    Its provenance, a moment's work of the same process, comes first, and is let pass.
    """
    deadline = time.monotonic() + limit_s
    begun: dict[int, float] = {}
    while time.monotonic() < deadline:
        for child in (child for pid in pids for child in psutil.Process(pid).children(recursive=True)):
            try:
                if not _reads(child, video) or "spawn_main" not in " ".join(
                    child.cmdline()
                ):  # else one just forked, that has ours still open
                    continue
                if time.monotonic() - begun.setdefault(child.pid, time.monotonic()) > 1.5:
                    child.suspend()
                    if _reads(child, video):  # still: else it had done its part before it stopped
                        return child
                    child.resume()
            except psutil.Error:
                continue
        time.sleep(0.01)
    raise AssertionError(f"nobody decodes {video.name}")


def _reads(process: psutil.Process, video: Path) -> bool:
    return any(Path(file.path) == video for file in process.open_files())

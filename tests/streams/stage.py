"""A stage for faults: topics of its own on a real broker, a home, a database, real videos, and workers as processes.

Nothing is mocked. The oracle is `sosie reconcile` (`streams.reconcile`), and beside it what a scan in this process finds.
"""

from __future__ import annotations

import math
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psutil
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from sqlalchemy import text

from monitor import settings
from monitor.review import queue, verdicts
from monitor.settings import Settings
from monitor.store import Store
from streams.admin import create_topics
from streams.connection import connected
from streams.lag import lag
from streams.messages import CaseChanged, VideoPosted, parse
from streams.publisher import Publisher, Record
from streams.reconcile import Report, reconcile_all
from streams.topics import CASES, VIDEOS, worker_group
from tests.monitor.household import SCRIPT, Household
from tests.streams.saboteur import PASS_BY, TRAPS, left, set_trap

PARTITIONS = 3
SESSION_S = 3.0
STOP_S = 20.0
_MINIMAL_BOX = b"\x00\x00\x00\x18free"


@dataclass
class Stage:
    """See the module. Make one with `staged`."""

    folder: Path
    brokers: str
    prefix: str
    database_url: str
    clips: Path
    rng: random.Random
    overrides: Mapping[str, str] = field(default_factory=dict)
    posted: dict[str, str] = field(default_factory=dict)  # post id → clip
    placed: dict[str, tuple[int, int]] = field(default_factory=dict)  # post id → partition and offset
    crew: list[Worker] = field(default_factory=list)
    made: int = 0

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def traps(self) -> Path:
        return self.folder / "traps"

    @property
    def environment(self) -> dict[str, str]:
        return {
            "SOSIE_HOME": str(self.home),
            "SOSIE_DATABASE_URL": self.database_url,
            "SOSIE_THREADS": "1",
            "SOSIE_KAFKA_BROKERS": self.brokers,
            "SOSIE_KAFKA_PREFIX": self.prefix,
            "SOSIE_KAFKA_SESSION_S": str(SESSION_S),
            "SOSIE_WORKER_FILES": str(self.folder),
            "SOSIE_WORKER_STOP_S": str(STOP_S),
            "SOSIE_WORKER_PORT": "0",
            "SOSIE_LOG_LEVEL": "info",
            **self.overrides,
        }

    @property
    def settings(self) -> Settings:
        return settings.load(self.environment)

    @contextmanager
    def store(self) -> Iterator[Store]:
        store = Store(self.database_url)
        store.migrate()
        try:
            yield store
        finally:
            store.close()

    # Posts

    def video(self, clip: str, *, fresh: bool = True) -> Path:
        """A clip under the folder workers may read; a `fresh` one has bytes of its own (a box that players skip), so it is decoded."""
        source = self.clips / clip
        if not fresh:
            return source
        self.made += 1
        path = self.folder / f"{self.made:05}-{clip}"
        path.write_bytes(source.read_bytes() + _MINIMAL_BOX + self.rng.randbytes(16))
        return path

    def post(self, clips: Iterable[str], *, fresh: bool = True) -> list[str]:
        """Submit one post per clip; returns their ids."""
        ids, records = [], []
        for clip in clips:
            post = f"post-{len(self.posted):05}"
            self.posted[post] = clip
            message = VideoPosted(id=post, uri=self.video(clip, fresh=fresh).as_uri(), account=f"@{post}", platform="stage")
            records.append(Record(key=post.encode(), value=message.to_bytes()))
            ids.append(post)
        self.placed |= zip(ids, self.send(records), strict=True)
        return ids

    def send(self, records: Sequence[Record]) -> list[tuple[int, int]]:
        """Put records on the videos topic, whatever they are; returns the partition and offset of each."""
        with closing(Publisher(self.settings)) as publisher:
            return list(publisher.publish(VIDEOS.name(self.prefix), records))

    def rewind(self) -> None:
        """Have the whole topic read again; no worker may be running."""
        with closing(connected(KafkaAdminClient, self.settings)) as admin:
            wanted = {TopicPartition(VIDEOS.name(self.prefix), partition): 0 for partition in range(PARTITIONS)}
            admin.reset_group_offsets(worker_group(self.prefix), wanted)

    # Workers

    def worker(self, *, slots: int = 2, traps: bool = True, restarted: bool = True) -> Worker:
        """Start one more worker; `restarted`: whenever it dies, as an orchestrator does."""
        made = Worker(self, len(self.crew), slots=slots, traps=traps, restarted=restarted)
        self.crew.append(made)
        return made

    def trap(self, point: str, action: str, times: int = 1) -> None:
        for _ in range(times):
            self.made += 1
            set_trap(self.traps, point, action, self.made)

    def wait_until_quiet(self, *, done: Callable[[Report], bool] | None = None, limit_s: float = 240) -> Report:
        """Until every event is committed and every trap was met (or `done`); returns what reconciliation says then."""
        deadline = time.monotonic() + limit_s
        while True:
            behind = self.behind()
            if done(self.report()) if done is not None else behind == 0 and not left(self.traps):
                return self.report()
            assert time.monotonic() < deadline, f"{behind} behind after {limit_s:g} s, traps left {left(self.traps)}\n{self.logs()}"
            assert any(worker.runs for worker in self.crew), f"no worker runs any more\n{self.logs()}"
            time.sleep(0.5)

    def behind(self) -> int:
        """Events that are not committed."""
        return sum(each.events for each in lag(self.settings))

    def report(self) -> Report:
        with self.store() as store:
            return reconcile_all(self.settings, store)

    @contextmanager
    def locked_database(self) -> Iterator[None]:
        """Nobody else can write, as while somebody copies the file."""
        connection = sqlite3.connect(self.home / "sosie.sqlite3", isolation_level=None, timeout=60)
        with closing(connection):
            connection.execute("BEGIN EXCLUSIVE")
            yield

    def logs(self) -> str:
        return "\n".join(f"--- {worker.log.name}\n{worker.log.read_text()[-4000:]}" for worker in self.crew)

    def stop(self) -> list[int]:
        """SIGTERM to all; returns their exit statuses."""
        for worker in self.crew:
            worker.terminate()
        return [worker.wait() for worker in self.crew]

    # What came out

    def rows(self, query: str, **values: Any) -> list[tuple[Any, ...]]:
        with self.store() as store, store.session(read_only=True) as session:
            return [tuple(row) for row in session.execute(text(query), values)]

    def outcomes(self) -> dict[str, list[tuple[str, bool, float]]]:
        """Post → (likeness, flagged, risk) of each of its assessments."""
        found: dict[str, list[tuple[str, bool, float]]] = {}
        for post, likeness, flagged, risk in self.rows(
            "SELECT post_id, likeness_id, flagged, risk FROM assessments ORDER BY post_id, likeness_id"
        ):
            found.setdefault(post, []).append((likeness, bool(flagged), risk))
        return found

    def everything(self) -> dict[str, list[tuple[Any, ...]]]:
        """All that a repeated event could double or change."""
        tables = ("videos", "posts", "cases", "case_posts", "verdicts")
        rows = {table: self.rows(f"SELECT * FROM {table} ORDER BY 1, 2") for table in tables}
        rows["case_events"] = self.rows("SELECT id, case_id, sequence, change FROM case_events ORDER BY 1")
        rows["assessments"] = self.rows("SELECT post_id, likeness_id, risk, flagged FROM assessments ORDER BY 1, 2")
        return rows

    def decide_first_case(self) -> None:
        """A reviewer finds a deepfake."""
        with self.store() as store, store.session() as session:
            now = datetime.now(UTC)
            lease = queue.claim_next(session, reviewer="ada", lease_s=60, now=now)
            assert lease is not None
            verdicts.decide(session, lease.case_id, reviewer="ada", token=lease.token, verdict="deepfake", reason="the mouth", now=now)

    def published(self) -> list[CaseChanged]:
        """Everything on the cases topic, in the order of each partition."""
        consumer = KafkaConsumer(
            CASES.name(self.prefix), bootstrap_servers=self.brokers, auto_offset_reset="earliest", enable_auto_commit=False, group_id=None
        )
        try:
            parts = None
            while not parts:
                consumer.poll(200)
                parts = consumer.assignment()
            end = consumer.end_offsets(list(parts))
            consumer.seek_to_beginning(*parts)
            records: list[Any] = []
            while any(consumer.position(part) < end[part] for part in parts):
                for batch in consumer.poll(500).values():
                    records += batch
            return [parse(CaseChanged, record.value) for record in records]
        finally:
            consumer.close()

    def check(self, *, dead: Mapping[str, int] | None = None, relayed: bool = True) -> None:
        """Everything that must hold whatever happened: one result or one dead letter for each, nothing doubled, nothing missing."""
        report = self.report()
        assert report.missing == (), report
        assert report.doubled == (), report
        assert dict(report.dead) == dict(dead or {}), report
        outcomes = self.outcomes()
        expected = {post: clip for post, clip in self.posted.items() if clip != NO_RESULT}
        assert set(outcomes) == set(expected), set(outcomes) ^ set(expected)
        for post, clip in expected.items():
            assert [flagged for _, flagged, _ in outcomes[post]] == [FLAGGED[clip]], (post, clip, outcomes[post])
        flagged = sorted(post for post, clip in expected.items() if FLAGGED[clip])
        assert sorted(row[0] for row in self.rows("SELECT post_id FROM case_posts")) == flagged
        events = self.rows("SELECT case_id, sequence, change, published_at FROM case_events ORDER BY id")
        assert sorted(event[2] for event in events if event[2] in ("opened", "joined")) == sorted(
            ["opened"] * len(self.rows("SELECT id FROM cases")) + ["joined"] * (len(flagged) - len(self.rows("SELECT id FROM cases")))
        )
        if relayed:
            self._check_relayed({(case, sequence) for case, sequence, _, _ in events})

    def _check_relayed(self, wanted: set[tuple[str, int]]) -> None:
        deadline = time.monotonic() + 120
        told = self.published()
        while {(event.case_id, event.sequence) for event in told} != wanted:
            assert time.monotonic() < deadline, f"not all case events were published\n{self.logs()}"
            time.sleep(0.5)
            told = self.published()
        last: dict[str, int] = {}
        seen: set[str] = set()
        for event in told:  # in order per case, once what was seen before is dropped
            if event.id not in seen:
                assert event.sequence == last.get(event.case_id, 0) + 1
                last[event.case_id] = event.sequence
                seen.add(event.id)


NO_RESULT = "no result"
"""In `Stage.posted`: a post that must not have one."""

FLAGGED = {"singer.mp4": True, "athlete.mp4": False, "stranger.mp4": False}
"""What a scan of the household's clips says: the singer is dead, the athlete alive, the stranger registered by nobody."""


class Worker:
    """A worker process, started again whenever it dies until it is told to stop."""

    def __init__(self, stage: Stage, number: int, *, slots: int, traps: bool, restarted: bool) -> None:
        self.log = stage.folder / f"worker-{number}.log"
        self.statuses: list[int] = []
        self._command = [sys.executable, "-m", "tests.streams.saboteur"] if traps else [str(SCRIPT)]
        self._command += ["worker", "--slots", str(slots)]
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SOSIE_")}
        self._environment = kept | stage.environment | {"OMP_NUM_THREADS": "1", TRAPS: str(stage.traps), PASS_BY: "0.3"}
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

    def terminate(self) -> None:
        self._stopping.set()
        self._process.terminate()

    def wait(self, limit_s: float = STOP_S + 60) -> int:
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
        lines = [line for line in self.log.read_text().splitlines() if "/health/live" in line]
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


def decoder(pids: Iterable[int], video: Path, limit_s: float = 120) -> psutil.Process:
    """The process below one of these that has the video open."""
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        for child in (child for pid in pids for child in psutil.Process(pid).children(recursive=True)):
            try:
                if any(Path(file.path) == video for file in child.open_files()):
                    return child
            except psutil.Error:
                continue
        time.sleep(0.01)
    raise AssertionError(f"nobody decodes {video.name}")


@contextmanager
def staged(
    folder: Path, household: Household, brokers: str, prefix: str, database_url: str, *, seed: int, **overrides: str
) -> Iterator[Stage]:
    """A stage with the household's home and clips; its workers are gone when the block ends."""
    print(f"seed {seed}")
    folder.mkdir(parents=True, exist_ok=True)
    household.copy_home(folder / "home")
    clips = folder / "clips"
    clips.mkdir()
    for clip in household.clips.iterdir():
        (clips / clip.name).write_bytes(clip.read_bytes())
    stage = Stage(folder, brokers, prefix, database_url, clips, random.Random(seed), overrides)
    create_topics(stage.settings, partitions=PARTITIONS)
    try:
        yield stage
    finally:
        for worker in stage.crew:
            worker.close()

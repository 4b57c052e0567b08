"""A stage for faults: topics of its own on a real broker, a home, a database, real videos, and workers as processes.

Nothing is mocked. The oracle is `sosie reconcile` (`streams.reconcile`), and beside it what a scan in this process finds.
"""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from sqlalchemy import text

from monitor.base import settings
from monitor.base.database import Store
from monitor.base.settings import Settings
from monitor.review import queue, verdicts
from streams.admin import create_topics
from streams.connection import connected
from streams.lag import lag
from streams.messages import CaseChanged, VideoPosted, parse
from streams.publisher import Publisher, Record
from streams.reconcile import Report, reconcile_all
from streams.topics import CASES, VIDEOS, worker_group
from tests.monitor.household import Household
from tests.streams.crew import Worker
from tests.streams.saboteur import left, set_trap

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

    def delete_before(self, partition: int, offset: int) -> None:
        """Delete what stands before an offset."""
        with closing(connected(KafkaAdminClient, self.settings)) as admin:
            admin.delete_records({TopicPartition(VIDEOS.name(self.prefix), partition): offset})

    # Workers

    def worker(self, *, slots: int = 2, traps: bool = True, restarted: bool = True) -> Worker:
        """Start one more worker; `restarted`: whenever it dies, as an orchestrator does."""
        log = self.folder / f"worker-{len(self.crew)}.log"
        made = Worker(log, self.environment, slots=slots, traps=self.traps if traps else None, restarted=restarted)
        self.crew.append(made)
        return made

    def trap(self, point: str, action: str, times: int = 1) -> None:
        for _ in range(times):
            self.made += 1
            set_trap(self.traps, point, action, self.made)

    def wait_until_quiet(self, *, done: Callable[[Report], bool] | None = None, limit_s: float = 500) -> Report:
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
        deadline = time.monotonic() + 400
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

"""`make chaos`: hundreds of faults on one stage, at random moments, then the same questions as after one.

    python -m tests.streams.chaos [--faults 200] [--seed N] [--database sqlite|postgresql]

Two workers on three partitions of a real Kafka, started again whenever they die, under a load of real videos. A fault is one
of the table below, drawn at random. In the end everything submitted must have exactly one result or dead letter, and nothing may
be doubled. Exits with 1 where it does not.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from monitor.base.metrics import STAGES
from streams.messages import VideoPosted
from streams.publisher import Record
from tests.kafka import Broker, running_broker
from tests.monitor.household import Household
from tests.monitor.intake.servers import FileServer, file_server
from tests.postgres import Server, running_server, server_url
from tests.streams.conftest import register
from tests.streams.saboteur import KILLER, left
from tests.streams.stage import NO_RESULT, Stage, staged
from tests.streams.troubles import troubles, worker_url

MIX = ("singer.mp4", "athlete.mp4", "stranger.mp4")
KILL_POINTS = (*(f"{stage}-ends" for stage in STAGES if stage != "stills"), "event-sent", "before-commit", "after-commit")
WORLD = ("database_busy", "storage_full")
PASSING = ("fetch_failed", "bug")
NAME = "chaos"


@dataclass
class Play:
    """The stage, and what only the long run has: a broker and a database that may be stopped."""

    stage: Stage
    broker: Broker
    server: Server | None
    files: FileServer
    rng: random.Random
    dead: Counter[str]
    faults: Counter[str]

    def kill_at_a_step(self) -> None:
        self.stage.trap(self.rng.choice(KILL_POINTS), "kill")

    def kill_at_a_moment(self) -> None:
        self.rng.choice(self.stage.crew).kill()

    def restart_with_sigterm(self) -> None:
        worker = self.rng.choice(self.stage.crew)
        worker.restart()

    def world_fails(self) -> None:
        self.stage.trap(f"{self.rng.choice(STAGES)}-begins", self.rng.choice(WORLD))

    def source_or_code_fails(self) -> None:
        self.stage.trap(f"{self.rng.choice(STAGES)}-begins", self.rng.choice(PASSING))

    def garbage_comes(self) -> None:
        value, reason = self.rng.choice(
            (
                (self.rng.randbytes(300), "bad_message"),
                (None, "bad_message"),
                (b"[" * 50_000, "bad_message"),
                (b"x" * 3 * 1024**2, "bad_message"),
                (json.dumps({"type": "sosie.video_posted", "version": 7}).encode(), "unknown_version"),
            )
        )
        self.stage.send([Record(key=b"garbage", value=value)])
        self.dead[reason] += 1

    def broker_restarts(self) -> None:
        (self.broker.kill if self.rng.random() < 0.5 else self.broker.stop)()
        time.sleep(self.rng.uniform(0, 10))
        self.broker.start()

    def database_goes_away(self) -> None:
        if self.server is None:
            with self.stage.locked_database():
                time.sleep(self.rng.uniform(1, 8))
            return
        self.server.stop()
        time.sleep(self.rng.uniform(0, 6))
        self.server.start()

    def addresses_that_answer_404(self) -> None:
        """Sixty among good posts, as a platform deletes an account with its videos."""
        first = self.dead["fetch_refused"]
        for number in range(first, first + 60):
            message = VideoPosted(id=f"gone-{number}", uri=self.files.url(f"/status/404?{number}"))
            self.stage.send([Record(key=message.id.encode(), value=message.to_bytes())])
            if self.rng.random() < 0.05:
                self.stage.post(self.rng.choices(MIX, k=1))
        self.dead["fetch_refused"] += 60

    def sosie_itself_fails(self) -> None:
        trouble = self.rng.choice(troubles(self.stage, self.server))
        print(f"        {trouble.name}", flush=True)
        with trouble.block():
            if trouble.restarts:
                self.rng.choice(self.stage.crew).kill()
            self.stage.post(self.rng.choices(MIX, k=2))
            time.sleep(self.rng.uniform(0, 10))

    def an_event_kills_its_worker(self) -> None:
        (killer,) = self.stage.post([KILLER], fresh=False)
        self.stage.posted[killer] = NO_RESULT
        self.dead["quarantined"] += 1

    def run(self, faults: int) -> None:
        kinds: list[tuple[Callable[[], None], int]] = [
            (self.kill_at_a_step, 30),
            (self.kill_at_a_moment, 15),
            (self.restart_with_sigterm, 10),
            (self.world_fails, 15),
            (self.source_or_code_fails, 12),
            (self.garbage_comes, 12),
            (self.broker_restarts, 3),
            (self.database_goes_away, 3),
            (self.sosie_itself_fails, 6),
            (self.addresses_that_answer_404, 2),
            (self.an_event_kills_its_worker, 1),
        ]
        started = time.monotonic()
        for number in range(1, faults + 1):
            (fault,) = self.rng.choices([kind for kind, _ in kinds], [weight for _, weight in kinds])
            self.faults[fault.__name__] += 1
            print(f"{time.monotonic() - started:6.0f} s  {number:4}/{faults}  {fault.__name__}", flush=True)
            fault()
            self.stage.post(self.rng.choices(MIX, k=self.rng.randint(1, 2)))
            time.sleep(self.rng.uniform(0, 4))
            while len(left(self.stage.traps)) > 12:  # they are met as fast as workers come back
                self.stage.post(self.rng.choices(MIX, k=1))
                time.sleep(2)


@contextmanager
def _play(folder: Path, seed: int, database: str) -> Iterator[Play]:
    with ExitStack() as stack:
        broker = stack.enter_context(running_broker())
        server = stack.enter_context(running_server()) if database == "postgresql" else None
        household = Household.made_in(folder)
        if server is None:
            url = f"sqlite:///{folder / 'stage' / 'home' / 'sosie.sqlite3'}"
        else:
            register(folder / "registered", server_url(server.folder, "postgres"))
            url = worker_url(server)
            household = Household(folder / "registered", household.clips)
        limits = {"SOSIE_DEAD_LETTER_RUN": "1000", "SOSIE_DEAD_LETTER_SHARE": "1.0", "SOSIE_FETCH_ALLOW_PRIVATE": "true"}
        stage = stack.enter_context(staged(folder / "stage", household, broker.brokers, NAME, url, seed=seed, **limits))
        (stage.clips / KILLER).write_bytes((stage.clips / "stranger.mp4").read_bytes())
        yield Play(stage, broker, server, stack.enter_context(file_server()), random.Random(seed), Counter(), Counter())


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.streams.chaos", description=__doc__.split("\n")[0])
    parser.add_argument("--faults", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1, 2**31))
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="postgresql")
    options = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="sosie-chaos-") as folder, _play(Path(folder), options.seed, options.database) as play:
        play.stage.worker()
        play.stage.worker()
        play.run(options.faults)
        deadline = time.monotonic() + 600
        # Posts go on as in the world: a trap is met by one, and an event that kills is told by the others.
        while (
            left(play.stage.traps) or play.stage.report().dead.get("quarantined", 0) < play.dead["quarantined"]
        ) and time.monotonic() < deadline:
            play.stage.post(play.rng.choices(MIX, k=2))
            time.sleep(2)
        report = play.stage.wait_until_quiet(limit_s=900)
        play.stage.check(dead=play.dead)
        statuses = Counter(status for worker in play.stage.crew for status in worker.statuses)
        play.stage.stop()
        print(f"\nseed {options.seed}, {options.database}: {sum(play.faults.values())} faults in {time.monotonic() - started:.0f} s")
        for kind, count in play.faults.most_common():
            print(f"  {count:4}  {kind.replace('_', ' ')}")
        print(f"  worker exits by status: {dict(statuses)}")
        print(f"  {len(play.stage.posted)} posts: {report.done} done, {sum(report.dead.values())} dead letters, 0 missing, 0 doubled")


if __name__ == "__main__":
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    sys.exit(main())

"""`python -m bench.streams`: what the stream costs, beside doing the same without it, and how long an event waits.

1. CPU of a worker over short videos, against `scan` in this process over the same videos (ratio; they take turns).
2. Events per second of the delivery layer alone, against plain aiokafka over the same topic (ratio).
3. From an event to its case beyond the pipeline's own time, at one event a second: p50 and p95.
4. Memory of a worker over many videos.

A real Kafka of one node on the same machine. Every video has bytes of its own, so that nothing is reused.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Any
from uuid import uuid4

from kafka import KafkaAdminClient, TopicPartition
from kafka.errors import NoError

from bench import machine
from monitor.base import settings
from monitor.base.settings import Settings
from monitor.cast.film import film
from monitor.cast.roster import LICENSED, MOURNED, STRANGERS
from monitor.cli import demonstration
from monitor.scan.workshop import Workshop
from streams.admin import create_topics
from streams.connection import connected
from streams.messages import VideoPosted
from streams.publisher import Publisher, Record
from streams.topics import VIDEOS, worker_group
from tests.kafka import running_broker

SHORT_S = 2.0
_SLOTS = 2
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True, slots=True)
class Overhead:
    """CPU-seconds of the same videos with and without the stream; their pairs, run by run."""

    scan: tuple[float, ...]
    worker: tuple[float, ...]

    @property
    def share(self) -> float:
        """What the stream adds, as a share of the scan's own cost."""
        return median(self.worker) / median(self.scan) - 1


def percentiles(values: Sequence[float]) -> tuple[float, float]:
    """p50 and p95."""
    cuts = quantiles(values, n=20, method="inclusive")
    return cuts[9], cuts[18]


@dataclass
class Bench:
    """A broker, a home with a registry, clips to make videos from."""

    folder: Path
    brokers: str
    clips: tuple[Path, ...]
    made: int = 0

    def videos(self, count: int) -> list[Path]:
        """Short videos, each with bytes of its own."""
        paths = []
        for _ in range(count):
            clip = self.clips[self.made % len(self.clips)]
            self.made += 1
            path = self.folder / "videos" / f"{self.made:06}.mp4"
            path.write_bytes(clip.read_bytes() + b"\x00\x00\x00\x18free" + os.urandom(16))
            paths.append(path)
        return paths

    @contextmanager
    def stage(self) -> Iterator[dict[str, Any]]:
        """Settings of one run: topics and a home of its own."""
        prefix = f"bench-{uuid4().hex[:8]}"
        with tempfile.TemporaryDirectory(dir=self.folder) as home:
            subprocess.run(["cp", "-a", f"{self.folder / 'home'}/.", home], check=True)
            options: dict[str, Any] = {
                "home": home,
                "threads": 1,
                "kafka_brokers": self.brokers,
                "kafka_prefix": prefix,
                "worker_port": 0,
                "worker_slots": _SLOTS,
                "decode_workers": _SLOTS,
                "worker_files": str(self.folder),
            }
            create_topics(_loaded(options), partitions=3)
            yield options

    def post(self, options: dict[str, Any], videos: Sequence[Path], *, name: str = "post", every_s: float = 0.0) -> dict[str, float]:
        """Submit a post per video; returns when each was sent, by post id."""
        configured = _loaded(options)
        sent = {}
        with closing(Publisher(configured)) as publisher:
            for n, video in enumerate(videos):
                message = VideoPosted(id=f"{name}-{n:06}", uri=video.as_uri())
                sent[message.id] = time.time()
                publisher.publish(VIDEOS.name(configured.kafka_prefix), [Record(key=message.id.encode(), value=message.to_bytes())])
                time.sleep(every_s)
        return sent


def _loaded(options: dict[str, Any]) -> Settings:
    return settings.load({}, **options | {"home": Path(options["home"])})


def side(name: str, asked: dict[str, Any]) -> subprocess.Popen[str]:
    """Start one side; `answer` waits for what it prints."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("SOSIE_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.stream_sides", name],
        env=kept | dict.fromkeys(_ONE_THREAD, "1"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(asked))
    process.stdin.close()
    return process


def answer(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    printed = process.stdout.read()
    if process.wait() != 0:
        raise RuntimeError(f"a side ended with {process.returncode}: {printed}")
    told: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return told


def overhead(bench: Bench, count: int, repeats: int) -> Overhead:
    runs: dict[str, list[float]] = {"scan": [], "worker": []}
    for number in range(repeats):
        videos = bench.videos(count + 1)
        with bench.stage() as options:
            _say(f"overhead, run {number + 1} of {repeats}: scan")
            runs["scan"].append(answer(side("scan", {"settings": options, "videos": [str(video) for video in videos]}))["cpu_s"])
        with bench.stage() as options:
            _say(f"overhead, run {number + 1} of {repeats}: worker")
            bench.post(options, videos)
            asked = {"settings": options, "events": len(videos), "warm_up": 1}
            runs["worker"].append(answer(side("worker", asked))["cpu_s"])
        for video in videos:
            video.unlink()
    return Overhead(tuple(runs["scan"]), tuple(runs["worker"]))


def rates(bench: Bench, events: int, repeats: int) -> dict[str, list[float]]:
    """Events per second of each side."""
    found: dict[str, list[float]] = {"delivery": [], "aiokafka": []}
    with bench.stage() as options:
        configured = _loaded(options)
        message = VideoPosted(id="post", uri="https://videos.example/v.mp4", account="@somebody", platform="bench")
        with closing(Publisher(configured)) as publisher:
            for start in range(0, events, 1000):
                batch = [Record(key=f"{n}".encode(), value=message.to_bytes()) for n in range(start, start + 1000)]
                publisher.publish(VIDEOS.name(configured.kafka_prefix), batch)
        for number in range(repeats):
            for name in found:
                _say(f"events per second, run {number + 1} of {repeats}: {name}")
                if number:
                    _rewind(configured)
                found[name].append(events / answer(side(name, {"settings": options, "events": events}))["seconds"])
    return found


def _rewind(configured: Settings) -> None:
    topic = VIDEOS.name(configured.kafka_prefix)
    with closing(connected(KafkaAdminClient, configured)) as admin:
        for group in (worker_group(configured.kafka_prefix), f"{configured.kafka_prefix}.plain"):
            wanted = {TopicPartition(topic, partition): 0 for partition in range(3)}  # anew for each: the client empties it
            done = admin.reset_group_offsets(group, wanted)
            if len(done) != 3 or any(each["error"] is not NoError for each in done.values()):
                raise RuntimeError(f"{group} was not rewound: {done}")


def latency(bench: Bench, count: int) -> tuple[float, float]:
    """Seconds from an event to its durable case, less the scan's own: p50 and p95."""
    videos = bench.videos(count + 3)
    with bench.stage() as options:
        bench.post(options, videos[:3])
        running = side("worker", {"settings": options, "events": len(videos), "warm_up": 3})
        _say("latency: one event a second")
        time.sleep(30)  # until it is loaded and joined
        sent = bench.post(options, videos[3:], name="slow", every_s=1)
        scans = answer(running)["scans"]
    return percentiles([scans[post][1] - at - scans[post][0] for post, at in sent.items()])


def memory(bench: Bench, count: int) -> dict[int, float]:
    """Resident MiB of the worker by the number of videos it has scanned."""
    with bench.stage() as options:
        _say(f"memory over {count} videos")
        videos = bench.videos(count)
        bench.post(options, videos)
        told = answer(side("worker", {"settings": options, "events": count, "warm_up": 1}))
    return {int(done): mib for done, mib in told["rss_mib"].items()}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.streams", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--videos", type=int, default=200, help="of the overhead (default 200)")
    parser.add_argument("--repeats", type=int, default=3, help="of the overhead and of the rates (default 3)")
    parser.add_argument("--events", type=int, default=20_000, help="of the rates, in thousands (default 20,000)")
    parser.add_argument("--memory", type=int, default=2000, help="videos of the memory run (default 2,000)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    options = parser.parse_args()
    print(f"CPU: {machine.cpu()}, {os.cpu_count()} cores, load {machine.load():.1f}; {_SLOTS} slots, videos of {SHORT_S:g} s.", flush=True)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sosie-bench-")))
        _say("making the registry and the clips")
        clips = _prepared(folder)
        bench = Bench(folder, stack.enter_context(running_broker()).brokers, clips)
        found = rates(bench, options.events, options.repeats)
        ours, plain = median(found["delivery"]), median(found["aiokafka"])
        print(f"Delivery alone: {ours:,.0f} events/s, plain aiokafka {plain:,.0f} events/s: {plain / ours:.1f}x.", flush=True)
        p50, p95 = latency(bench, 60)
        print(f"From event to case beyond the pipeline's own time, one event a second: p50 {p50:.3f} s, p95 {p95:.3f} s.", flush=True)
        cost = overhead(bench, options.videos, options.repeats)
        print(
            f"{options.videos} short videos: scan {median(cost.scan):.1f} CPU-s, worker {median(cost.worker):.1f} CPU-s: "
            f"{cost.share:+.1%} (runs {', '.join(f'{w / s - 1:+.1%}' for s, w in zip(cost.scan, cost.worker, strict=True))}).",
            flush=True,
        )
        rss = memory(bench, options.memory)
        marks = sorted(rss)
        print(
            f"Worker memory over {options.memory} videos, MiB: "
            + ", ".join(f"{mark}: {rss[mark]:.0f}" for mark in marks[:: max(1, len(marks) // 10)])
        )
        if options.json:
            facts = {
                "cpu": machine.cpu(),
                "rates": found,
                "latency_s": [p50, p95],
                "cpu_s": {"scan": cost.scan, "worker": cost.worker},
                "rss_mib": rss,
            }
            options.json.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def _prepared(folder: Path) -> tuple[Path, ...]:
    (folder / "videos").mkdir()
    with Workshop(settings.load({}, home=folder / "home", threads=1)) as workshop:
        workshop.settings.home.mkdir()
        demonstration.register(workshop, (MOURNED[0], LICENSED))
        workshop.gallery.current()
    clips = []
    for seed, person in enumerate((MOURNED[0].person, LICENSED.person, STRANGERS[0].person, STRANGERS[1].person)):
        clips.append(folder / f"clip-{seed}.mp4")
        film(clips[-1], (person,), seconds=SHORT_S, seed=seed, fps=12)
    return tuple(clips)


def _say(text: str) -> None:
    print(f"… {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()

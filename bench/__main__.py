"""`python -m bench [--repeats N] [--json FILE]`: make the footage, let both pipelines take turns, print the tables."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from bench import machine
from bench.footage import ARCHITECTURE, COHORT, FPS, GALLERY, SECONDS, SIZE, Footage
from bench.report import figures, sum_of, table
from bench.run import Run
from monitor.vision.encoder import Precision, multiplies_bfloat16

NAIVE = "naive"
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16") if multiplies_bfloat16() else ("fp32",)
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

Runs = dict[str, dict[str, list[Run]]]


def main() -> None:
    options = _options()
    print(_settings(options.repeats), flush=True)
    with tempfile.TemporaryDirectory(prefix="sosie-bench-") as folder:
        footage = Footage(Path(folder))
        _say("Making the footage (a minute or two)")
        footage.make()
        runs = _measure(footage, options.repeats)
    for video, sides in runs.items():
        for precision in PRECISIONS:
            print(f"\n{table(f'{SECONDS} s of video: {video}; ours in {precision}', sides[NAIVE], sides[precision])}")
    for precision in PRECISIONS:
        naive, ours = (sum(sum_of(sides[side]) for sides in runs.values()) for side in (NAIVE, precision))
        print(f"\nAll videos, ours in {precision}: {naive / ours:.1f}x less CPU than naive")
    if len(PRECISIONS) == 1:
        print("\nThis processor does not multiply bfloat16 itself: SOSIE_PRECISION=bf16 was left out.")
    if options.json:
        facts = {"cpu": machine.cpu(), "cores": os.cpu_count(), "versions": machine.versions(), "repeats": options.repeats}
        videos = {video: {side: figures(sides[NAIVE], sides[side]) for side in PRECISIONS} for video, sides in runs.items()}
        options.json.write_text(json.dumps(facts | {"cpu_seconds": videos}, indent=1) + "\n", encoding="utf-8")


def _measure(footage: Footage, repeats: int) -> Runs:
    sides = (NAIVE, *PRECISIONS)
    runs: Runs = defaultdict(lambda: {side: [] for side in sides})
    for number in range(repeats):
        for side in sides:
            _say(f"Run {number + 1} of {repeats}: {side}")
            for line in _output(side, footage).splitlines():
                run = Run.read(line)
                runs[run.video][side].append(run)
    return runs


def _output(side: str, footage: Footage) -> str:
    """Each side starts afresh: what one sets up (FAISS's core type, threads, settings) must not reach the other."""
    kept = {name: value for name, value in os.environ.items() if name != "OPENBLAS_CORETYPE" and not name.startswith("SOSIE_")}
    command = [sys.executable, "-m", f"bench.{NAIVE if side == NAIVE else 'ours'}", str(footage.folder)]
    command += [] if side == NAIVE else [side]
    done = subprocess.run(command, env=kept | dict.fromkeys(_ONE_THREAD, "1"), stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout


def _settings(repeats: int) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in machine.versions().items())
    return "\n".join(
        [
            f"CPU: {machine.cpu()}, {os.cpu_count()} cores, load {machine.load():.1f}; one thread per numeric library on both sides.",
            f"With: {versions}.",
            f"Video: {SIZE[1]}x{SIZE[0]} H.264, {FPS} frames per second. Gallery: {GALLERY:,} vectors, and {COHORT} strangers for ours.",
            "Naive: OpenCV decodes every frame and keeps one per second; MTCNN's defaults on full frames; open_clip's PIL transform;",
            f"       {ARCHITECTURE} in batches of one, fp32; FAISS IndexFlatIP searched with one face at a time.",
            "Ours:  what `scan` runs, from the file to the matches: with its defaults (fp32), and with SOSIE_PRECISION=bf16.",
            "       Both embed each frame and each face.",
            f"The weights of {ARCHITECTURE} are random, for timing alone: they cost what trained ones cost, and recognise nobody.",
            f"Figures: median of {repeats} runs (lowest–highest); loading models and starting workers is left out.",
        ]
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="CPU-seconds of a scan beside the naive pipeline's.")
    parser.add_argument("--repeats", type=int, default=2, choices=range(1, 21), metavar="N", help="runs of each pipeline (default 2)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    return parser.parse_args()


def _say(text: str) -> None:
    print(f"… {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()

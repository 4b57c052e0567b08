"""`make fuzz`: every target for a share of the time, with inputs that no run had before.

    python -m tests.fuzz [--seconds 600] [--seed N] [--target NAME ...]
    python -m tests.fuzz --target NAME --input FILE        one input again

Each target runs in a child process with limits of memory and of time per input. An input that breaks a promise, takes too long or
ends the process is kept in a folder of its own, whose name is printed. Exits with 1 where there was one.
"""

from __future__ import annotations

import argparse
import random
import resource
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.fuzz import seeds
from tests.fuzz.mutate import mutated
from tests.fuzz.targets import TARGETS

MEMORY_BYTES = 2 * 1024**3
INPUT_S = 20
"""Of one input, on a machine that may have more to do."""


def main() -> int:
    options = _options()
    if options.input:
        TARGETS[options.target[0]].run(options.input.read_bytes())
        return 0
    if options.child:
        return _child(options.target[0], options.seed, options.seconds, options.child)
    names = options.target or list(TARGETS)
    folder = Path(tempfile.mkdtemp(prefix="sosie-fuzz-found-"))
    print(f"seed {options.seed}: {options.seconds / len(names):.0f} s for each of {', '.join(names)}", flush=True)
    found = [name for name in names if not _is_well(name, options.seed, options.seconds / len(names), folder)]
    if not found:
        folder.rmdir()
    return 1 if found else 0


def _is_well(name: str, seed: int, seconds: float, folder: Path) -> bool:
    """Run one target in a child; say how it went, and keep the input it ended with if it did not go well."""
    current = folder / name
    command = [
        sys.executable,
        "-m",
        "tests.fuzz",
        "--target",
        name,
        "--seed",
        str(seed),
        "--seconds",
        str(seconds),
        "--child",
        str(current),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        print(f"  {name}: {done.stdout.strip()}", flush=True)
        current.unlink(missing_ok=True)
        return True
    reason = signal.Signals(-done.returncode).name if done.returncode < 0 else (done.stderr.strip().splitlines() or ["no word"])[-1][:300]
    if reason == "SIGALRM":
        reason = f"took more than {INPUT_S} s"
    print(f"  {name}: FAILED ({reason})\n    repeat: python -m tests.fuzz --target {name} --input {current}", flush=True)
    return False


def _child(name: str, seed: int, seconds: float, current: Path) -> int:
    """Inputs until the time is over. The one at work lies in `current`, so that it outlives a crash."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    target, rng = TARGETS[name], random.Random(f"{name} {seed}")
    begin = [*target.seeds(), *(seeds.shared() if target.media else ())]
    end, count = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        content = begin[count] if count < len(begin) else mutated(begin, rng)
        current.write_bytes(content)
        signal.alarm(INPUT_S)  # not handled: also native code ends
        target.run(content)
        signal.alarm(0)
        count += 1
    print(f"{count:,} inputs")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Strangers' bytes for every parser, for as long as you like.")
    parser.add_argument("--seconds", type=float, default=600, metavar="N", help="for all targets together (default 600)")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**31), metavar="N", help="the same seed makes the same inputs")
    parser.add_argument("--target", action="append", choices=sorted(TARGETS), help="only this one; may be given several times")
    parser.add_argument("--input", type=Path, metavar="FILE", help="run the target once, on this file")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.input and len(options.target or ()) != 1:
        parser.error("--input needs one --target")
    return options


if __name__ == "__main__":
    sys.exit(main())

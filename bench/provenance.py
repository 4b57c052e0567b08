"""`python -m bench.provenance [FILE …]`: what the check of provenance costs, beside plain SHA-256 of the same bytes.

Both read the file from the page cache, take turns, and are measured in CPU time of this process. SHA-256 is hashlib's, over 1 MiB
at a time: what it costs to hash a file at all. The check is the whole of `monitor.provenance.check.check`: manifest, hashes,
signature, history and metadata; under one trust list, and under three, where it also finds out which of them vouches.

The files are a film of the cast, made longer by media data nobody plays (random bytes) and signed then, and the FILEs given.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import statistics
import struct
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from bench import machine
from monitor.cast.credentials import GENERATED, Studio
from monitor.cast.film import film
from monitor.cast.roster import LIVING
from monitor.provenance.check import check
from monitor.provenance.trust import TrustLists

MIB = 1024**2
SIZES_MIB = (0, 1, 4, 16, 100)  # of what is added
SMALL_BYTES = MIB  # below it the fixed cost of reading a manifest outweighs hashing, and a ratio says nothing


@dataclass(frozen=True, slots=True)
class Row:
    """CPU-milliseconds of each run over one file."""

    name: str
    size_bytes: int
    sha256: tuple[float, ...]
    one_list: tuple[float, ...]
    three_lists: tuple[float, ...]

    @property
    def ratio(self) -> float:
        return statistics.median(self.one_list) / statistics.median(self.sha256)

    @property
    def ratio_of_three(self) -> float:
        return statistics.median(self.three_lists) / statistics.median(self.sha256)

    def __str__(self) -> str:
        cells = [f"{statistics.median(runs):9.1f} {quantile(runs, 0.99):9.1f}" for runs in (self.sha256, self.one_list, self.three_lists)]
        per_mib = statistics.median(self.one_list) / (self.size_bytes / MIB)
        ratios = f"{self.ratio:7.2f} {self.ratio_of_three:7.2f}" if self.size_bytes >= SMALL_BYTES else f"{'–':>7} {'–':>7}"
        return f"{self.name[:32]:<32} {self.size_bytes / MIB:8.2f} {' '.join(cells)} {per_mib:8.2f} {ratios}"


HEAD = f"{'':<32} {'MiB':>8} {'SHA-256':>19} {'check, one list':>19} {'three lists':>19} {'ms/MiB':>8} {'ratio':>7} {'of 3':>7}"


def main() -> None:
    options = _options()
    print(f"CPU: {machine.cpu()}, {os.cpu_count()} cores, load {machine.load():.1f}. CPU-ms: median and p99 of {options.repeats} runs.\n")
    with tempfile.TemporaryDirectory(prefix="sosie-bench-") as name:
        folder = Path(name)
        ours = Studio("Bench")
        one, three = _lists(folder, ours)
        rows = []
        print(HEAD)
        for path in chain(_films(folder, ours), options.files):
            rows.append(_measured(path, one, three, options.repeats))
            print(rows[-1], flush=True)
    checks = [ms for row in rows if row.size_bytes <= 105 * MIB for ms in row.one_list]
    large = [row for row in rows if row.size_bytes >= SMALL_BYTES]
    print(f"\nAll files to 100 MB, one list: p50 {quantile(checks, 0.5):.1f} ms, p99 {quantile(checks, 0.99):.1f} ms of CPU for a check.")
    print(
        f"Files from 1 MiB: {_total(large):.2f} times the CPU of SHA-256, byte for byte; worst file {max(row.ratio for row in large):.2f}."
    )


def quantile(values: Iterator[float] | list[float] | tuple[float, ...], share: float) -> float:
    """The value that `share` of all do not exceed, by the nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -int(-share * len(ordered) // 1) - 1))]


def _total(rows: list[Row]) -> float:
    return sum(statistics.median(row.one_list) for row in rows) / sum(statistics.median(row.sha256) for row in rows)


def _measured(path: Path, one: TrustLists, three: TrustLists, repeats: int) -> Row:
    runs: tuple[list[float], list[float], list[float]] = ([], [], [])
    sides: tuple[Callable[[], object], ...] = (lambda: _sha256(path), lambda: check(path, one), lambda: check(path, three))
    for number in range(repeats + 1):
        for side, times in zip(sides, runs, strict=True):
            begin = time.process_time()
            side()
            if number:  # the first fills caches
                times.append(1000 * (time.process_time() - begin))
    return Row(path.name, path.stat().st_size, *(tuple(times) for times in runs))


def _sha256(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while piece := file.read(MIB):
            found.update(piece)
    return found.hexdigest()


def _films(folder: Path, studio: Studio) -> Iterator[Path]:
    short = folder / "short.mp4"
    film(short, [LIVING.person], seconds=2, seed=1)
    for size in SIZES_MIB:
        unsigned, signed = folder / "unsigned.mp4", folder / f"film-{size}.mp4"
        more = struct.pack(">I4s", 8 + size * MIB, b"mdat") + os.urandom(size * MIB)
        unsigned.write_bytes(short.read_bytes() + (more if size else b""))
        studio.sign(unsigned, signed, digital_source_type=GENERATED, generator="Sosie bench")
        yield signed
        signed.unlink()


def _lists(folder: Path, ours: Studio) -> tuple[TrustLists, TrustLists]:
    """Ours alone, and ours as the last of three."""
    files = []
    for name, studio in (("a", Studio("A")), ("b", Studio("B")), ("ours", ours)):
        files.append(folder / f"{name}.pem")
        files[-1].write_bytes(studio.anchor_pem)
    return TrustLists.load(files[-1:]), TrustLists.load(files)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.provenance", description="CPU of the check of provenance beside SHA-256.")
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="measured as well")
    parser.add_argument("--repeats", type=int, default=30, choices=range(2, 1001), metavar="N", help="runs of each (default 30)")
    return parser.parse_args()


if __name__ == "__main__":
    main()

"""From runs to figures, and from figures to a table. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from bench.run import STAGES, Run

SUM = "sum"


@dataclass(frozen=True, slots=True)
class Figure:
    """CPU-seconds of one stage over the repetitions."""

    median: float
    lowest: float
    highest: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Figure:
        return cls(median(seconds), min(seconds), max(seconds))

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.lowest:.2f}–{self.highest:.2f})"


@dataclass(frozen=True, slots=True)
class Row:
    """One stage of both pipelines; None where a pipeline has no such stage."""

    stage: str
    naive: Figure | None
    ours: Figure | None

    @property
    def ratio(self) -> float | None:
        """How many times less ours costs; None where there is nothing to compare, or nothing to measure."""
        if self.naive is None or self.ours is None or self.ours.median <= 0:
            return None
        return self.naive.median / self.ours.median


def rows(naive: Sequence[Run], ours: Sequence[Run]) -> list[Row]:
    """The stages of one video, and their sum, from all runs of each pipeline over it."""
    stages = [Row(stage, _figure(naive, stage), _figure(ours, stage)) for stage in STAGES]
    return [*stages, Row(SUM, _total(naive), _total(ours))]


def table(title: str, naive: Sequence[Run], ours: Sequence[Run]) -> str:
    """The rows as plain text, with what was looked at."""
    cells = [(row.stage, _text(row.naive), _text(row.ours), "" if row.ratio is None else f"{row.ratio:.1f}x") for row in rows(naive, ours)]
    cells.append(("frames, faces", _looked_at(naive), _looked_at(ours), ""))
    lines = [_line("CPU-seconds", "naive", "ours", "less by"), *(_line(*cell) for cell in cells)]
    return "\n".join([title, *(line.rstrip() for line in lines)])


def figures(naive: Sequence[Run], ours: Sequence[Run]) -> dict[str, Any]:
    """The rows for `--json`: stage → median, lowest and highest of each pipeline, and their ratio."""
    return {row.stage: {"naive": _values(row.naive), "ours": _values(row.ours), "ratio": row.ratio} for row in rows(naive, ours)}


def sum_of(runs: Sequence[Run]) -> float:
    """The median CPU-seconds of a whole run."""
    return _total(runs).median


def _figure(runs: Sequence[Run], stage: str) -> Figure | None:
    seconds = [run.seconds[stage] for run in runs if stage in run.seconds]
    return Figure.of(seconds) if seconds else None


def _total(runs: Sequence[Run]) -> Figure:
    return Figure.of([sum(run.seconds.values()) for run in runs])


def _looked_at(runs: Sequence[Run]) -> str:
    return f"{runs[0].frames}, {runs[0].faces}"


def _text(figure: Figure | None) -> str:
    return "none" if figure is None else str(figure)


def _values(figure: Figure | None) -> dict[str, float] | None:
    if figure is None:
        return None
    return {"median": round(figure.median, 3), "lowest": round(figure.lowest, 3), "highest": round(figure.highest, 3)}


def _line(stage: str, naive: str, ours: str, ratio: str) -> str:
    return f"  {stage:<14}{naive:>22}{ours:>22}{ratio:>10}"

from __future__ import annotations

import pytest

from bench.report import Figure, figures, rows, table
from bench.run import DECODE, FACES, PROVENANCE, Run

NAIVE = [Run("clip", {DECODE: 4.0, FACES: 8.0}, 30, 60), Run("clip", {DECODE: 6.0, FACES: 8.0}, 30, 60)]
OURS = [Run("clip", {PROVENANCE: 0.0, DECODE: 1.0, FACES: 2.0}, 36, 72), Run("clip", {PROVENANCE: 0.0, DECODE: 1.0, FACES: 4.0}, 36, 72)]


def by_stage() -> dict[str, float | None]:
    return {row.stage: row.ratio for row in rows(NAIVE, OURS)}


def test_a_ratio_says_how_many_times_less_ours_costs() -> None:
    assert by_stage()["decode"] == pytest.approx(5.0)
    assert by_stage()["faces"] == pytest.approx(8 / 3)


def test_the_sum_holds_the_stages_only_one_side_has() -> None:
    ours = [Run("clip", {PROVENANCE: 1.0, DECODE: 1.0}, 1, 0)]
    naive = [Run("clip", {DECODE: 4.0}, 1, 0)]
    assert rows(naive, ours)[-1].ratio == pytest.approx(2.0)


def test_the_sum_is_of_runs_not_of_medians() -> None:
    runs = [Run("clip", {DECODE: a, FACES: b}, 1, 0) for a, b in ((1.0, 9.0), (2.0, 1.0), (9.0, 2.0))]
    total = rows(runs, runs)[-1].naive
    assert total == Figure(10.0, 3.0, 11.0)


def test_nothing_to_compare_gives_no_ratio() -> None:
    assert by_stage()["provenance"] is None
    assert by_stage()["search"] is None


def test_a_table_shows_spread_and_what_was_looked_at() -> None:
    text = table("clip", NAIVE, OURS)
    decode = next(line for line in text.splitlines() if "decode" in line)
    assert decode.split() == ["decode", "5.00", "(4.00–6.00)", "1.00", "(1.00–1.00)", "5.0x"]
    assert "30, 60" in text
    assert "36, 72" in text
    assert "none" in next(line for line in text.splitlines() if "provenance" in line)


def test_figures_are_plain_numbers() -> None:
    assert figures(NAIVE, OURS)["decode"] == {
        "naive": {"median": 5.0, "lowest": 4.0, "highest": 6.0},
        "ours": {"median": 1.0, "lowest": 1.0, "highest": 1.0},
        "ratio": 5.0,
    }


def test_a_run_survives_the_way_between_processes() -> None:
    assert Run.read(OURS[0].tell()) == OURS[0]

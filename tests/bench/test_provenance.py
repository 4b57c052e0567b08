"""The figures of `bench.provenance`: what a rank and a ratio are."""

from __future__ import annotations

import pytest

from bench.provenance import MIB, Row, quantile


@pytest.mark.parametrize(("share", "expected"), [(0.0, 1), (0.5, 50), (0.99, 99), (1.0, 100)])
def test_a_quantile_is_the_value_that_so_many_do_not_exceed(share: float, expected: float) -> None:
    assert quantile([float(number) for number in range(100, 0, -1)], share) == expected


def test_a_ratio_is_of_medians_and_small_files_show_none() -> None:
    large = Row("a.mp4", 2 * MIB, (10.0, 11.0, 90.0), (22.0, 20.0, 50.0), (33.0,))
    assert (large.ratio, large.ratio_of_three) == (2.0, 3.0)
    assert str(large).split()[-3:] == ["11.00", "2.00", "3.00"]
    assert str(Row("b.mp4", 1000, (1.0,), (5.0,), (9.0,))).split()[-2:] == ["–", "–"]

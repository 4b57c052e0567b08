"""Where the face is in a still."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.console.framing import MARGIN, framing


def test_the_outline_is_the_box_and_the_cutout_is_a_square_around_it() -> None:
    found = framing(1000, 500, (0.4, 0.4, 0.5, 0.6))
    assert found.outline == (400, 200, 100, 100)
    assert found.cutout == (450 - 50 * MARGIN, 250 - 50 * MARGIN, 100 * MARGIN, 100 * MARGIN)
    assert not found.tall


@given(st.tuples(*[st.floats(-0.5, 1.5)] * 4), st.integers(10, 4000), st.integers(10, 4000))
def test_nothing_reaches_outside_the_still(box: tuple[float, float, float, float], width: int, height: int) -> None:
    found = framing(width, height, box)
    for part in (found.outline, found.cutout):
        if part is not None:
            x, y, w, h = part
            assert -0.1 <= x <= width
            assert -0.1 <= y <= height
            assert x + w <= width + 0.2
            assert y + h <= height + 0.2


@pytest.mark.parametrize("box", [None, (0.5, 0.5, 0.5, 0.9), (0.9, 0.1, 0.2, 0.4), (1.2, 0.1, 1.4, 0.4)])
def test_no_box_or_an_empty_one_gives_no_outline(box: tuple[float, float, float, float] | None) -> None:
    found = framing(300, 600, box)
    assert (found.outline, found.cutout) == (None, None)
    assert found.tall

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from monitor.vision.spans import spans


def test_neighbours_are_one_stretch_and_the_last_frame_stands_until_the_end() -> None:
    times = [0.0, 1.0, 2.0, 5.0]
    assert spans(times, [], 6.0) == ()
    assert spans(times, [0, 1], 6.0) == ((0.0, 2.0),)
    assert spans(times, [0, 2, 3], 6.0) == ((0.0, 1.0), (2.0, 6.0))
    assert spans(times, [2], 6.0) == ((2.0, 5.0),), "what was dropped in between looked the same"
    assert spans(times, [3], 4.0) == ((5.0, 5.0),), "an end that a file puts before its last frame"


@given(data=st.data(), gaps=st.lists(st.floats(0.01, 100), min_size=1, max_size=30), rest=st.floats(0.01, 10))
def test_spans_are_apart_in_order_and_last_as_long_as_their_frames(data: st.DataObject, gaps: list[float], rest: float) -> None:
    times = [0.0]
    for gap in gaps:
        times.append(times[-1] + gap)
    end = times[-1] + rest
    frames = sorted(data.draw(st.sets(st.integers(0, len(times) - 1))))
    found = spans(times, frames, end)
    assert all(before[1] < after[0] for before, after in pairwise(found))
    assert all(start <= stop for start, stop in found)
    until = [*times[1:], end]
    total = sum(stop - start for start, stop in found)
    assert abs(total - sum(until[i] - times[i] for i in frames)) < 1e-6 * max(1, end)
    for index, time_s in enumerate(times):
        assert any(start <= time_s < stop for start, stop in found) is (index in frames)

"""Display geometry: turns, mirrors, sample aspect, limits."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.vision.display import fitted_size
from monitor.vision.frames import SampleOptions, sample, stills
from tests.monitor.vision.footage import X264, write

# A picture with four different corners: red, green / blue, white.
CORNERS = np.zeros((64, 96, 3), np.uint8)
CORNERS[:32, :48] = (255, 0, 0)
CORNERS[:32, 48:] = (0, 255, 0)
CORNERS[32:, :48] = (0, 0, 255)
CORNERS[32:, 48:] = (255, 255, 255)

IDENTITY = (1, 0, 0, 1)
# (a, b, c, d) of the display matrix, as ISO/IEC 14496-12 has it, and how numpy would do the same.
MATRICES = {
    "upright": ((1, 0, 0, 1), lambda picture: picture),
    "90 clockwise": ((0, 1, -1, 0), lambda picture: np.rot90(picture, -1)),
    "180": ((-1, 0, 0, -1), lambda picture: np.rot90(picture, 2)),
    "270 clockwise": ((0, -1, 1, 0), lambda picture: np.rot90(picture, 1)),
    "mirrored": ((-1, 0, 0, 1), np.fliplr),
    "upside down": ((1, 0, 0, -1), np.flipud),
    "transposed": ((0, 1, 1, 0), lambda picture: picture.transpose(1, 0, 2)),
}


@pytest.mark.parametrize("name", MATRICES)
def test_the_display_matrix_is_applied(tmp_path: Path, name: str) -> None:
    (a, b, c, d), expected = MATRICES[name]
    matrix = [a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30]
    path = write(tmp_path / "x.mp4", [CORNERS] * 3, options=X264, prepare=lambda stream: stream.set_display_matrix(matrix))
    shown = sample(path, None, SampleOptions()).frames[0].image
    upright = expected(CORNERS)
    assert shown.shape == upright.shape
    assert shown.flags.c_contiguous
    assert np.abs(shown.astype(int) - upright)[8:24, 8:24].max() < 40
    assert np.abs(shown.astype(int) - upright).mean() < 12
    assert stills(path, [0.0], 512)[0].image.shape == upright.shape


@pytest.mark.parametrize(("aspect", "size"), [((2, 1), (96, 32)), ((1, 2), (48, 64)), ((100, 1), (96, 64))])
def test_pixels_become_square_without_growing(tmp_path: Path, aspect: tuple[int, int], size: tuple[int, int]) -> None:
    def prepare(stream: object) -> None:
        stream.codec_context.sample_aspect_ratio = Fraction(*aspect)  # type: ignore[attr-defined]

    path = write(tmp_path / "x.mp4", [CORNERS] * 2, options=X264, prepare=prepare)
    assert sample(path, None, SampleOptions()).frames[0].image.shape == (size[1], size[0], 3)


@given(
    width=st.integers(1, 8192),
    height=st.integers(1, 8192),
    aspect=st.none() | st.fractions(Fraction(1, 100), 100),
    limit=st.integers(16, 4096),
)
def test_fitted_sizes_stay_within_limits(width: int, height: int, aspect: Fraction | None, limit: int) -> None:
    for fitted in (
        fitted_size(width, height, aspect, short_side_px=limit),
        fitted_size(width, height, aspect, long_side_px=limit),
    ):
        assert 1 <= fitted[0] <= width
        assert 1 <= fitted[1] <= height
    assert min(fitted_size(width, height, aspect, short_side_px=limit)) <= limit
    assert max(fitted_size(width, height, aspect, long_side_px=limit)) <= limit

from __future__ import annotations

import cv2
import numpy as np
import pytest

from monitor.vision.edges import best_near, correlate, edge_field, spectrum, turned
from tests.monitor.vision.marks import made_mark


def scene() -> tuple[np.ndarray, np.ndarray]:
    """(picture, the mark that lies in it at x=70, y=40)."""
    picture = np.random.default_rng(5).normal(100, 12, (160, 300)).astype(np.float32)
    mark = np.pad(made_mark()[..., 3], 4).astype(np.float32) * 0.8 + 40
    picture[40 : 40 + mark.shape[0], 70 : 70 + mark.shape[1]] = mark
    return np.clip(picture, 0, 255), mark


def part_of(mark: np.ndarray) -> np.ndarray:
    field = edge_field(mark, 20.0)
    field[np.hypot(field[..., 0], field[..., 1]) < 0.25] = 0
    return field / (field**2).sum()


def test_an_edge_counts_about_the_same_however_strong_it_is_and_noise_little() -> None:
    step = np.repeat(np.where(np.arange(64) < 32, 0.0, 1.0)[None], 32, axis=0).astype(np.float32)
    strong, weak, noise = (np.hypot(*cv2.split(edge_field(100 + height * step, 8.0))).max() for height in (150, 75, 4))
    assert 0.75 < weak < strong < 1
    assert noise < 0.3
    assert not edge_field(np.full((20, 20), 128, np.uint8), 8.0).any()


def test_direction_is_that_of_the_gradient() -> None:
    down = edge_field(np.repeat(np.linspace(0, 255, 40, dtype=np.float32)[:, None], 40, axis=1), 8.0)[20, 20]
    assert down[1] > 0.3
    assert abs(down[0]) < 1e-6


def test_the_correlation_is_highest_where_the_mark_lies_and_nearly_one_there() -> None:
    picture, mark = scene()
    whole, part = spectrum(edge_field(picture, 20.0)), part_of(mark)
    real, imaginary = cv2.split(correlate(whole, spectrum(part, padded=whole.padded)))
    _, best, _, at = cv2.minMaxLoc(real)
    assert at == (70, 40)
    assert best > 0.9
    assert abs(imaginary[40, 70]) < 0.05
    assert real.shape == (160 - mark.shape[0] + 1, 300 - mark.shape[1] + 1)


def test_it_is_the_plain_correlation_and_the_imaginary_part_is_that_with_the_part_turned_by_90_degrees() -> None:
    picture, mark = scene()
    field, part = edge_field(picture, 20.0), part_of(mark)
    whole = spectrum(field)
    found = correlate(whole, spectrum(part, padded=whole.padded))
    for turn, layer in ((1, found[..., 0]), (1j, found[..., 1])):
        expected = cv2.matchTemplate(field, turned(part, turn), cv2.TM_CCORR)
        np.testing.assert_allclose(layer, expected, atol=1e-4)


def test_a_part_that_does_not_fit_is_nowhere() -> None:
    whole = spectrum(edge_field(np.zeros((30, 30), np.uint8), 8.0))
    part = edge_field(np.zeros((20, 40), np.uint8), 8.0)
    assert correlate(whole, spectrum(part, padded=whole.padded)).shape == (0, 0, 2)
    assert best_near(np.zeros((30, 30, 2), np.float32), part, (15, 15), 3) == (0.0, (0.0, 0.0, 0.0, 0.0))


@pytest.mark.parametrize("turn", [1, -1, 1j, -1j])
def test_turning_keeps_lengths_and_four_quarters_are_none(turn: complex) -> None:
    _, mark = scene()
    part = part_of(mark)
    again = part
    for _ in range(4):
        again = turned(again, turn)
    np.testing.assert_allclose(again, part, atol=1e-6)
    np.testing.assert_allclose(np.hypot(*cv2.split(turned(part, turn))), np.hypot(*cv2.split(part)), atol=1e-6)


def test_the_search_near_a_place_says_where_in_fractions_and_looks_no_further_than_asked() -> None:
    picture, mark = scene()
    field, part = edge_field(picture, 20.0), part_of(mark)
    middle = (70 + mark.shape[1] / 2, 40 + mark.shape[0] / 2)
    agreement, box = best_near(field, part, (middle[0] + 3, middle[1] - 3), 4)
    assert agreement > 0.9
    assert box == pytest.approx((70 / 300, 40 / 160, (70 + mark.shape[1]) / 300, (40 + mark.shape[0]) / 160), abs=1e-3)
    assert best_near(field, part, (middle[0] + 12, middle[1]), 4)[0] < 0.5
    assert best_near(field, part, (-40, -40), 4)[0] == 0.0

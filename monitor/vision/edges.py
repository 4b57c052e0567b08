"""Pictures as fields of edge directions, and how well two of them agree at each place.

A field is float32 `(h, w, 2)`: the gradient divided by its length plus `faint`, so that each edge counts about the same
however strong it is, and noise counts little. Read as complex numbers, the correlation of two fields has as its real part
the sum of the cosines between their directions, as its imaginary part that of the sines.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]

_SMOOTHING_PX = 0.8


@dataclass(frozen=True, slots=True, eq=False)
class Spectrum:
    """The Fourier transform of a field of `shape`, padded with nothing to `padded`."""

    values: NDArray[np.float32]
    shape: tuple[int, int]
    padded: tuple[int, int]


def edge_field(luma: NDArray[np.uint8] | NDArray[np.float32], faint: float) -> Field:
    """The field of a picture of 0 to 255; a gradient of `faint` levels per pixel counts half of a sharp edge."""
    smooth = cv2.GaussianBlur(luma.astype(np.float32), (0, 0), _SMOOTHING_PX)
    across = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, ksize=3, scale=0.25)
    down = cv2.Sobel(smooth, cv2.CV_32F, 0, 1, ksize=3, scale=0.25)
    damping = cv2.magnitude(across, down) + faint
    return np.asarray(cv2.merge((across / damping, down / damping)), np.float32)


def spectrum(field: Field, padded: tuple[int, int] | None = None) -> Spectrum:
    """The spectrum of a field, by default padded to the next size that is fast. Fields to be correlated must be padded to the same."""
    height, width = field.shape[:2]
    padded = padded or (cv2.getOptimalDFTSize(height), cv2.getOptimalDFTSize(width))
    values = np.zeros((*padded, 2), np.float32)
    kept = field[: padded[0], : padded[1]]
    values[: kept.shape[0], : kept.shape[1]] = kept
    return Spectrum(cv2.dft(values), (height, width), padded)


def correlate(whole: Spectrum, part: Spectrum) -> Field:
    """The agreement at each place where `part` fits into `whole`, `(places down, places across, 2)`; empty where it does not fit."""
    down, across = whole.shape[0] - part.shape[0] + 1, whole.shape[1] - part.shape[1] + 1
    if down < 1 or across < 1:
        return np.empty((0, 0, 2), np.float32)
    product = cv2.mulSpectrums(whole.values, part.values, 0, conjB=True)
    return np.asarray(cv2.idft(product, flags=cv2.DFT_SCALE)[:down, :across], np.float32)


def turned(field: Field, turn: complex) -> Field:
    """The field with each direction turned, by a complex number of length one."""
    across, down = field[..., 0], field[..., 1]
    return np.stack((turn.real * across - turn.imag * down, turn.imag * across + turn.real * down), axis=-1).astype(np.float32)


def best_near(whole: Field, part: Field, centre: tuple[float, float], reach: int) -> tuple[float, tuple[float, float, float, float]]:
    """The highest real agreement with the part's centre within `reach` pixels of `centre` (x, y), and the part's box there.

    The box is left, top, right, bottom in fractions of the whole; agreement 0 where the part does not fit.
    """
    (height, width), (high, wide) = whole.shape[:2], part.shape[:2]
    left, top = round(centre[0] - wide / 2), round(centre[1] - high / 2)
    x0, y0 = max(0, left - reach), max(0, top - reach)
    window = whole[y0 : max(0, top + high + reach), x0 : max(0, left + wide + reach)]
    if window.shape[0] < high or window.shape[1] < wide:
        return 0.0, (0.0, 0.0, 0.0, 0.0)
    _, agreement, _, (x, y) = cv2.minMaxLoc(cv2.matchTemplate(np.ascontiguousarray(window), part, cv2.TM_CCORR))
    x, y = x + x0, y + y0
    return float(agreement), (round(x / width, 4), round(y / height, 4), round((x + wide) / width, 4), round((y + high) / height, 4))

"""Anti-aliased drawing on an RGB picture: fills, tints, lines and soft shade, in pixels with fractions."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Canvas", "Picture", "Points", "Tone", "curve", "mix", "oval", "scale_colour"]

Picture = NDArray[np.uint8]
Points = NDArray[np.float64]
Tone = tuple[float, float, float]

_SHIFT = 4
_NEUTRAL = 128


def mix(first: ArrayLike, second: ArrayLike, share: float) -> Tone:
    """The colour `share` of the way from `first` to `second`."""
    red, green, blue = np.asarray(first, float) * (1 - share) + np.asarray(second, float) * share
    return float(red), float(green), float(blue)


def scale_colour(colour: ArrayLike, factor: float) -> Tone:
    """The colour made brighter (above 1) or darker."""
    red, green, blue = np.clip(np.asarray(colour, float) * factor, 0, 255)
    return float(red), float(green), float(blue)


def curve(points: ArrayLike, *, closed: bool = True, steps: int = 6) -> Points:
    """A Catmull-Rom curve through `points` (n, 2), with `steps` points for each given one."""
    p = np.asarray(points, float)
    if closed:
        before, after, far = np.roll(p, 1, 0), np.roll(p, -1, 0), np.roll(p, -2, 0)
    else:
        padded = np.vstack([p[:1], p, p[-1:], p[-1:]])
        before, p, after, far = padded[:-3], padded[1:-2], padded[2:-1], padded[3:]
    t = (np.arange(steps) / steps)[None, :, None]
    a, b, c, d = (q[:, None, :] for q in (before, p, after, far))
    curved = 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
    flat: Points = curved.reshape(-1, 2)
    return flat if closed else flat[: len(flat) - steps + 1]


def oval(x: float, y: float, width: float, height: float, *, tilt: float = 0.0, count: int = 24) -> Points:
    """An ellipse's outline; `width` and `height` are radii, `tilt` is in radians."""
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False)
    u, v = width * np.cos(angle), height * np.sin(angle)
    return np.stack([x + u * np.cos(tilt) - v * np.sin(tilt), y + u * np.sin(tilt) + v * np.cos(tilt)], axis=1)


class Canvas:
    """A picture being drawn. `pixels` (h, w, 3) is changed in place."""

    def __init__(self, pixels: Picture) -> None:
        self.pixels = pixels

    def fill(self, outline: Points, colour: ArrayLike) -> None:
        cv2.fillPoly(self.pixels, [_fixed(outline)], _tone(colour), cv2.LINE_AA, _SHIFT)

    def line(self, path: Points, colour: ArrayLike, width: float, *, closed: bool = False) -> None:
        """A stroke; below one pixel it fades instead of getting thinner."""
        if width < 1:
            self.tint(path, colour, max(width, 0.15), width=1, closed=closed)
            return
        cv2.polylines(self.pixels, [_fixed(path)], closed, _tone(colour), max(1, round(width)), cv2.LINE_AA, _SHIFT)

    def tint(self, outline: Points, colour: ArrayLike, share: float, *, width: int = 0, closed: bool = True) -> None:
        """Fill, or stroke where `width` is given, with `share` of the colour and the rest of what is there."""
        window = self._window(outline, width + 2)
        if window is None:
            return
        rows, columns = window
        under = self.pixels[rows, columns]
        over = under.copy()
        moved = _fixed(outline - (columns.start, rows.start))
        if width:
            cv2.polylines(over, [moved], closed, _tone(colour), width, cv2.LINE_AA, _SHIFT)
        else:
            cv2.fillPoly(over, [moved], _tone(colour), cv2.LINE_AA, _SHIFT)
        cv2.addWeighted(over, share, under, 1 - share, 0, dst=over)
        self.pixels[rows, columns] = over

    def shade(self, within: Points, spots: list[tuple[Points, float]], blur: float) -> None:
        """Darken (below 0) or lighten (above 0) soft spots, inside the outline `within` only. Values are shares of the tone there."""
        window = self._window(within, 1)
        if window is None:
            return
        rows, columns = window
        corner = (columns.start, rows.start)
        height, width = rows.stop - rows.start, columns.stop - columns.start
        step = max(1, round(blur / 3))
        layer = np.full((-(-height // step), -(-width // step)), _NEUTRAL, np.uint8)
        for outline, value in spots:
            under = layer.copy()
            cv2.fillPoly(under, [_fixed((outline - corner) / step)], _NEUTRAL * (1 + value), cv2.LINE_AA, _SHIFT)
            layer = under
        layer = cv2.GaussianBlur(layer, (0, 0), max(0.6, blur / step))
        if step > 1:
            layer = cv2.resize(layer, (width, height), interpolation=cv2.INTER_LINEAR)
        inside = np.zeros((height, width), np.uint8)
        cv2.fillPoly(inside, [_fixed(within - corner)], 255, cv2.LINE_8, _SHIFT)
        layer[inside == 0] = _NEUTRAL
        self._multiply(rows, columns, layer)

    def relight(self, factor: NDArray[np.float32]) -> None:
        """Multiply the whole picture by a coarse map of factors (1 = unchanged, at most 1.99)."""
        coarse = np.clip(factor * _NEUTRAL, 0, 255).astype(np.uint8)
        height, width = self.pixels.shape[:2]
        layer = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
        self._multiply(slice(0, height), slice(0, width), layer)

    def _multiply(self, rows: slice, columns: slice, layer: NDArray[np.uint8]) -> None:
        spread = layer if layer.ndim == 3 else cv2.merge([layer, layer, layer])
        self.pixels[rows, columns] = cv2.multiply(self.pixels[rows, columns], spread, scale=1 / _NEUTRAL)

    def _window(self, outline: Points, margin: int) -> tuple[slice, slice] | None:
        height, width = self.pixels.shape[:2]
        left, top = np.floor(outline.min(axis=0)).astype(int) - margin
        right, bottom = np.ceil(outline.max(axis=0)).astype(int) + margin + 1
        left, top, right, bottom = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
        return (slice(int(top), int(bottom)), slice(int(left), int(right))) if left < right and top < bottom else None


def _fixed(points: Points) -> NDArray[np.int32]:
    return np.round(points * (1 << _SHIFT)).astype(np.int32)


def _tone(colour: ArrayLike) -> Tone:
    red, green, blue = np.asarray(colour, float)
    return float(red), float(green), float(blue)

"""Still pictures: reference pictures in, evidence JPEGs out.

`decode_picture` runs inside the sandbox. Only formats people hand in as photographs are tried; a picture whose header
claims more than `MAX_PIXELS` is refused before any of it is decoded.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from monitor.base.errors import NotFound, TooLarge, UnreadableMedia

MAX_PIXELS = 100_000_000
"""Twice the largest cameras; 300 MB as RGB."""

ABSURD_ASPECT = 40

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "AVIF")

_WIDE_MODES = ("I", "I;16", "I;16L", "I;16B", "I;16N", "F")
_NOT_A_PICTURE = "Give a JPEG, PNG, WebP, TIFF, BMP or AVIF picture; a video's likeness is added from the video itself"


def decode_picture(path: Path, max_side_px: int = 2048) -> NDArray[np.uint8]:
    """uint8 RGB (h, w, 3): upright as EXIF says, transparency on white, no side longer than `max_side_px`, never scaled up.

    Of an animation, the first frame. Sixteen-bit greys keep their range. Colour profiles are not applied.
    Raises `NotFound`; `TooLarge` (more than `MAX_PIXELS`); `UnreadableMedia` (another format, a video, cut short, damaged).
    """
    return _decoded(path, max_side_px, _rgb)


def decode_layer(path: Path, max_side_px: int = 2048) -> NDArray[np.uint8]:
    """A picture as `decode_picture` gives it, but uint8 RGBA (h, w, 4): transparency is kept."""
    return _decoded(path, max_side_px, _rgba)


def _decoded(path: Path, max_side_px: int, convert: Callable[[Image.Image], Image.Image]) -> NDArray[np.uint8]:
    try:
        with path.open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _decode(path, file, max_side_px, convert)
    except FileNotFoundError:
        raise NotFound(path, "no such file", "Check the path") from None
    except IsADirectoryError:
        raise UnreadableMedia(path, "is a folder", "Name a picture in it") from None
    except UnidentifiedImageError:
        raise UnreadableMedia(path, "is no picture that Sosie reads", _NOT_A_PICTURE) from None
    except Image.DecompressionBombError:
        raise TooLarge(path, f"claims far more than {MAX_PIXELS} pixels", "Scale it down and try again") from None
    except (TooLarge, UnreadableMedia):
        raise
    except Exception as error:
        raise UnreadableMedia(path, f"is cut short or damaged ({error})", "Open it in a viewer; save or fetch it again") from error


def jpeg_bytes(image: NDArray[np.uint8], quality: int = 90) -> bytes:
    """A baseline JPEG of uint8 RGB (h, w, 3), without any metadata."""
    out = io.BytesIO()
    Image.fromarray(image).save(out, "JPEG", quality=quality, optimize=True)
    return out.getvalue()


def _decode(path: Path, file: io.BufferedReader, max_side_px: int, convert: Callable[[Image.Image], Image.Image]) -> NDArray[np.uint8]:
    Image.init()  # else a format named in FORMATS that nobody has loaded yet is a KeyError
    with Image.open(file, formats=FORMATS) as opened:
        picture: Image.Image = opened
        width, height = picture.size
        if width * height > MAX_PIXELS:
            raise TooLarge(path, f"has {width}x{height} pixels, more than {MAX_PIXELS}", "Scale it down and try again")
        if max(width, height) > ABSURD_ASPECT * min(width, height):
            raise UnreadableMedia(path, f"measures {width}x{height}: a strip, not a picture", "Give a picture that is not")
        if isinstance(opened, ImageFile.ImageFile):
            opened.draft("RGB", (max_side_px, max_side_px))  # a JPEG is decoded at ½, ¼ or ⅛ where that is still large enough
        picture.load()
        picture = convert(ImageOps.exif_transpose(picture))
        picture.thumbnail((max_side_px, max_side_px), Image.Resampling.LANCZOS)
        return np.ascontiguousarray(picture, dtype=np.uint8)


def _rgb(picture: Image.Image) -> Image.Image:
    if picture.mode in _WIDE_MODES:
        return _from_wide(picture).convert("RGB")
    if picture.has_transparency_data:
        layer = picture.convert("RGBA")
        white = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(white, layer).convert("RGB")
    return picture.convert("RGB")


def _rgba(picture: Image.Image) -> Image.Image:
    return (_from_wide(picture) if picture.mode in _WIDE_MODES else picture).convert("RGBA")


def _from_wide(picture: Image.Image) -> Image.Image:
    """An 8-bit picture from greys of more than 8 bits: 16-bit integers by their upper byte, anything else by its own range."""
    levels = np.asarray(picture, dtype=np.float64)
    low, high = (0.0, 65535.0) if picture.mode.startswith("I") else (float(levels.min()), float(levels.max()))
    scaled = (levels - low) / max(high - low, 1e-9) * 255
    return Image.fromarray(np.clip(scaled, 0, 255).astype(np.uint8))

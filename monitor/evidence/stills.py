"""The stills of a pack: decoded anew from the video, or, where that is gone, those that were kept at the scan."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from monitor.vision.frames import stills
from monitor.vision.pictures import jpeg_bytes

_FULL_SIDE_PX = 65535
_PREVIEW_SIDE_PX = 960
_PREVIEW_QUALITY = 85


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture file, not signed yet, and a small JPEG of it for the page. For the fields see `manifest.PackedStill`."""

    content: bytes
    media_type: str
    shown_s: float
    width: int
    height: int
    pixels_sha256: str | None
    preview: bytes


def exact(path: Path, time_s: float) -> Picture:
    """The frame on screen at `time_s`, as displayed, at full size, as PNG. To be called inside the sandbox; one at a time bounds memory.

    Deterministic for the same bytes, decoder and moment. Raises as `monitor.vision.frames.stills`.
    """
    (frame,) = stills(path, [time_s], _FULL_SIDE_PX)
    height, width = frame.image.shape[:2]
    picture = Image.fromarray(frame.image)
    png = io.BytesIO()
    picture.save(png, "PNG")
    digest = hashlib.sha256(width.to_bytes(4, "big") + height.to_bytes(4, "big") + frame.image.tobytes())
    return Picture(png.getvalue(), "image/png", frame.time_s, width, height, digest.hexdigest(), _preview(picture))


def kept(content: bytes, time_s: float) -> Picture:
    """A still that Sosie stored when it scanned the video. Raises OSError where it is no JPEG."""
    with Image.open(io.BytesIO(content), formats=["JPEG"]) as picture:
        return Picture(content, "image/jpeg", time_s, picture.width, picture.height, None, _preview(picture))


def _preview(picture: Image.Image) -> bytes:
    small = picture.convert("RGB")
    small.thumbnail((_PREVIEW_SIDE_PX, _PREVIEW_SIDE_PX), Image.Resampling.LANCZOS)
    return jpeg_bytes(np.asarray(small), _PREVIEW_QUALITY)

"""The container, told from the first bytes where c2pa-rs does not tell it itself.

c2pa-rs recognises JPEG, PNG, GIF, TIFF, RIFF, ISO BMFF with `ftyp`, PDF, ID3 and FLAC by content and ignores a wrong hint.
It needs a hint for the formats below. A file's name is never asked.
"""

from __future__ import annotations

HEAD_BYTES = 4096
"""How much of the file `hint` wants to see."""


def hint(head: bytes) -> str | None:
    """The media type of these first bytes, or None: then the library's own detection decides."""
    if head[4:8] == b"jumb":
        return "application/c2pa"
    if head[4:8] == b"styp":
        return "video/mp4"
    if head[:2] in (b"\xff\xfb", b"\xff\xfa", b"\xff\xf3", b"\xff\xf2"):
        return "audio/mpeg"
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith((b"<svg", b"<?xml", b"<!--")) and b"<svg" in text:
        return "image/svg+xml"
    return None

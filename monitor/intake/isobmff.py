"""Names for the ISO base media family (ISO/IEC 14496-12): MP4, MOV, 3GP, and the pictures and sounds built on it."""

from __future__ import annotations

from typing import Literal

IsoKind = Literal["video", "picture", "audio"]

_PICTURES = {
    **dict.fromkeys((b"avif", b"avis"), "AVIF picture"),
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"), "HEIC picture"),
    **dict.fromkeys((b"crx ",), "CR3 picture"),
}
_SOUNDS = (b"M4A ", b"M4B ", b"M4P ", b"F4A ", b"F4B ")
_FRAGMENTS = (b"styp", b"moof", b"sidx", b"emsg")
_BOXES = (b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"uuid")
_MIN_BOX_BYTES = 8


def name(head: bytes) -> tuple[IsoKind, str] | None:
    """The kind and name of a file that begins with a box of the family; None when it does not.

    A fragment without its header (styp, moof) is a video by name; the decoder will want the header too.
    """
    size, kind = int.from_bytes(head[:4], "big"), head[4:8]
    if kind == b"meta" and b"pict" in head[8:64]:
        return "picture", "HEIC or AVIF picture"
    if size < _MIN_BOX_BYTES and size != 1 and not (size == 0 and kind == b"mdat"):
        return None
    if kind in _FRAGMENTS:
        return "video", "fragmented MP4"
    if kind in _BOXES:
        return "video", "MOV"
    return _by_brand(head, size) if kind == b"ftyp" else None


def _by_brand(head: bytes, size: int) -> tuple[IsoKind, str]:
    """The kind and name by major brand; a `mif1` or `msf1` names its codec only among the compatible brands."""
    major = head[8:12]
    compatible = [head[at : at + 4] for at in range(16, min(size, len(head), 512), 4)]
    if major in _PICTURES:
        named = next((brand for brand in compatible if brand in (b"avif", b"avis")), major) if major in (b"mif1", b"msf1") else major
        return "picture", _PICTURES[named]
    if major in _SOUNDS:
        return "audio", "M4A sound file"
    if major == b"qt  ":
        return "video", "MOV"
    if major[:2] == b"3g":
        return "video", "3GP"
    if major in (b"dash", b"msdh", b"msix"):
        return "video", "fragmented MP4"
    return "video", "MP4"

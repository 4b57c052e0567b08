"""Makes files that are out to hurt whoever checks them. Nothing is stored: each is written in a moment."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from c2pa import Builder, Context

from monitor.cast.credentials import COMPOSITE, Studio
from tests.monitor.provenance.packets import FTYP, IPTC, box

MIB = 1024**2
LIES = (0, 1, 7, 8, 0x7FFFFFFF, 0x80000000, 0xFFFFFFF0, 0xFFFFFFFF)
"""Lengths that are none: to the end, 64 bits follow, less than a header, no content, more than any file, negative if signed."""

_C2PA_UUID = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
_JUMBF_TYPE = bytes.fromhex("00110010800000aa00389b71")
_PNG = b"\x89PNG\r\n\x1a\n"
_CREATED = {"label": "c2pa.actions", "data": {"actions": [{"action": "c2pa.created", "digitalSourceType": f"{IPTC}digitalCapture"}]}}
_SETTINGS = {
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False, "verify_after_sign": False, "verify_after_reading": False},
    "builder": {"thumbnail": {"enabled": False}},
}


# JUMBF (ISO 19566-5) as the C2PA specification uses it, section 11


def superbox(kind: bytes, label: bytes, *content: bytes) -> bytes:
    """A JUMBF superbox; `kind` is the first four bytes of its type: `c2pa` a store, `c2ma` a manifest, `c2cm` a compressed one."""
    return box(b"jumb", box(b"jumd", kind + _JUMBF_TYPE + b"\x03" + label + b"\0"), *content)


def carrying(path: Path, store: bytes) -> Path:
    """An MP4 without media whose C2PA box holds `store`."""
    held = box(b"uuid", _C2PA_UUID + b"\0\0\0\0manifest\0" + bytes(8) + store)
    path.write_bytes(FTYP + held + box(b"mdat", b"x" * 64))
    return path


def lying(signed: bytes) -> Iterator[tuple[str, bytes]]:
    """Copies of a signed file: every box of its manifest store and around it, one at a time, with every lie for its length."""
    for kind in (b"uuid", b"jumb", b"jumd", b"cbor", b"json", b"moov", b"mdat", b"free"):
        at = -1
        for number in range(6):
            if (at := signed.find(kind, at + 1)) < 4:
                break
            for lie in LIES:
                yield f"{kind.decode()} {number} of length {lie:#x}", signed[: at - 4] + struct.pack(">I", lie) + signed[at:]
            huge = struct.pack(">I4sQ", 1, kind, 2**64 - 8)
            yield f"{kind.decode()} {number} of 64-bit length", signed[: at - 4] + huge + signed[at + 12 :]


def nested(depth: int) -> bytes:
    """A store of superboxes, each inside the one before."""
    head = box(b"jumd", b"c2pa" + _JUMBF_TYPE + b"\x03c2pa\0")
    sizes = [(8 + len(head)) * (depth - level) for level in range(depth)]
    return b"".join(struct.pack(">I4s", size, b"jumb") + head for size in sizes)


def brotli_bomb(mebibytes_16: int) -> bytes:
    """A Brotli stream (RFC 7932) of `mebibytes_16` blocks, 13 bytes each, that unfold to 16 MiB of one letter each."""
    bits = _Bits()
    bits.put(1, 1)
    bits.put(5, 3)  # a window of 2**22
    for _ in range(mebibytes_16):
        bits.put(0, 1)  # not the last
        bits.put(2, 2)  # six nibbles of length follow
        bits.put(2**24 - 1, 24)
        bits.put(0, 1)  # compressed
        bits.put(0, 3)  # one type of block of each category
        bits.put(0, 2 + 4 + 2)  # distances without postfix or direct codes, literal context 0
        bits.put(0, 2)  # one tree for literals, one for distances
        for symbol, width in ((ord("a"), 8), (399, 10), (16, 6)):  # codes of one symbol: which takes no bits
            bits.put(1, 2)
            bits.put(0, 2)
            bits.put(symbol, width)
        bits.put(2**24 - 1 - 2118, 24)  # insert one letter, and copy all the rest
        bits.put(0, 1)  # from one letter back
    bits.put(3, 2)  # the last, and empty
    return bits.bytes()


class _Bits:
    def __init__(self) -> None:
        self._parts: list[str] = []

    def put(self, value: int, width: int) -> None:
        self._parts.append(f"{value:0{width}b}"[::-1])

    def bytes(self) -> bytes:
        text = "".join(self._parts)
        return bytes(int(text[at : at + 8][::-1], 2) for at in range(0, len(text), 8))


# Manifests that a real builder signs


def signed_with(studio: Studio, source: Path, target: Path, *, thumbnail: bytes | None = None, **definition: Any) -> Path:
    """`source` with a manifest of this definition, and a thumbnail that need not be one."""
    whole: dict[str, Any] = {"claim_generator_info": [{"name": "G"}], "assertions": [_CREATED]} | definition
    if thumbnail is not None:
        whole["thumbnail"] = {"format": "image/jpeg", "identifier": "thumbnail"}
    with Context.from_dict(_SETTINGS) as context, Builder(whole, context) as builder, studio.signer() as signer:
        if thumbnail is not None:
            builder.add_resource("thumbnail", io.BytesIO(thumbnail))
        with source.open("rb") as unsigned, target.open("w+b") as signed:
            builder.sign(signer, "video/mp4", unsigned, signed)
    return target


def diamonds(studio: Studio, source: Path, folder: Path, levels: int) -> Path:
    """A file made of two copies of a file that was made of two copies …: 2**levels ways lead to the first."""
    made = source
    for level in range(levels):
        target = folder / f"diamond-{level}.mp4"
        studio.sign(source, target, digital_source_type=COMPOSITE, generator="G", parent=made, part=made)
        made = target
    return made


def crowded(signed: bytes, times: int) -> bytes:
    """A signed file with an ingredient, whose assertion stands there so many times more, each under a label of its own."""
    label = b"c2pa.ingredient.v3"
    start = signed.index(label + b"\0") - 8 - 17 - 8  # after the head of its superbox, that of its description, and the type
    length = int.from_bytes(signed[start : start + 4], "big")
    kind, content = signed[start + 16 : start + 32] + b"\x03", signed[start + 8 : start + length]
    rest = content[int.from_bytes(content[:4], "big") :]
    copies = (box(b"jumb", box(b"jumd", kind + label + b"__%d\0" % number), rest) for number in range(2, times + 2))
    return inserted(signed, start, b"".join(copies))


def inserted(signed: bytes, at: int, more: bytes) -> bytes:
    """A file with `more` at this place of its manifest store; the lengths of all boxes around it are made to fit."""
    made = bytearray(signed)
    for kind in (b"uuid", b"jumb", b"bidb"):
        place = -1
        while (place := signed.find(kind, place + 1, at)) >= 4:
            length = int.from_bytes(signed[place - 4 : place], "big")
            if place - 4 < at < place - 4 + length:
                made[place - 4 : place] = struct.pack(">I", length + len(more))
    made[at:at] = more
    return bytes(made)


# Pictures


def png(path: Path, *chunks: tuple[bytes, bytes], behind: Sequence[tuple[bytes, bytes]] = (), side: int = 1) -> Path:
    """A black PNG of `side` by `side` pixels with these chunks before its picture, and `behind` it."""
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    pixels = zeros(side * (side + 1))
    whole = [(b"IHDR", header), *chunks, (b"IDAT", pixels), *behind, (b"IEND", b"")]
    path.write_bytes(_PNG + b"".join(_chunk(kind, content) for kind, content in whole))
    return path


def zeros(length: int) -> bytes:
    """So many zeros, deflated to a thousandth."""
    squeeze = zlib.compressobj(9)
    parts = [squeeze.compress(bytes(min(MIB, length - at))) for at in range(0, length, MIB)]
    return b"".join([*parts, squeeze.flush()])


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def jpeg(path: Path, xmp: bytes) -> Path:
    """A JPEG of no size to speak of whose XMP is this packet."""
    held = b"http://ns.adobe.com/xap/1.0/\0" + xmp
    segment = b"\xff\xe1" + struct.pack(">H", len(held) + 2) + held
    frame = bytes.fromhex("ffc0000b080001000101011100")
    path.write_bytes(b"\xff\xd8" + segment + frame + bytes.fromhex("ffda0008010100003f00") + b"\0\xff\xd9")
    return path

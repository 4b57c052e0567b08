"""What a file is by its first bytes, never by its name.

Only prefixes are compared here, on a bounded number of bytes; nothing is parsed. The answer says what a file
claims to be. Whether it holds what it claims, the decoder finds out in the sandbox.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from monitor.base import disk_errors
from monitor.base.errors import NotAVideo, NotFound
from monitor.intake import isobmff

HEAD_BYTES = 64 * 1024


class Kind(StrEnum):
    """What Sosie can do with a file: scan it, take a reference from it, or neither."""

    VIDEO = "video"
    PICTURE = "picture"
    AUDIO = "audio"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Sniffed:
    """The format of a file. `name` is for people: "MP4", "JPEG picture", "MP3 sound file", "empty file"."""

    kind: Kind
    name: str


def sniff(path: Path) -> Sniffed:
    """Name the format of a file by at most its first 64 KiB. Raises NotFound, and StorageUnavailable when the disk fails."""
    try:
        with path.open("rb") as file:
            return sniff_bytes(file.read(HEAD_BYTES))
    except OSError as error:
        if not isinstance(error, PermissionError) and (named := disk_errors.named(error, path)) is not None:
            raise named from None
        raise NotFound(path, f"it cannot be read ({error.strerror})", "Check the path and its permissions") from None


def sniff_bytes(head: bytes) -> Sniffed:
    """Name the format of bytes in hand, as `sniff` names that of a file; a GIF counts as a video, since a GIF may move."""
    if not head:
        return Sniffed(Kind.OTHER, "empty file")
    if box := isobmff.name(head):
        return Sniffed(Kind(box[0]), box[1])
    for kind, name, pattern in _PATTERNS:
        if pattern.match(head):
            return Sniffed(kind, name)
    return Sniffed(Kind.OTHER, "text file" if _is_text(head) else "unknown data")


def require_video(path: Path, source: str) -> Sniffed:
    """The format of a video. Raises NotAVideo, saying what it is instead, or NotFound; `source` names it there."""
    found = sniff(path)
    match found.kind:
        case Kind.VIDEO:
            return found
        case Kind.PICTURE:
            raise NotAVideo(source, _instead(found), "To watch for the person in it, register it: `sosie likeness add NAME PICTURE`")
        case Kind.AUDIO:
            raise NotAVideo(source, _instead(found), "Give the video; Sosie looks at faces, not at voices")
    if found.name == "empty file":
        raise NotAVideo(source, "the file is empty", "Fetch or export it again")
    if found.name == "web page":
        raise NotAVideo(source, _instead(found), "Give the address of the file itself; a page often means a sign-in is needed")
    if found.name == "unknown data":
        raise NotAVideo(source, "its first bytes are those of no video format Sosie knows", "Check that it plays, or convert it to MP4")
    raise NotAVideo(source, _instead(found), "Give a video file")


def _instead(found: Sniffed) -> str:
    article = "an" if found.name.startswith(("A", "HEIC", "M4A", "MP3", "Ogg", "SVG")) else "a"
    return f"this is {article} {found.name}, not a video"


def _bytes(pattern: bytes) -> re.Pattern[bytes]:
    return re.compile(pattern, re.DOTALL)


_PATTERNS: tuple[tuple[Kind, str, re.Pattern[bytes]], ...] = (
    (Kind.VIDEO, "WebM", _bytes(rb"\x1aE\xdf\xa3.{0,64}webm(?=.*V_|(?!.*A_))")),
    (Kind.VIDEO, "Matroska", _bytes(rb"\x1aE\xdf\xa3(?=.*V_|(?!.*A_))")),
    (Kind.AUDIO, "Matroska sound file", _bytes(rb"\x1aE\xdf\xa3")),
    (Kind.VIDEO, "AVI", _bytes(rb"RIFF....AVI ")),
    (Kind.AUDIO, "WAV sound file", _bytes(rb"(RIFF|RIFX|RF64|BW64)....WAVE")),
    (Kind.PICTURE, "WebP picture", _bytes(rb"RIFF....WEBP")),
    (Kind.VIDEO, "FLV", _bytes(rb"FLV\x01")),
    (Kind.VIDEO, "Ogg", _bytes(rb"OggS.*?(\x80theora|BBCD|OVP80|\x01video)")),
    (Kind.AUDIO, "Ogg sound file", _bytes(rb"OggS")),
    (Kind.VIDEO, "MPEG-TS", _bytes(rb"G(.{187}G){1,4}")),
    (Kind.VIDEO, "MPEG-TS", _bytes(rb".{4}G(.{191}G){1,4}")),
    (Kind.VIDEO, "MPEG-PS", _bytes(rb"\x00\x00\x01\xba")),
    (Kind.VIDEO, "MPEG video", _bytes(rb"\x00\x00\x01[\xb0\xb3\xb5]")),
    (Kind.VIDEO, "raw HEVC", _bytes(rb"\x00{2,8}\x01[\x40\x42\x44\x46\x4e\x50]\x01")),
    (Kind.VIDEO, "raw H.264", _bytes(rb"\x00{2,8}\x01[\x06\x09\x27\x41\x47\x61\x65\x67]")),
    (Kind.VIDEO, "GIF", _bytes(rb"GIF8[79]a")),
    (Kind.VIDEO, "IVF", _bytes(rb"DKIF")),
    (Kind.VIDEO, "Y4M", _bytes(rb"YUV4MPEG2 ")),
    (Kind.VIDEO, "WMV", _bytes(rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11")),
    (Kind.VIDEO, "MXF", _bytes(rb"\x06\x0e\x2b\x34\x02\x05\x01\x01")),
    (Kind.PICTURE, "JPEG picture", _bytes(rb"\xff\xd8\xff")),
    (Kind.PICTURE, "PNG picture", _bytes(rb"\x89PNG\r\n\x1a\n")),
    (Kind.PICTURE, "TIFF picture", _bytes(rb"(II[*+]\x00|MM\x00[*+])")),
    (Kind.PICTURE, "BMP picture", _bytes(rb"BM.{4}\x00{4}")),
    (Kind.PICTURE, "JPEG XL picture", _bytes(rb"\xff\x0a|\x00\x00\x00\x0cJXL ")),
    (Kind.PICTURE, "JPEG 2000 picture", _bytes(rb"\xff\x4f\xff\x51|\x00\x00\x00\x0cjP  ")),
    (Kind.PICTURE, "Photoshop picture", _bytes(rb"8BPS\x00[\x01\x02]")),
    (Kind.AUDIO, "FLAC sound file", _bytes(rb"fLaC")),
    (Kind.AUDIO, "AIFF sound file", _bytes(rb"FORM....AIF[FC]")),
    (Kind.AUDIO, "AMR sound file", _bytes(rb"#!AMR")),
    (Kind.AUDIO, "MIDI sound file", _bytes(rb"MThd")),
    (Kind.AUDIO, "MP3 sound file", _bytes(rb"ID3[\x02-\x04]")),
    # Frame header, ISO 11172-3: sync, a version and Layer III or II, no forbidden bit rate or sample rate.
    (Kind.AUDIO, "MP3 sound file", _bytes(rb"\xff[\xe2-\xe5\xf2-\xf5\xfa-\xfd][\x10-\x13\x20-\x23\x30-\x33\x40-\x43\x50-\x53\x60-\xeb]")),
    (Kind.AUDIO, "AAC sound file", _bytes(rb"\xff[\xf0\xf1\xf8\xf9]")),
    (Kind.OTHER, "PDF document", _bytes(rb".{0,1024}?%PDF-")),
    (Kind.OTHER, "ZIP archive", _bytes(rb"PK(\x03\x04|\x05\x06)")),
    (Kind.OTHER, "gzip archive", _bytes(rb"\x1f\x8b\x08")),
    (Kind.OTHER, "7z archive", _bytes(rb"7z\xbc\xaf\x27\x1c")),
    (Kind.OTHER, "C2PA manifest", _bytes(rb"....jumb")),
    (Kind.PICTURE, "SVG picture", _bytes(rb"(\xef\xbb\xbf)?\s*<(svg[\s>:]|(\?xml|!--|!DOCTYPE svg).{0,4096}?<svg[\s>:])")),
    (Kind.OTHER, "web page", re.compile(rb"(\xef\xbb\xbf)?\s*<(!doctype\s+html|html[\s>]|head[\s>])", re.IGNORECASE)),
)


def _is_text(head: bytes) -> bool:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return True
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:  # the cut may fall inside a character
            return False
        text = head[: error.start].decode("utf-8")
    return all(c.isprintable() or c in "\t\n\r\f" for c in text)

"""The manifest of a pack: frozen types, and the one way to write them.

The signature is over these bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from enum import StrEnum
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

FORMAT = "sosie-evidence/1"
MANIFEST = "manifest.json"
SIGNATURE = "manifest.json.p7s"
UNLISTED = frozenset((MANIFEST, SIGNATURE))
"""What the manifest cannot list: itself, and what is made of it."""

_STRICT = ConfigDict(extra="forbid", strict=True)


class Audience(StrEnum):
    """The readers a pack can be for, each of whom may see other parts of a case (`monitor.evidence.view`)."""

    RIGHTS_HOLDER = "rights-holder"
    REVIEWER = "reviewer"


class ManifestRefused(ValueError):
    """The bytes are no manifest as `Manifest.to_bytes` writes it; the text says what is wrong."""


@dataclass(frozen=True, slots=True, config=_STRICT)
class PackedFile:
    """One file of the pack; `sha256` in lower-case hex."""

    path: str
    sha256: str
    size_bytes: int
    media_type: str


@dataclass(frozen=True, slots=True, config=_STRICT)
class PackedStill:
    """A flagged moment and its picture.

    `time_s` is the moment of the match, `shown_s` that of the frame in `file`: they differ only where the frame itself is damaged.
    An `exact` still was decoded anew for this pack, at full size and without loss; any other was kept at the scan (JPEG, scaled down).
    `pixels_sha256` is over width and height (32 bits each, big-endian) and the RGB bytes: the same for every pack of this video; None
    where the still is not exact. `box` is the face in fractions of the picture, `reference` the file of the picture that it resembles.
    """

    file: str
    time_s: float
    shown_s: float
    exact: bool
    width: int
    height: int
    pixels_sha256: str | None
    score: float
    box: tuple[float, float, float, float] | None
    reference: str | None


@dataclass(frozen=True, slots=True, config=_STRICT)
class Manifest:
    """Everything a pack asserts. `versions` are those the case rests on; times are ISO 8601, UTC.

    `signer` holds the SHA-256 of each certificate in the signature, the signer's own first: a signature covers its content, and so
    the names in the certificates only where the content names them.
    """

    case_id: str
    video_sha256: str
    video_bytes: int
    versions: Mapping[str, str]
    audience: str
    created_at: str
    sosie: str
    signer: tuple[str, ...]
    stills: tuple[PackedStill, ...]
    files: tuple[PackedFile, ...]
    format: str = FORMAT

    def to_bytes(self) -> bytes:
        """Canonical JSON: sorted keys, no spaces, ASCII, one newline at the end. Equal manifests give equal bytes."""
        text = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
        return text.encode("ascii") + b"\n"

    @classmethod
    def from_bytes(cls, content: bytes) -> Manifest:
        """The inverse of `to_bytes`, for hostile bytes. Raises `ManifestRefused` for any that `to_bytes` does not give."""
        try:
            found = _ADAPTER.validate_json(content)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            where = ".".join(map(str, first["loc"]))[:100]
            raise ManifestRefused(f"{where or 'it'}: {first['msg'][:200]}") from None
        if found.format != FORMAT:
            raise ManifestRefused(f"its format is {found.format[:40]!a}, and this Sosie reads {FORMAT}")
        if found.to_bytes() != content:
            raise ManifestRefused("it is not written as Sosie writes manifests")
        return found


def to_json(value: Any) -> bytes:
    """A file of the pack for people and programs: indented, sorted, the same for the same value."""
    return json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False).encode() + b"\n"


_ADAPTER = TypeAdapter(Manifest)

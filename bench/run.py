"""What one pipeline did with one video, and how it is told to the process that asked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

PROVENANCE = "provenance"
DECODE = "decode"
FACES = "faces"
EMBED_FRAMES = "embed frames"
EMBED_FACES = "embed faces"
SEARCH = "search"
STAGES = (PROVENANCE, DECODE, FACES, EMBED_FRAMES, EMBED_FACES, SEARCH)


@dataclass(frozen=True, slots=True)
class Run:
    """CPU-seconds per stage, and how many frames and faces were looked at."""

    video: str
    seconds: Mapping[str, float]
    frames: int
    faces: int

    def tell(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, line: str) -> Run:
        return cls(**json.loads(line))

"""The maker of a vector: model, weights and preprocessing. Vectors of different makers are never compared."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

from indexes.errors import SpaceMismatch


@dataclass(frozen=True, slots=True)
class Space:
    """The maker of a vector: two vectors may be compared only if their spaces are equal.

    `preprocessing` is a canonical text of everything between the picture and the network
    (crop rule, size, mean, std, interpolation); `dim` counts float32 components.
    """

    model: str
    weights_sha256: str
    preprocessing: str
    dim: int

    @property
    def id(self) -> str:
        """16 hex digits, equal exactly for equal spaces; used in file names and database keys."""
        text = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def require(self, other: Space, *, holder: str) -> None:
        """Raise `SpaceMismatch` unless `other` is this space; `holder` names what carries `other`."""
        if other != self:
            raise SpaceMismatch(
                holder,
                f"made by {other.model} ({other.weights_sha256[:12]}), but {self.model} ({self.weights_sha256[:12]}) is in use",
                "Run `sosie index rebuild` to embed the references with the model in use, or `sosie model use ENCODER` to go back",
            )

"""What a file says of its own origin, and how far that can be believed.

The states follow the validation status codes of the C2PA specification 2.x; `AI` uses the classes of the
asset signal rubrics of the C2PA conformance programme (fullyGenAIMedia, partlyGenAICreation, …).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from monitor.provenance.history import History

__all__ = ["AI", "USAGES_MISSING", "Provenance", "Signal", "State"]

USAGES_MISSING = "usages_missing"
"""The signal that a list names the signer, and only the list's file of key usages is not in force; its text says what to do."""


class State(StrEnum):
    """How the file's own account of its origin stands. `monitor.provenance.verdict` holds the rule."""

    TRUSTED = "trusted"  # intact, and a loaded trust list vouches for the signer
    UNTRUSTED = "untrusted"  # intact, but no loaded list vouches for the signer, or for the time of signing
    TAMPERED = "tampered"  # content, claim or history differ from what was signed
    REVOKED = "revoked"  # intact, but the signer's certificate was withdrawn
    MALFORMED = "malformed"  # there is a manifest, or a container, that breaks its own format
    REMOTE = "remote"  # the manifest lies elsewhere; it was not fetched
    UNSUPPORTED = "unsupported"  # a container in which no manifest can be looked for
    ABSENT = "absent"  # looked, and there is none: that proves nothing


class AI(StrEnum):
    """What the file declares about generators, whatever its `State`."""

    FULLY = "fully"
    PARTLY = "partly"
    MAY = "may"
    CAPTURED = "captured"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Signal:
    """One thing the file says, or the validator holds against it.

    `where` is the path inside the manifest store (MANIFEST/c2pa.assertions/LABEL/…), the remote address, or `file`.
    `text` is one sentence for a reviewer.
    """

    code: str
    where: str
    text: str


@dataclass(frozen=True, slots=True)
class Provenance:
    """The result of `monitor.provenance.check.check`. Deterministic for the same bytes, trust lists and library.

    Names (`signer`, `generator`) are what the file says; only in state `trusted` does somebody vouch for them: `trust_list`, with the
    certificate `anchor` on it. `certificate` is the SHA-256 of the signer's own, and `stamp_list` the list that vouches for the time.
    `metadata_ai` is what
    fields outside of any manifest declare (`metadata_where` names the field), `stripped` what is left of a manifest that was removed,
    `rules` the version of the rules that read them; 0: nobody looked yet.
    """

    state: State
    ai: AI
    trust_version: str
    trust_list: str | None = None
    signals: tuple[Signal, ...] = ()
    signer: str | None = None
    certificate: str | None = None
    anchor: str | None = None
    stamp_list: str | None = None
    signed_at: str | None = None
    generator: str | None = None
    remote_url: str | None = None
    metadata_ai: AI = AI.UNKNOWN
    metadata_where: str | None = None
    stripped: str | None = None
    rules: int = 0
    manifests: int = 0
    codes: tuple[str, ...] = ()
    history: History = field(default_factory=History)

    @property
    def signed_by(self) -> str | None:
        """The certificate (SHA-256) whose signature holds, trusted or not; None where nothing was signed, or it does not hold."""
        holds = self.state in (State.TRUSTED, State.UNTRUSTED) and not {"signingCredential.expired", "signingCredential.invalid"} & {
            *self.codes
        }
        return self.certificate if holds else None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; `from_json` gives back an equal object."""
        return asdict(self) | {
            "state": self.state.value,
            "ai": self.ai.value,
            "metadata_ai": self.metadata_ai.value,
            "signals": [asdict(signal) for signal in self.signals],
            "codes": list(self.codes),
            "history": self.history.to_json(),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Provenance:
        """The inverse of `to_json`; without `history`, as earlier releases wrote. Raises ValueError, TypeError or KeyError otherwise."""
        return cls(
            **{
                **value,
                "state": State(value["state"]),
                "ai": AI(value["ai"]),
                "metadata_ai": AI(value.get("metadata_ai", AI.UNKNOWN)),
                "signals": tuple(Signal(**signal) for signal in value["signals"]),
                "codes": tuple(value["codes"]),
                "history": History.from_json(value["history"]) if "history" in value else History(),
            }
        )

"""From what is known about one likeness in one post to signals: pure, without weights.

A signal says *that* something is so and how strongly (0 to 1); the policy says how much it counts and in which
words. Rules that hold here: without a match there is nothing to weigh; absence of a manifest is no signal;
a capture claim counts only from a trusted credential, an AI declaration from any, since nobody gains by lying that way. What
metadata outside of a manifest declares is asked only where the manifest says nothing. A generator's visible mark proves
nothing: on what a camera is held to have recorded, by a trusted credential or by a reviewer's verdict, it is possibly forged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import date
from enum import StrEnum
from typing import Any


class SignalCode(StrEnum):
    """Every signal a policy may weigh. Stable: codes stand in stored assessments."""

    FACE_MATCH = "face_match"
    PERSISTENT_MATCH = "persistent_match"
    DECEASED_NO_CAPTURE = "deceased_no_capture"
    DECLARED_AI = "declared_ai"
    DECLARED_AI_PARTLY = "declared_ai_partly"
    DECLARED_AI_POSSIBLE = "declared_ai_possible"
    TAMPERED = "tampered"
    CREDENTIAL_REVOKED = "credential_revoked"
    TRUSTED_CAPTURE = "trusted_capture"
    METADATA_AI = "metadata_ai"
    METADATA_AI_PARTLY = "metadata_ai_partly"
    STRIPPED = "stripped"
    WATERMARK = "watermark"
    WATERMARK_FORGED = "watermark_forged"
    SYNTHETIC_PROBE = "synthetic_probe"
    CONSENT = "consent"
    CONSENT_EXCEEDED = "consent_exceeded"


EXONERATES = frozenset({SignalCode.TRUSTED_CAPTURE, SignalCode.CONSENT})
"""What can only speak against misuse."""

INCRIMINATES = frozenset(
    {
        SignalCode.FACE_MATCH,
        SignalCode.PERSISTENT_MATCH,
        SignalCode.DECEASED_NO_CAPTURE,
        SignalCode.TAMPERED,
        SignalCode.CREDENTIAL_REVOKED,
        SignalCode.STRIPPED,
        SignalCode.WATERMARK,
        SignalCode.SYNTHETIC_PROBE,
        SignalCode.CONSENT_EXCEEDED,
    }
)
"""What can only speak for misuse. What a file says of itself (declared, in metadata) may count either way, since some platforms reward it,
and so may a generator's mark on what a camera recorded."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known when one likeness in one post is assessed.

    `state` and `ai` are the words of `monitor.provenance.types`; `score` is 0 to 1, 0.5 at the policy's match
    threshold; `seconds` is how long the likeness is on screen; `consent` names the consent that covers the post.

    `metadata_ai` is what the file declares outside of any manifest, in the words of `ai`, and `metadata_where` names the field.
    `stripped` says what is left of a manifest that was removed. `watermark` names the generator whose mark is seen, `mark_score`
    from 0 to 1 how surely. `recorded` says who, beside a credential, holds that a camera recorded this. `synthetic` is the probe's
    calibrated probability that a generator made the pictures, and `probe_basis` what it was trained on. `breach` says why a consent
    of this account or signer does not cover this post. `z` is the match in standard deviations above a stranger, of which the
    policy makes the score.
    """

    name: str
    deceased_on: date | None
    score: float
    frames: int
    seconds: float
    ranges: str
    state: str
    ai: str
    signer: str | None
    trust_list: str | None
    account: str | None
    consent: str | None
    metadata_ai: str = "unknown"
    metadata_where: str | None = None
    stripped: str | None = None
    watermark: str | None = None
    mark_score: float = 0.0
    recorded: str | None = None
    synthetic: float | None = None
    probe_basis: str | None = None
    breach: str | None = None
    z: float | None = None

    def to_json(self) -> dict[str, Any]:
        """The facts as JSON values, without the person's name: kept beside an assessment, so that another policy can be tried on them."""
        kept = asdict(self) | {"deceased_on": self.deceased_on and self.deceased_on.isoformat()}
        del kept["name"]
        return kept

    @classmethod
    def from_json(cls, value: Mapping[str, Any], *, name: str) -> Facts:
        """The inverse of `to_json`, for facts of this and earlier releases. Raises ValueError, TypeError or KeyError for others."""
        died = value["deceased_on"]
        return cls(**{**value, "name": name, "deceased_on": None if died is None else date.fromisoformat(died)})


@dataclass(frozen=True, slots=True)
class Signal:
    """One piece of evidence; `strength` from 0 (barely) to 1 (fully) scales the policy's weight."""

    code: SignalCode
    strength: float = 1.0


_PERSISTENT_FRAMES = 8  # so many matching frames count as fully persistent

_METADATA_AI = {"fully": SignalCode.METADATA_AI, "partly": SignalCode.METADATA_AI_PARTLY}
_AI = {
    "fully": SignalCode.DECLARED_AI,
    "partly": SignalCode.DECLARED_AI_PARTLY,
    "may": SignalCode.DECLARED_AI_POSSIBLE,
}


def signals(facts: Facts) -> tuple[Signal, ...]:
    """The signals the facts give, in the order a reviewer reads them."""
    return tuple(_signals(facts))


def _signals(facts: Facts) -> Iterator[Signal]:
    captured = facts.ai == "captured" and facts.state == "trusted"
    yield Signal(SignalCode.FACE_MATCH, facts.score)
    if facts.frames > 1:
        yield Signal(SignalCode.PERSISTENT_MATCH, min(1.0, facts.frames / _PERSISTENT_FRAMES))
    if facts.ai in _AI:
        yield Signal(_AI[facts.ai])
    elif facts.metadata_ai in _METADATA_AI:
        yield Signal(_METADATA_AI[facts.metadata_ai])
    if facts.watermark is not None:
        genuine = captured or facts.recorded is not None
        yield Signal(SignalCode.WATERMARK_FORGED if genuine else SignalCode.WATERMARK, facts.mark_score)
    if facts.synthetic is not None and facts.synthetic > 0.5:
        yield Signal(SignalCode.SYNTHETIC_PROBE, 2 * facts.synthetic - 1)
    if facts.stripped is not None:
        yield Signal(SignalCode.STRIPPED)
    if facts.state == "tampered":
        yield Signal(SignalCode.TAMPERED)
    if facts.state == "revoked":
        yield Signal(SignalCode.CREDENTIAL_REVOKED)
    if facts.deceased_on is not None and not captured:
        yield Signal(SignalCode.DECEASED_NO_CAPTURE)
    if captured:
        yield Signal(SignalCode.TRUSTED_CAPTURE)
    if facts.consent is not None:
        yield Signal(SignalCode.CONSENT)
    elif facts.breach is not None:
        yield Signal(SignalCode.CONSENT_EXCEEDED)

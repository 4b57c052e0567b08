"""From validation status codes to one state. Pure; the codes are those of the C2PA specification 2.x, section 15.

c2pa-rs sums its codes up as Invalid, Valid or Trusted. `Invalid` mixes a signer nobody knows with content that was
changed, so its word is not used: the codes are.

The rule, first match wins:

1. tampered: something that was signed is no longer what it was. That is a mismatch of content, assertion, claim or ingredient
   hash, a broken signature, or an assertion slipped in beside the signed ones, found
   - in the active manifest, or
   - in an ingredient, unless the active manifest's signer already recorded that very failure when taking the ingredient in.
     (c2pa-rs leaves recorded failures out of its ingredient deltas.) A recorded failure is part of the file's own, still intact
     account; an unrecorded one means the history in the file is not the history its signer vouched for.
2. revoked: the signer's certificate was withdrawn. For the active manifest only.
3. malformed: the active manifest breaks the format in a way that is neither of the above nor a matter of trust.
4. trusted: no failure anywhere, ingredients included, and a loaded list vouches for the active manifest's signer.
5. untrusted: the rest. Intact, but a signer, a time of signing, an ingredient or an identity attached by the CAWG
   specification is not vouched for, expired, or cannot be looked up without the network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from monitor.provenance.types import State

__all__ = ["CONTENT", "Finding", "judge"]

_ALTERED = frozenset(
    {
        "assertion.bmffHash.mismatch",
        "assertion.boxesHash.mismatch",
        "assertion.boxesHash.unknownBox",
        "assertion.collectionHash.mismatch",
        "assertion.dataHash.mismatch",
        "assertion.hashedURI.mismatch",
        "assertion.multiAssetHash.mismatch",
        "assertion.undeclared",
        "claimSignature.mismatch",
        "hashedURI.mismatch",
        "ingredient.claimSignature.mismatch",
        "ingredient.hashedURI.mismatch",
        "ingredient.manifest.mismatch",
    }
)
CONTENT = frozenset(
    {
        "assertion.bmffHash.mismatch",
        "assertion.boxesHash.mismatch",
        "assertion.boxesHash.unknownBox",
        "assertion.dataHash.mismatch",
    }
)
"""Of the active manifest: the content is not what was signed. To see that takes the content, not the manifest store alone."""

_REVOKED = frozenset({"signingCredential.ocsp.revoked", "signingCredential.revoked"})
_MATTERS_OF_TRUST = (
    "assertion.inaccessible",
    "cawg.",
    "claimSignature.outsideValidity",
    "manifest.inaccessible",
    "signingCredential.",
    "timeStamp.",
)


@dataclass(frozen=True, slots=True)
class Finding:
    """A failure code, the path it is about, and whether it stands in an ingredient's history."""

    code: str
    where: str
    ingredient: bool


def judge(findings: Sequence[Finding], *, signer_trusted: bool) -> State:
    """The state of a file whose manifest store could be read. Order of `findings` does not matter."""
    active = [finding.code for finding in findings if not finding.ingredient]
    if any(finding.code in _ALTERED for finding in findings):
        return State.TAMPERED
    if any(code in _REVOKED for code in active):
        return State.REVOKED
    if any(not code.startswith(_MATTERS_OF_TRUST) for code in active):
        return State.MALFORMED
    if signer_trusted and not findings:
        return State.TRUSTED
    return State.UNTRUSTED

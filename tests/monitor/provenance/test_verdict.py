from __future__ import annotations

import pytest

from monitor.provenance.types import State
from monitor.provenance.verdict import Finding, judge


def judged(*codes: str, signer_trusted: bool = True) -> State:
    """Codes of the active manifest; those with `ING:` before them stand in an ingredient."""
    findings = [Finding(code.removeprefix("ING:"), "somewhere", ingredient=code.startswith("ING:")) for code in codes]
    forward, backward = (judge(order, signer_trusted=signer_trusted) for order in (findings, findings[::-1]))
    assert forward is backward
    return forward


def test_no_failure_and_a_trusted_signer_is_trusted() -> None:
    assert judged() is State.TRUSTED
    assert judged(signer_trusted=False) is State.UNTRUSTED


@pytest.mark.parametrize(
    "code",
    [
        "assertion.bmffHash.mismatch",
        "assertion.dataHash.mismatch",
        "assertion.hashedURI.mismatch",
        "assertion.undeclared",
        "claimSignature.mismatch",
        "ingredient.manifest.mismatch",
        "ING:claimSignature.mismatch",
        "ING:assertion.hashedURI.mismatch",
    ],
)
def test_altered_means_tampered_whatever_else_is_wrong(code: str) -> None:
    assert judged(code) is State.TAMPERED
    assert (
        judged(code, "signingCredential.ocsp.revoked", "claim.malformed", "signingCredential.untrusted", signer_trusted=False)
        is State.TAMPERED
    )


def test_revoked_outranks_malformed_and_untrusted() -> None:
    assert judged("signingCredential.ocsp.revoked", "assertion.action.malformed", "signingCredential.expired") is State.REVOKED


def test_a_revoked_signer_of_an_ingredient_does_not_revoke_the_file() -> None:
    assert judged("ING:signingCredential.ocsp.revoked") is State.UNTRUSTED


@pytest.mark.parametrize("code", ["assertion.action.malformed", "claim.multiple", "assertion.missing", "some.code.of.tomorrow"])
def test_the_format_broken_in_the_active_manifest_is_malformed_in_an_ingredient_untrusted(code: str) -> None:
    assert judged(code) is State.MALFORMED
    assert judged(f"ING:{code}") is State.UNTRUSTED


@pytest.mark.parametrize(
    "code",
    [
        "signingCredential.untrusted",
        "signingCredential.expired",
        "signingCredential.invalid",
        "timeStamp.untrusted",
        "claimSignature.outsideValidity",
        "cawg.x509.signature.mismatch",
        "cawg.ica.valid_until.invalid",
        "manifest.inaccessible",
    ],
)
def test_matters_of_trust_are_untrusted_in_the_active_manifest_or_below(code: str) -> None:
    assert judged(code) is State.UNTRUSTED
    assert judged(f"ING:{code}") is State.UNTRUSTED

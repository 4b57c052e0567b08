"""Provenance in plain sentences, for a reviewer. No verdict: what the file says, and what that is worth."""

from __future__ import annotations

from monitor.provenance.types import AI, USAGES_MISSING, Provenance, State

__all__ = ["explain", "sentences"]

_STATE = {
    State.TRUSTED: "Its C2PA manifest is intact, and the signer is trusted through {list}.",
    State.UNTRUSTED: "Its C2PA manifest is intact, but {why}. What it says is a claim, not a proof.",
    State.TAMPERED: "It was changed after its C2PA manifest was signed: what it says of itself cannot be relied on.",
    State.REVOKED: "The certificate that signed its C2PA manifest was revoked: what it says of itself cannot be relied on.",
    State.MALFORMED: "Its container or C2PA manifest is malformed, so it gives no usable account of its origin.",
    State.REMOTE: "Its C2PA manifest is not in the file but at {url}. Sosie does not fetch it, so it is not known what it says.",
    State.UNSUPPORTED: "C2PA manifests cannot be looked for in this kind of file. That proves nothing.",
    State.ABSENT: "This file carries no C2PA manifest. That proves nothing: most platforms strip it.",
}

_AI = {
    AI.FULLY: "It declares itself made wholly by AI{source}.",
    AI.PARTLY: "It declares that AI made part of it{source}.",
    AI.MAY: "It declares a composition that may contain AI-made parts{source}.",
    AI.CAPTURED: "It declares itself captured by a camera or microphone{source}.",
    AI.UNKNOWN: "It declares nothing about AI or capture.",
}
_METADATA = {
    AI.FULLY: "generative AI made it",
    AI.PARTLY: "generative AI made part of it",
    AI.MAY: "generative AI may have made it",
    AI.CAPTURED: "a device captured it",
}
_SIGNAL_OF_AI = {AI.FULLY: "ai_fully", AI.PARTLY: "ai_partly", AI.MAY: "ai_may", AI.CAPTURED: "captured"}

_MEANING = {
    "assertion.action.malformed": "The list of actions breaks the C2PA rules.",
    "assertion.bmffHash.mismatch": "The content is not the content that was signed (a stream's opening segment on its own looks the same).",
    "assertion.boxesHash.mismatch": "The content is not the content that was signed.",
    "assertion.dataHash.mismatch": "The content is not the content that was signed (a manifest kept beside its file looks the same).",
    "assertion.hashedURI.mismatch": "A statement in the manifest is not the one that was signed.",
    "claimSignature.mismatch": "The signature does not fit the claim.",
    "ingredient.manifest.mismatch": "The manifest of an ingredient is not the one that was signed for.",
    "signingCredential.expired": "The certificate has expired, and no trusted time-stamp shows that it signed before.",
    "signingCredential.invalid": "The certificate is not one that may sign C2PA claims.",
    "signingCredential.ocsp.revoked": "The certificate was revoked.",
    "signingCredential.untrusted": "No loaded trust list vouches for the certificate.",
}

_WHY_USAGES = "its certificate is not one that may sign C2PA claims by the key usages in force"
_WHY_UNTRUSTED = (
    ("signingCredential.untrusted", "no loaded trust list vouches for its signer"),
    ("signingCredential.invalid", "its certificate is not one that may sign C2PA claims"),
    ("signingCredential.expired", "its certificate has expired and no trusted time-stamp shows that it signed before"),
    ("cawg.", "an identity attached to it could not be confirmed"),
    ("ingredient:", "the history of something it was made from could not be confirmed"),
)


def explain(code: str, *, ingredient: bool) -> str:
    """One sentence for a validation failure code of the C2PA specification."""
    sentence = _MEANING.get(code, f"The validator reports {code}.")
    return f"In an ingredient: {sentence[0].lower()}{sentence[1:]}" if ingredient else sentence


def sentences(provenance: Provenance) -> list[str]:
    """The sentences a reviewer reads, most important first. Names from the file are quoted as claims unless a list vouches for them."""
    lacking = [signal.text for signal in provenance.signals if signal.code == USAGES_MISSING]
    why = (
        _WHY_USAGES
        if lacking
        else next(
            (reason for code, reason in _WHY_UNTRUSTED if any(c.startswith(code) for c in provenance.codes)),
            "nobody vouches for its signer",
        )
    )
    lines = [_STATE[provenance.state].format(list=provenance.trust_list, url=provenance.remote_url, why=why)]
    if provenance.state is State.UNTRUSTED:
        lines.extend(lacking)
    if provenance.manifests:
        lines.append(_signature(provenance))
        lines.append(_declaration(provenance))
    if provenance.anchor is not None:
        lines.append(f"That it is trusted rests on this certificate of the list: {provenance.anchor}.")
    if (said := _METADATA.get(provenance.metadata_ai)) is not None:
        lines.append(f"Its metadata says that {said} ({provenance.metadata_where}). Nobody signed that.")
    if provenance.stripped is not None:
        lines.append(f"It seems that a C2PA manifest was removed: {provenance.stripped}.")
    if provenance.state in (State.TAMPERED, State.MALFORMED):
        lines.extend(_said_once(provenance))
    if any(signal.code == "ingredient_failed_before" for signal in provenance.signals):
        lines.append("Something it was made from had already failed its own check; the signer recorded that.")
    return lines


def _signature(provenance: Provenance) -> str:
    vouched = provenance.state is State.TRUSTED
    name = provenance.signer or "nobody named in the certificate"
    sentence = f"Signed by {name}" if vouched else f"The signature names {name}"
    if provenance.signed_at:
        doubted = any(code.startswith("timeStamp.") for code in provenance.codes)
        sentence += f", time-stamped {provenance.signed_at}{' by an authority no list vouches for' if doubted else ''}"
    return f"{sentence}; written with {provenance.generator}." if provenance.generator else f"{sentence}."


def _declaration(provenance: Provenance) -> str:
    wanted = _SIGNAL_OF_AI.get(provenance.ai)
    signal = next((signal for signal in provenance.signals if signal.code == wanted), None)
    return _AI[provenance.ai].format(source=f" ({signal.where})" if signal else "")


def _said_once(provenance: Provenance) -> list[str]:
    """The validator's findings that are not about trust, each sentence once."""
    texts = [
        s.text
        for s in provenance.signals
        if s.code == "malformed" or s.code.startswith(("assertion.", "claim", "ingredient.", "hashedURI."))
    ]
    return list(dict.fromkeys(texts))

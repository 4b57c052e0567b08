"""Who vouches for a signer: which list, and which certificate on it. Pure but for the asking again.

c2pa-rs believes all loaded authorities alike, and trusts nobody for an allowed list. So, where it finds a signer trusted, it is asked again

- with the signers' lists: an authority for time-stamps vouches for no signer, neither the active manifest's nor an ingredient's;
- with each of them alone, to name the one that matched. The first that does is named.

What leads nowhere near the file's signers need not be asked about: where only one list of signers holds an authority that issued one of
their certificates, it is that one, and lists for time-stamps that hold none vouched for nobody.

Each time the other lists stay in force for the time of signing (an expired certificate is believed for what it signed before), without
those of their authorities that lead to a signer of this file.

A signer on an allowed list is believed if the library found the signature itself right, and only the trust in its certificate missing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import Certificate

from monitor.provenance.manifest import plain, short_path
from monitor.provenance.signature import fingerprint, leads_to, name_of, vouching
from monitor.provenance.trust import Purpose, TrustList, TrustLists, usages_of
from monitor.provenance.verdict import Finding

__all__ = ["Vouched", "findings_of", "usages_missing", "vouch"]

Results = Mapping[str, Any]
"""The library's validation results."""

_UNTRUSTED = "signingCredential.untrusted"
_STAMPED_BY = re.compile(r"trust list: (.+)$")


@dataclass(frozen=True, slots=True)
class Vouched:
    """Who vouches for a signer. `findings` are what is left to hold against the file. `trust_list` and `anchor` say who vouches for the
    signer, None: nobody does.

    `certificate` is the SHA-256 of the signer's own, `anchor` the name and SHA-256 of the one on the list; `stamp_list` the list that
    vouches for the time of signing. Certificates are None where the signature's chain cannot be read.
    """

    trusted: bool
    findings: tuple[Finding, ...]
    trust_list: str | None = None
    certificate: str | None = None
    anchor: str | None = None
    stamp_list: str | None = None


def vouch(
    results: Results,
    labels: Sequence[str],
    chains: Mapping[str, Sequence[Certificate]],
    trust: TrustLists,
    again: Callable[[TrustLists], Results],
) -> Vouched:
    """Find who vouches for the signer of a file. `results` were found under all of `trust`; `again` finds those of the same file under
    other lists.

    `labels` are those of all its manifests, the active one's first, and `chains` the certificates in their signatures. Where one of
    them has no chain that can be read, no list but the one asked about stays in force.
    """
    findings = set(findings_of(results))
    trusted = _signer_trusted(results)
    stamping: list[TrustList] = []
    if trusted and len(trust.lists) > 1 and all(chains.get(label) for label in labels):
        signers = [certificate for label in labels for certificate in chains[label]]
        stamping = [_without(item, signers) for item in trust.lists]
    if trusted and len(trust.signers) < len(trust.lists) and not _harmless(trust, stamping):
        names = {item.name for item in trust.signers}
        strictly = again(trust.only(*trust.signers, *(item for item in stamping if item.name not in names)))
        findings |= {finding for finding in findings_of(strictly) if finding.code == _UNTRUSTED}
        trusted = _signer_trusted(strictly)
    chain = chains.get(labels[0], ()) if labels else ()
    certificate = fingerprint(chain[0]) if chain else None
    name = anchor = None
    if trusted:
        matching = _matching(trust, stamping, chain, again)
        name = " + ".join(item.name for item in matching)
        anchor = vouching(chain, (each for item in matching for each in item.certificates))
    elif certificate and _only_trust_missing(results) and (allowed := trust.allowing(certificate)) is not None:
        findings = {finding for finding in findings if finding.ingredient or finding.code != _UNTRUSTED}
        trusted, name, anchor = True, allowed.name, chain[0]
    return Vouched(
        trusted=trusted,
        findings=tuple(sorted(findings, key=lambda finding: (finding.ingredient, finding.where, finding.code))),
        trust_list=name,
        certificate=certificate,
        anchor=None if anchor is None else f"{plain(name_of(anchor))}, SHA-256 {fingerprint(anchor)}",
        stamp_list=_stamp_list(results),
    )


def usages_missing(chain: Sequence[Certificate], trust: TrustLists) -> str | None:
    """What to do where a list leads to the signer, and only the key usages of its certificate are not among those in force; else None."""
    if not chain:
        return None
    usages = [usage.dotted_string for usage in usages_of(chain[0])]
    if not usages or {*usages} & {*trust.ekus.splitlines()}:
        return None
    lists = [item.name for item in trust.signers if leads_to(chain, item.certificates)]
    allowed = trust.allowing(fingerprint(chain[0]))
    name = lists[0] if lists else allowed.name if allowed is not None else None
    if name is None:
        return None
    return (
        f"{name} names its signer, but the key usages of the signer's certificate ({', '.join(usages)}) are not in force: if the list is "
        "published with a file of key usages (`store.cfg` of the interim list), an operator adds it by `sosie trust update store.cfg`."
    )


def findings_of(results: Results) -> list[Finding]:
    """The failures, each once; those of ingredients are what their signers did not record themselves."""
    active = results.get("activeManifest", {}).get("failure", [])
    deltas = [status for delta in results.get("ingredientDeltas", []) for status in delta["validationDeltas"]["failure"]]
    found = {Finding(plain(s["code"]), short_path(s.get("url") or "file"), ingredient=False) for s in active}
    return [*(found | {Finding(plain(s["code"]), short_path(s.get("url") or "file"), ingredient=True) for s in deltas})]


def _harmless(trust: TrustLists, stamping: Sequence[TrustList]) -> bool:
    """Whether no list for time-stamps holds an authority that leads to a signer; False where that cannot be told."""
    kept = {item.name: item.certificates for item in stamping}
    return all(item.purpose is Purpose.SIGNERS or kept.get(item.name) == item.certificates for item in trust.lists)


def _matching(
    trust: TrustLists, stamping: Sequence[TrustList], chain: Sequence[Certificate], again: Callable[[TrustLists], Results]
) -> Sequence[TrustList]:
    """The first list that vouches for the signer on its own; all of the lists where only several together do."""
    near = [item for item in trust.signers if vouching(chain, item.certificates) is not None]
    if len(near) == 1:
        return near
    if len(trust.signers) > 1:
        for candidate in near or trust.signers:
            if _signer_trusted(again(trust.only(candidate, *(item for item in stamping if item.name != candidate.name)))):
                return [candidate]
    return trust.signers


def _without(item: TrustList, signers: Sequence[Certificate]) -> TrustList:
    """A list without the authorities that are, or issued, one of these certificates."""
    kept = [each for each in item.certificates if vouching(signers, [each]) is None]
    return TrustList(item.name, "".join(each.public_bytes(Encoding.PEM).decode() for each in kept), Purpose.TIME_STAMPS)


def _signer_trusted(results: Results) -> bool:
    return "signingCredential.trusted" in _codes(results, "success")


def _only_trust_missing(results: Results) -> bool:
    return "claimSignature.validated" in _codes(results, "success") and _UNTRUSTED in _codes(results, "failure")


def _codes(results: Results, kind: str) -> set[str]:
    return {status["code"] for status in _active(results, kind)}


def _stamp_list(results: Results) -> str | None:
    for status in _active(results, "success"):
        if status["code"] == "timeStamp.trusted" and (said := _STAMPED_BY.search(status.get("explanation") or "")):
            return plain(said[1])
    return None


def _active(results: Results, kind: str) -> Iterable[Mapping[str, Any]]:
    found: Iterable[Mapping[str, Any]] = results.get("activeManifest", {}).get(kind, [])
    return found

"""The certificates that a manifest's signature carries, and which certificate of a trust list they lead to.

c2pa-rs says *that* a list vouches for a signer; a verdict also names *which certificates* it rests on. They stand in the header
`x5chain` of the COSE signature (RFC 9360), in the manifest's `c2pa.signature` box (JUMBF, ISO/IEC 19566-5). Nothing here decides whom to
trust: what is found only names what the library has verified. Hostile bytes: call this inside `monitor.intake.sandbox` only.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

import cbor2
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.hashes import SHA256

from monitor.intake.boxes import walk

__all__ = ["chains", "fingerprint", "leads_to", "name_of", "vouching"]

MANIFESTS = 100

_X5CHAIN = 33
_X5CHAIN_WORDS = ("x5chain", _X5CHAIN)
_MAX_CERTIFICATES = 10
_MAX_CERTIFICATE_BYTES = 64 * 1024


def chains(store: bytes) -> Mapping[str, tuple[x509.Certificate, ...]]:
    """For each manifest of the store, by its label, the chain in its signature: the signer's own certificate first, up to the first
    that cannot be read. Empty where there is none, or more than one; a manifest beyond the first `MANIFESTS` is left out.
    """
    found: dict[str, tuple[x509.Certificate, ...]] = {}
    for manifest in islice(_superboxes(_only(store, "c2pa")), MANIFESTS):
        label = _label_of(manifest)
        found[label] = () if label in found else _certificates(_only(manifest, "c2pa.signature"))
    return found


def vouching(chain: Iterable[x509.Certificate], anchors: Iterable[x509.Certificate]) -> x509.Certificate | None:
    """The first of `anchors` that is in the chain, or issued one of its certificates; None if none is."""
    listed = list(anchors)
    for certificate in chain:
        for anchor in listed:
            if anchor == certificate or _issued(certificate, anchor):
                return anchor
    return None


def leads_to(chain: Sequence[x509.Certificate], anchors: Iterable[x509.Certificate]) -> bool:
    """Whether one of `anchors` issued the signer's certificate, directly or through others of the chain, each signature verified.

    Says nothing of time, usage or revocation: whether a signer is trusted is the library's to say.
    """
    listed, others = list(anchors), [*chain[1:]]
    at = chain[0] if chain else None
    while at is not None:
        if any(anchor == at or _issued(at, anchor) for anchor in listed):
            return True
        issuer = next((other for other in others if _issued(at, other)), None)
        others = [other for other in others if other is not issuer]
        at = issuer
    return False


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 of the certificate, 64 hex digits."""
    return certificate.fingerprint(SHA256()).hex()


def name_of(certificate: x509.Certificate) -> str:
    """The subject as RFC 4514 has it, such as `CN=Root,O=Maker,C=US`."""
    try:
        return certificate.subject.rfc4514_string()
    except ValueError:
        return "a certificate whose subject cannot be read"


def _issued(certificate: x509.Certificate, anchor: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(anchor)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _certificates(signature: bytes) -> tuple[x509.Certificate, ...]:
    content = [inside for kind, inside in _boxes(signature) if kind == b"cbor"]
    found: list[x509.Certificate] = []
    for der in _chain(content[0])[:_MAX_CERTIFICATES] if len(content) == 1 else ():
        try:
            found.append(x509.load_der_x509_certificate(der[:_MAX_CERTIFICATE_BYTES]))
        except (ValueError, x509.InvalidVersion):
            break
    return tuple(found)


def _chain(signature: bytes) -> list[bytes]:
    try:
        sign1 = cbor2.load(io.BytesIO(signature))
        sign1 = sign1.value if isinstance(sign1, cbor2.CBORTag) else sign1
        headers = [cbor2.loads(sign1[0]) if sign1[0] else {}, sign1[1]]
    except Exception:  # noqa: BLE001 - whatever the reader makes of hostile bytes: there is no chain to name
        return []
    found = [header[word] for header in headers if isinstance(header, Mapping) for word in _X5CHAIN_WORDS if word in header]
    if len(found) != 1:  # of two, the library may have verified by the other
        return []
    chain = [found[0]] if isinstance(found[0], bytes) else found[0]
    return [*chain] if isinstance(chain, list | tuple) and all(isinstance(der, bytes) for der in chain) else []


def _only(content: bytes, label: str) -> bytes:
    """The content of the one superbox of that label; empty where there is none, or more than one."""
    found = [inside for inside in _superboxes(content) if _label_of(inside) == label]
    return found[0] if len(found) == 1 else b""


def _superboxes(content: bytes) -> Iterator[bytes]:
    return (inside for kind, inside in _boxes(content) if kind == b"jumb")


def _label_of(superbox: bytes) -> str:
    kind, description = next(_boxes(superbox), (b"", b""))
    return _label(description) if kind == b"jumd" else ""


def _label(description: bytes) -> str:
    """The label in a description, after 16 bytes of type and one of toggles, whose second bit announces the label; a zero ends it."""
    if len(description) < 18 or not description[16] & 0x02:
        return ""
    return description[17:].partition(b"\x00")[0].decode("utf-8", "replace")


def _boxes(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The kind and payload of each box."""
    return ((box.kind, content[box.start : box.end]) for box in walk(io.BytesIO(content)))

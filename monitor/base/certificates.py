"""Parts of X.509 certificates that Sosie makes itself: those of evidence packs, and the demo's. The profile is C2PA's (2.x, 14.5.1)."""

from __future__ import annotations

from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID, ObjectIdentifier

CLAIM_SIGNING = ObjectIdentifier("1.3.6.1.4.1.62558.2.1")
"""The extended key usage of whoever signs C2PA claims."""


def named(organisation: str, common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation), x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def begun(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, begin: datetime, end: datetime) -> x509.CertificateBuilder:
    """A certificate of version 3 with a random serial number, to be extended and signed; valid from `begin` to `end`."""
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
    )


def key_usage(*, authority: bool) -> x509.KeyUsage:
    """The key usage of an authority, which signs certificates and revocations, or of anybody else, who signs data and nothing more."""
    others = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only", "decipher_only")
    return x509.KeyUsage(digital_signature=not authority, key_cert_sign=authority, crl_sign=authority, **dict.fromkeys(others, False))

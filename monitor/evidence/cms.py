"""A detached CMS signature (RFC 5652) read: the one shape that `Signer.cms` writes, of hostile bytes.

One signer, ECDSA on P-256 with SHA-256, signed attributes, the certificates within. The DER that is allowed is the narrow kind: definite
lengths, one byte of tag. Everything is bounded by the bytes themselves, and nothing recurses.
"""

from __future__ import annotations

import hashlib
import hmac
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.verification import Criticality, ExtensionPolicy, PolicyBuilder, Store, VerificationError

from monitor.evidence.signing import may_sign

MAX_BYTES = 64 * 1024

_INTEGER, _OCTETS, _OID, _SEQUENCE, _SET, _CONTEXT_0 = 0x02, 0x04, 0x06, 0x30, 0x31, 0xA0
_SIGNED_DATA = bytes.fromhex("2a864886f70d010702")
_DATA = bytes.fromhex("2a864886f70d010701")
_CONTENT_TYPE = bytes.fromhex("2a864886f70d010903")
_MESSAGE_DIGEST = bytes.fromhex("2a864886f70d010904")
_SHA256 = bytes.fromhex("608648016503040201")
_ECDSA_SHA256 = bytes.fromhex("2a8648ce3d040302")

Vouched = Literal["trusted", "expired", "untrusted", "unknown"]


class SignatureRefused(ValueError):
    """The bytes are no signature of this shape; the text says why."""


class SignatureWrong(SignatureRefused):
    """A well-formed signature is of other content, or by another signer than it says."""


@dataclass(frozen=True, slots=True)
class Signed:
    """The signer of a signature: the certificate that the signature was checked with, and those that came along."""

    certificate: x509.Certificate
    others: tuple[x509.Certificate, ...]


def verify(signature: bytes, content: bytes) -> Signed:
    """Check `signature` over `content`. Who may be believed is another question: `vouched`.

    Raises `SignatureWrong` where it does not fit the content, `SignatureRefused` for anything that is no such signature.
    """
    if len(signature) > MAX_BYTES:
        raise SignatureRefused(f"it has {len(signature)} bytes, more than any signature of Sosie")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about certificates that are odd: what cannot be checked is refused below
            return _verify(signature, content)
    except IndexError:
        raise SignatureRefused("it is cut short") from None
    except InvalidSignature:
        raise SignatureWrong("it was not made by the key of the certificate within") from None
    except SignatureRefused:
        raise
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion) as error:
        raise SignatureRefused(f"a certificate in it cannot be read ({str(error)[:200]})") from None


def vouched(signed: Signed, anchors: Iterable[x509.Certificate], now: datetime) -> Vouched:
    """Whether one of these authorities certified the signer. `unknown`: none was given. `expired`: it did, but that time is over."""
    store = list(anchors)
    leaf = signed.certificate
    if not store:
        return "unknown"
    over = now > leaf.not_valid_after_utc
    at = leaf.not_valid_after_utc - timedelta(seconds=1) if over else now
    policy = PolicyBuilder().store(Store(store)).time(at).max_chain_depth(4)
    # What a web server's certificate needs is not asked of a signer; an authority must say that it is one.
    authorities = ExtensionPolicy.permit_all().require_present(x509.BasicConstraints, Criticality.AGNOSTIC, None)
    verifier = policy.extension_policies(ca_policy=authorities, ee_policy=ExtensionPolicy.permit_all()).build_client_verifier()
    try:
        verifier.verify(leaf, list(signed.others))
    except (VerificationError, ValueError):
        return "untrusted"
    if not may_sign(leaf):
        return "untrusted"
    return "expired" if over else "trusted"


def _verify(signature: bytes, content: bytes) -> Signed:
    outer = _Der(signature).enter(_SEQUENCE)
    if outer.value(_OID) != _SIGNED_DATA:
        raise SignatureRefused("it is no CMS signature")
    data = outer.enter(_CONTEXT_0).enter(_SEQUENCE)
    _version(data)
    digests = data.enter(_SET)
    _algorithm(digests, _SHA256)
    encapsulated = data.enter(_SEQUENCE)
    if encapsulated.value(_OID) != _DATA or encapsulated.left:
        raise SignatureRefused("it carries its own content, and says nothing of the manifest")
    certificates = tuple(_certificates(data.enter(_CONTEXT_0)))
    signers = data.enter(_SET)
    signer = signers.enter(_SEQUENCE)
    if digests.left or signers.left or data.left or outer.left:
        raise SignatureRefused("it holds more than one signer, or data after it")
    _version(signer)
    name = signer.enter(_SEQUENCE)
    issuer, serial = name.whole(_SEQUENCE), int.from_bytes(name.value(_INTEGER), "big", signed=True)
    _algorithm(signer, _SHA256)
    attributes = signer.whole(_CONTEXT_0)
    _algorithm(signer, _ECDSA_SHA256)
    value = signer.value(_OCTETS)
    if signer.left:
        raise SignatureRefused("it has unsigned attributes")
    found = [each for each in certificates if each.serial_number == serial and each.issuer.public_bytes() == issuer]
    if len(found) != 1:
        raise SignatureRefused("the certificate of its signer is not in it")
    key = found[0].public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise SignatureRefused("its key is not of the curve P-256")
    key.verify(value, bytes([_SET]) + attributes[1:], ec.ECDSA(SHA256()))  # signed as a SET (RFC 5652, 5.4)
    if not hmac.compare_digest(_digest(attributes), hashlib.sha256(content).digest()):
        raise SignatureWrong("it was made for other content")
    return Signed(found[0], tuple(each for each in certificates if each is not found[0]))


def _version(der: _Der) -> None:
    if der.value(_INTEGER) != b"\1":
        raise SignatureRefused("it is of another version of CMS")


def _algorithm(der: _Der, name: bytes) -> None:
    """Check that the next element names this algorithm, with no parameters or NULL."""
    if der.value(_SEQUENCE) not in ((named := bytes([_OID, len(name)]) + name), named + b"\5\0"):
        raise SignatureRefused("it is not ECDSA with SHA-256")


def _digest(attributes: bytes) -> bytes:
    """The digest among the signed attributes; each attribute stands once, and the content's type as RFC 5652, 11.1 asks."""
    listed = _Der(attributes).enter(_CONTEXT_0)
    values: dict[bytes, bytes] = {}
    while listed.left:
        attribute = listed.enter(_SEQUENCE)
        name = attribute.value(_OID)
        if name in values:
            raise SignatureRefused("an attribute stands in it twice")
        values[name] = attribute.value(_SET)
    if values.get(_CONTENT_TYPE) is None or _Der(values[_CONTENT_TYPE]).value(_OID) != _DATA:
        raise SignatureRefused("it does not say what kind of content it signs")
    return _Der(values.get(_MESSAGE_DIGEST, b"")).value(_OCTETS)


def _certificates(listed: _Der) -> Iterable[x509.Certificate]:
    while listed.left:
        yield x509.load_der_x509_certificate(listed.whole(_SEQUENCE))


class _Der:
    """A place in DER. Each step takes one element and raises `SignatureRefused`, or IndexError at the end of the bytes."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0

    @property
    def left(self) -> int:
        return len(self._content) - self._at

    def whole(self, tag: int) -> bytes:
        """The next element, tag and length included."""
        start, _, end = self._next(tag)
        return self._content[start:end]

    def value(self, tag: int) -> bytes:
        _, begin, end = self._next(tag)
        return self._content[begin:end]

    def enter(self, tag: int) -> _Der:
        return _Der(self.value(tag))

    def _next(self, tag: int) -> tuple[int, int, int]:
        start = self._at
        if self._content[start] != tag:
            raise SignatureRefused(f"it has 0x{self._content[start]:02x} where a signature has 0x{tag:02x}")
        length, begin = self._content[start + 1], start + 2
        if length >= 0x80:
            count = length & 0x7F
            digits = self._content[begin : begin + count]
            if not 1 <= count <= 3 or len(digits) != count or digits[0] == 0 or int.from_bytes(digits) < 0x80:
                raise SignatureRefused("a length in it is not DER")
            length, begin = int.from_bytes(digits), begin + count
        end = begin + length
        if end > len(self._content):
            raise IndexError
        self._at = end
        return start, begin, end

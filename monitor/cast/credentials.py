"""A throw-away certificate authority that signs videos with C2PA, for the demo and the tests.

Everything is made at run time and kept in memory: no key is stored, no network is used, no time-stamp authority asked.
Nobody should trust a studio outside the run that made it. The certificates follow the profile of the C2PA specification
2.x, section 14.5: version 3, ES256, `digitalSignature` only, the extended key usage for claim signing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from c2pa import Builder, C2paBuilderIntent, C2paSigningAlg, Context, Signer
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from monitor.base.certificates import CLAIM_SIGNING, begun, key_usage, named

__all__ = ["CAPTURED", "COMPOSITE", "GENERATED", "PARTLY_GENERATED", "Studio", "tamper"]

GENERATED = "trainedAlgorithmicMedia"
PARTLY_GENERATED = "compositeWithTrainedAlgorithmicMedia"
COMPOSITE = "composite"
CAPTURED = "digitalCapture"

_SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
_DAY = timedelta(days=1)
_SETTINGS = {
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False, "verify_after_sign": False},
    "core": {"allowed_network_hosts": []},
    "builder": {"thumbnail": {"enabled": False}},
}


class Studio:
    """A root, and one certificate it issued to sign claims with. Immutable after construction; safe to share between threads.

    `anchor_pem` is what a trust list must hold for this studio's files to be trusted, `certificate_pem` the signer's
    own. Two studios never trust each other.
    `root` and `root_key` can issue more (tests make revocations with them).
    """

    def __init__(
        self,
        name: str = "Sosie Demo Studio",
        *,
        expired: bool = False,
        valid_s: float = 30 * 24 * 3600,
        usage: x509.ObjectIdentifier = CLAIM_SIGNING,
    ) -> None:
        """Make a studio, with new keys and certificates. `name` is the organisation on the certificates, which end in `valid_s` seconds;
        `usage` is what the signer's may be used for.

        The files of an `expired` studio carry a certificate that ended yesterday.
        """
        self._usage = usage
        now = datetime.now(UTC).replace(microsecond=0)
        self.root_key, self._key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        self._issuer = named(name, f"{name} Root")
        self._subject = named(name, f"{name} Claim Signer")
        self.certificate = self._certificate(now - _DAY, now + timedelta(seconds=valid_s))
        self._shown = self._twin(now - 30 * _DAY, now - _DAY) if expired else self.certificate
        self.root = (
            begun(self._issuer, self._issuer, self.root_key.public_key(), now - 60 * _DAY, now + 3650 * _DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(key_usage(authority=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.root_key.public_key()), critical=False)
            .sign(self.root_key, SHA256())
        )
        self.anchor_pem: bytes = self.root.public_bytes(Encoding.PEM)
        self.certificate_pem: bytes = self.certificate.public_bytes(Encoding.PEM)

    def sign(
        self,
        source: Path,
        target: Path,
        *,
        digital_source_type: str,
        generator: str,
        parent: Path | None = None,
        part: Path | None = None,
        assertions: Sequence[Mapping[str, Any]] = (),
        time_stamps: str | None = None,
    ) -> None:
        """Write a copy of the MP4 `source` to `target`, signed; `target` is replaced.

        The claim says: `generator` created it, or edited `parent` into it, as `digital_source_type` (a term of the IPTC
        vocabulary, such as `GENERATED`), and placed `part` in it. Parent and part are MP4s; their manifests travel along.
        `assertions` are added as they are. `time_stamps` is the address of a time-stamp authority (RFC 3161) that is asked.
        Raises C2paError when `source` is not an MP4.
        """
        made = {
            "action": "c2pa.edited" if parent else "c2pa.created",
            "digitalSourceType": _SOURCE_TYPES + digital_source_type,
            "softwareAgent": {"name": generator},
        }
        ingredients = [(path, relationship) for path, relationship in ((parent, "parentOf"), (part, "componentOf")) if path]
        used = [
            {"action": "c2pa.opened" if relationship == "parentOf" else "c2pa.placed", "parameters": {"ingredientIds": [relationship]}}
            for _, relationship in ingredients
        ]
        definition = {
            "claim_generator_info": [{"name": generator}],
            "format": "video/mp4",
            "title": target.name,
            "assertions": [{"label": "c2pa.actions", "data": {"actions": [*used, made] if parent else [made, *used]}}, *assertions],
        }
        with Context.from_dict(_SETTINGS) as context, Builder(definition, context) as builder, self.signer(time_stamps) as signer:
            for path, relationship in ingredients:
                about = {"title": path.name, "relationship": relationship, "label": relationship}
                with path.open("rb") as stream:
                    builder.add_ingredient(json.dumps(about), "video/mp4", stream)
            with source.open("rb") as unsigned, target.open("w+b") as signed:
                builder.sign(signer, "video/mp4", unsigned, signed)
        if self._shown is not self.certificate:
            target.write_bytes(self._show(target.read_bytes()))

    def update(self, source: Path, target: Path) -> None:
        """Write a copy of the signed MP4 `source` with an update manifest (C2PA 2.x, 11.2.3): a statement more, the content as it was."""
        definition = {"claim_generator_info": [{"name": "Archive"}], "format": "video/mp4", "title": target.name}
        with Context.from_dict(_SETTINGS) as context, Builder(definition, context) as builder, self.signer() as signer:
            builder.set_intent(C2paBuilderIntent.UPDATE)
            with source.open("rb") as before, target.open("w+b") as after:
                builder.sign(signer, "video/mp4", before, after)

    def signer(self, time_stamps: str | None = None) -> Signer:
        """A signer for `c2pa.Builder`; the caller closes it.

        c2pa-rs refuses to sign with an expired certificate. It is given a valid one, and each signature is made, with the same
        key, over the bytes in which the expired twin stands instead; `sign` then exchanges the twins in the file.
        """

        def signature(claim: bytes) -> bytes:
            r, s = decode_dss_signature(self._key.sign(self._show(claim), ec.ECDSA(SHA256())))
            return r.to_bytes(32) + s.to_bytes(32)

        chain = self.certificate.public_bytes(Encoding.PEM) + self.anchor_pem
        return Signer.from_callback(signature, C2paSigningAlg.ES256, chain.decode(), time_stamps)

    def _show(self, content: bytes) -> bytes:
        return content.replace(self.certificate.public_bytes(Encoding.DER), self._shown.public_bytes(Encoding.DER))

    def _certificate(self, begin: datetime, end: datetime) -> x509.Certificate:
        return (
            begun(self._subject, self._issuer, self._key.public_key(), begin, end)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(key_usage(authority=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([self._usage]), critical=True)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.root_key.public_key()), critical=False)
            .sign(self.root_key, SHA256())
        )

    def _twin(self, begin: datetime, end: datetime) -> x509.Certificate:
        """A certificate as long, when encoded, as the signer's own: an ECDSA signature takes 70 to 72 bytes, so a few tries do."""
        length = len(self.certificate.public_bytes(Encoding.DER))
        while len((twin := self._certificate(begin, end)).public_bytes(Encoding.DER)) != length:
            pass
        return twin


def tamper(source: Path, target: Path, *, changed_bytes: int = 1) -> None:
    """Write a copy of the MP4 `source` whose media data differs in its last `changed_bytes` bytes; the manifest is untouched.

    The end is chosen so that the copy still plays. Raises ValueError when `source` has no media data that long.
    """
    content = bytearray(source.read_bytes())
    start, end = _media_data(content)
    if end - start < changed_bytes:
        raise ValueError(f"{source} has {max(0, end - start)} bytes of media data")
    for position in range(end - changed_bytes, end):
        content[position] ^= 0xFF
    target.write_bytes(content)


def _media_data(content: bytearray) -> tuple[int, int]:
    """Where the payload of the last `mdat` box lies (ISO/IEC 14496-12, 4.2); (0, 0) when there is none."""
    position, found = 0, (0, 0)
    while position + 8 <= len(content):
        size, header = int.from_bytes(content[position : position + 4]), 8
        if size == 1:
            size, header = int.from_bytes(content[position + 8 : position + 16]), 16
        elif size == 0:
            size = len(content) - position
        if content[position + 4 : position + 8] == b"mdat":
            found = (position + header, min(position + size, len(content)))
        position += max(size, header)
    return found

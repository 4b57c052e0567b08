"""Makes what the provenance tests read: small clips, and a file whose signer was revoked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import av
import numpy as np
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from monitor.cast.credentials import CAPTURED, Studio
from monitor.provenance.trust import TrustLists


def clip(path: Path, *, shade: int = 0, fragmented: bool = False) -> Path:
    """One second of grey, H.264, in the container the suffix names; `fragmented`: in five fragments."""
    options = {"movflags": "frag_keyframe+empty_moov+default_base_moof"} if fragmented else {}
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream("libx264", rate=10, options={"g": "2"} if fragmented else {})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(10):
            image = np.full((48, 64, 3), (number * 20 + shade) % 256, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    return path


def trusting(folder: Path, **studios: Studio) -> TrustLists:
    """Trust lists named after the keywords, one studio each, in that order."""
    files = [folder / f"{name}.pem" for name in studios]
    for file, studio in zip(files, studios.values(), strict=True):
        file.write_bytes(studio.anchor_pem)
    return TrustLists.load(files)


def sign_with_revocation(studio: Studio, source: Path, target: Path) -> None:
    """Sign, with an OCSP answer enclosed that says: the signer was revoked five hours ago (C2PA 2.x, `c2pa.certificate-status`)."""
    now = datetime.now(UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    responder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "R"), x509.NameAttribute(NameOID.COMMON_NAME, "OCSP")]))
        .issuer_name(studio.root.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(True, False, False, False, False, False, False, False, False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING]), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(studio.root_key.public_key()), critical=False)
        .sign(studio.root_key, SHA256())
    )
    answer = (
        ocsp.OCSPResponseBuilder()
        .add_response(
            cert=studio.certificate,
            issuer=studio.root,
            algorithm=SHA1(),  # of the certificate's id only, RFC 6960, 4.1.1
            cert_status=ocsp.OCSPCertStatus.REVOKED,
            this_update=now - timedelta(hours=1),
            next_update=now + timedelta(days=1),
            revocation_time=now - timedelta(hours=5),
            revocation_reason=x509.ReasonFlags.key_compromise,
        )
        .responder_id(ocsp.OCSPResponderEncoding.HASH, responder)
        .certificates([responder])
        .sign(key, SHA256())
    )
    enclosed = {"label": "c2pa.certificate-status", "created": True, "data": {"ocspVals": [list(answer.public_bytes(Encoding.DER))]}}
    studio.sign(source, target, digital_source_type=CAPTURED, generator="Camera", assertions=[enclosed])

"""C2PA on the stills of a pack: written with the operator's key, and read back.

A still says: a video was opened (its SHA-256 stands in the ingredient and in the assertion `sosie.still`), and one frame of it was
stored as a picture. It names no digital source type, because Sosie does not know how the video was made; that is what the case is about.
No network is used: no time-stamp authority, no OCSP, no remote manifest.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from c2pa import Builder, C2paError, C2paSigningAlg, Context, Reader
from c2pa import Signer as C2paSigner
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from monitor.base.errors import ConfigError
from monitor.evidence.signing import Signer
from monitor.provenance.types import State
from monitor.provenance.verdict import Finding, judge

ASSERTION = "sosie.still"
_OFFLINE: Mapping[str, Any] = {
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False, "verify_after_sign": False},
    "core": {"allowed_network_hosts": []},
    "builder": {"thumbnail": {"enabled": False}},
}


@dataclass(frozen=True, slots=True)
class About:
    """What a still says of itself."""

    title: str
    media_type: str
    video_sha256: str
    shown_s: float
    exact: bool
    sosie: str


@dataclass(frozen=True, slots=True)
class Read:
    """What the manifest on a still says, and how that manifest stands.

    `state` as for any file; the rest is None where the manifest does not say it.
    """

    state: State
    codes: tuple[str, ...] = ()
    certificate_serial: str | None = None
    video_sha256: str | None = None
    shown_s: float | None = None


def sign(picture: bytes, about: About, signer: Signer) -> bytes:
    """The picture with a signed manifest in it. Raises `ConfigError` where c2pa refuses the certificates."""
    how = "decoded anew, at full size and without loss" if about.exact else "kept at the scan, scaled down"
    agent = {"name": "Sosie", "version": about.sosie}
    definition = {
        "claim_generator_info": [agent],
        "format": about.media_type,
        "title": about.title,
        "ingredients": [
            {
                "title": "the video of the case",
                "relationship": "parentOf",
                "label": "video",
                "format": "application/octet-stream",
                "instance_id": f"urn:sha256:{about.video_sha256}",
            }
        ],
        "assertions": [
            {
                "label": "c2pa.actions",
                "data": {
                    "actions": [
                        {"action": "c2pa.opened", "parameters": {"ingredientIds": ["video"]}},
                        {
                            "action": "c2pa.converted",
                            "softwareAgent": agent,
                            "description": f"One frame, at {about.shown_s:.3f} s: {how}",
                        },
                    ]
                },
            },
            {
                "label": ASSERTION,
                "data": {"video_sha256": about.video_sha256, "time_s": about.shown_s, "exact": about.exact},
            },
        ],
    }

    def signature(claim: bytes) -> bytes:
        r, s = decode_dss_signature(signer.key.sign(claim, ec.ECDSA(SHA256())))
        return r.to_bytes(32) + s.to_bytes(32)

    signed = io.BytesIO()
    try:
        with (
            Context.from_dict(_OFFLINE) as context,
            Builder(definition, context) as builder,
            C2paSigner.from_callback(signature, C2paSigningAlg.ES256, signer.chain_pem) as c2pa_signer,
        ):
            builder.sign(c2pa_signer, about.media_type, io.BytesIO(picture), signed)
    except C2paError as error:
        raise ConfigError(
            "SOSIE_EVIDENCE_CHAIN",
            f"C2PA does not sign with these certificates ({str(error)[:200]})",
            "Check them against the C2PA certificate profile; `sosie evidence key --out FOLDER` makes some that do",
        ) from error
    return signed.getvalue()


def read(picture: bytes, media_type: str, anchors_pem: str, ekus: str) -> Read:
    """What a still's manifest says, and how that manifest stands. Parses hostile bytes: call it inside the sandbox only."""
    trust = {"trust_config": ekus} | ({"trust_anchors": anchors_pem} if anchors_pem else {})
    try:
        with (
            Context.from_dict({**_OFFLINE, "trust": trust}) as context,
            Reader(media_type, io.BytesIO(picture), context=context) as reader,
        ):
            results = reader.get_validation_results() or {}
            store = json.loads(reader.json())
    except C2paError.ManifestNotFound:
        return Read(State.ABSENT)
    except C2paError as error:
        return Read(State.MALFORMED, (str(error)[:100],))
    active = _mapping(results.get("activeManifest"))
    failed = sorted({str(status.get("code")) for status in map(_mapping, active.get("failure") or ())})
    trusted = any(_mapping(status).get("code") == "signingCredential.trusted" for status in active.get("success") or ())
    manifest = _mapping(_mapping(store.get("manifests")).get(store.get("active_manifest")))
    assertions = [_mapping(each) for each in manifest.get("assertions") or ()]
    said = next((_mapping(each.get("data")) for each in assertions if each.get("label") == ASSERTION), {})
    return Read(
        state=judge([Finding(code, "", ingredient=False) for code in failed], signer_trusted=trusted),
        codes=tuple(failed),
        certificate_serial=_mapping(manifest.get("signature_info")).get("cert_serial_number"),
        video_sha256=said.get("video_sha256"),
        shown_s=said.get("time_s"),
    )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}

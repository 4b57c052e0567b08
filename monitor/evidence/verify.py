"""`verify`: a pack in, what is right and wrong with it out. The pack is untrusted: all of it is read in the sandbox.

Everything that can be wrong has a code, so that nothing is only a sentence; what is not a problem is a state of its file.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID, ObjectIdentifier

from monitor.base.errors import NotFound
from monitor.evidence import cms, credentials
from monitor.evidence.archive import Archive, ArchiveRefused
from monitor.evidence.cms import Signed, Vouched
from monitor.evidence.manifest import MANIFEST, SIGNATURE, UNLISTED, Manifest, ManifestRefused
from monitor.intake.sandbox import Sandbox
from monitor.provenance.manifest import plain
from monitor.provenance.trust import TrustLists
from monitor.provenance.types import State

_MAX_MANIFEST_BYTES = 4 * 1024**2


class Fault(StrEnum):
    """A kind of fault that a pack can have."""

    NOT_A_PACK = "not_a_pack"  # no zip, or not in the one shape that packs have
    NO_MANIFEST = "no_manifest"
    MANIFEST_MALFORMED = "manifest_malformed"
    NO_SIGNATURE = "no_signature"
    SIGNATURE_MALFORMED = "signature_malformed"
    SIGNATURE_WRONG = "signature_wrong"  # of another manifest, or by another key than it says
    SIGNER_UNTRUSTED = "signer_untrusted"  # authorities were given, and none of them certified the signer
    SIGNER_EXPIRED = "signer_expired"  # nothing shows that the signature was made while the certificate was valid
    FILE_CHANGED = "file_changed"
    FILE_MISSING = "file_missing"
    FILE_EXTRA = "file_extra"
    STILL_CHANGED = "still_changed"  # its C2PA manifest is absent, broken, or of other content
    STILL_FOREIGN = "still_foreign"  # signed by somebody else than the pack, or about another video or moment


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a pack. `path` is the file in the pack that is wrong; None: the pack as a whole."""

    fault: Fault
    path: str | None
    text: str


@dataclass(frozen=True, slots=True)
class By:
    """The signer of a pack's manifest. The names are the certificate's; `vouched` says what they are worth."""

    subject: str
    issuer: str
    certificate_sha256: str
    not_before: datetime
    not_after: datetime
    vouched: Vouched


@dataclass(frozen=True, slots=True)
class Verification:
    """The result of an examination of a pack. `manifest` and `by` are what could be read, right or wrong; `files` tells of each file
    "intact", "changed", "missing" or "extra", `stills` of each still how its C2PA manifest stands."""

    manifest: Manifest | None
    by: By | None
    files: Mapping[str, str]
    stills: Mapping[str, str]
    problems: tuple[Problem, ...]

    @property
    def intact(self) -> bool:
        return not self.problems

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, for `--json`."""
        manifest, by = self.manifest, self.by
        return {
            "intact": self.intact,
            "problems": [{"code": p.fault.value, "path": p.path, "text": p.text} for p in self.problems],
            "case": manifest and manifest.case_id,
            "video_sha256": manifest and manifest.video_sha256,
            "created_at": manifest and manifest.created_at,
            "versions": manifest and dict(manifest.versions),
            "for": manifest and manifest.audience,
            "exact_stills": manifest and all(still.exact for still in manifest.stills),
            "signer": by and asdict(by) | {"not_before": by.not_before.isoformat(), "not_after": by.not_after.isoformat()},
            "files": dict(self.files),
            "stills": dict(self.stills),
        }


def verify(file: Path, sandbox: Sandbox, anchors: Path | None, *, now: datetime) -> Verification:
    """Examine the pack in `file`; `anchors` is a PEM file of the authorities to believe.

    Raises `NotFound` for the file, `ConfigError` for the anchors, and what the sandbox raises.
    """
    if not file.is_file():
        raise NotFound(file, "no such file", "Check the path")
    trust = TrustLists.load(() if anchors is None else (anchors,))
    return sandbox.run(examine, file, trust, now, source=str(file))


def examine(file: Path, trust: TrustLists, now: datetime) -> Verification:
    """Examine a pack, inside the sandbox, for `verify`. Raises nothing for what a pack may contain."""
    with file.open("rb") as opened:
        try:
            return _Examination(Archive(opened), trust, now).result()
        except ArchiveRefused as error:
            return Verification(
                None, None, {}, {}, (Problem(Fault.NOT_A_PACK, None, f"It is not an evidence pack as Sosie writes them: {error}."),)
            )


class _Examination:
    """One pack, looked at from the outside in: manifest, signature, files, stills. All that is wrong is noted, not only the first."""

    def __init__(self, archive: Archive, trust: TrustLists, now: datetime) -> None:
        self._archive = archive
        self._trust = trust
        self._now = now
        self._problems: list[Problem] = []
        self._files: dict[str, str] = {}
        self._stills: dict[str, str] = {}

    def result(self) -> Verification:
        content = self._content(MANIFEST, _MAX_MANIFEST_BYTES, Fault.NO_MANIFEST)
        manifest = None if content is None else self._manifest(content)
        signed = None if content is None else self._signature(content, manifest)
        by = None if signed is None else self._by(signed)
        if manifest is not None:
            self._compare(manifest)
            self._look_at_stills(manifest, signed)
        return Verification(manifest, by, self._files, self._stills, tuple(self._problems))

    def _note(self, fault: Fault, path: str | None, text: str) -> None:
        self._problems.append(Problem(fault, path, "".join(filter(str.isprintable, text))[:500]))

    def _content(self, path: str, limit: int, absent: Fault) -> bytes | None:
        entry = self._archive.entries.get(path)
        if entry is None or entry.size_bytes > limit:
            self._note(absent, path, f"{path} is {'missing' if entry is None else 'far larger than any'}.")
            return None
        content = self._archive.content(path)
        if zlib.crc32(content) != entry.crc32:
            self._note(Fault.FILE_CHANGED, path, f"{path} is not what the zip's own checksum says.")
        return content

    def _manifest(self, content: bytes) -> Manifest | None:
        try:
            return Manifest.from_bytes(content)
        except ManifestRefused as error:
            self._note(Fault.MANIFEST_MALFORMED, MANIFEST, f"{MANIFEST} cannot be read: {error}.")
            return None

    def _signature(self, content: bytes, manifest: Manifest | None) -> Signed | None:
        signature = self._content(SIGNATURE, cms.MAX_BYTES, Fault.NO_SIGNATURE)
        if signature is None:
            return None
        try:
            signed = cms.verify(signature, content)
        except cms.SignatureWrong as error:
            self._note(Fault.SIGNATURE_WRONG, SIGNATURE, f"The signature is not one of this manifest: {error}.")
            return None
        except cms.SignatureRefused as error:
            self._note(Fault.SIGNATURE_MALFORMED, SIGNATURE, f"The signature cannot be read: {error}.")
            return None
        if manifest is not None and sorted(_sha256(each) for each in (signed.certificate, *signed.others)) != sorted(manifest.signer):
            self._note(Fault.SIGNATURE_WRONG, SIGNATURE, "The certificates in the signature are not those that the manifest names.")
        return signed

    def _by(self, signed: Signed) -> By:
        leaf = signed.certificate
        pem = "".join(each.anchors for each in self._trust.lists).encode()
        vouched = cms.vouched(signed, x509.load_pem_x509_certificates(pem) if pem else (), self._now)
        by = By(_name(leaf.subject), _name(leaf.issuer), _sha256(leaf), leaf.not_valid_before_utc, leaf.not_valid_after_utc, vouched)
        if vouched == "untrusted":
            self._note(Fault.SIGNER_UNTRUSTED, SIGNATURE, f"No authority that was given certified the signer, who is named {by.subject}.")
        if self._now > by.not_after:
            self._note(
                Fault.SIGNER_EXPIRED,
                SIGNATURE,
                f"The signer's certificate ended on {by.not_after:%Y-%m-%d}, and nothing shows that the signature was made before.",
            )
        return by

    def _compare(self, manifest: Manifest) -> None:
        listed = {each.path: each for each in manifest.files}
        stills = [still.file for still in manifest.stills]
        if (
            len(listed) != len(manifest.files)
            or len(set(stills)) != len(stills)
            or UNLISTED & listed.keys()
            or not listed.keys() >= set(stills)
        ):
            self._note(Fault.MANIFEST_MALFORMED, MANIFEST, f"{MANIFEST} lists a file twice, or itself, or a still that is no file of it.")
        for path, entry in self._archive.entries.items():
            if path in UNLISTED:
                continue
            if path not in listed:
                self._files[path] = "extra"
                self._note(Fault.FILE_EXTRA, path, f"{path} is in the pack, and the manifest does not list it.")
                continue
            content = self._archive.content(path)
            sha256 = hashlib.sha256(content).hexdigest()
            self._files[path] = "intact"
            if (sha256, len(content)) != (listed[path].sha256, listed[path].size_bytes):
                self._files[path] = "changed"
                self._note(Fault.FILE_CHANGED, path, f"{path} has SHA-256 {sha256}, and the manifest says {listed[path].sha256[:64]}.")
            elif zlib.crc32(content) != entry.crc32:
                self._files[path] = "changed"
                self._note(Fault.FILE_CHANGED, path, f"{path} is not what the zip's own checksum says.")
        for path in sorted(listed.keys() - self._archive.entries.keys()):
            self._files[path] = "missing"
            self._note(Fault.FILE_MISSING, path, f"{path} is listed in the manifest, and is not in the pack.")

    def _look_at_stills(self, manifest: Manifest, signed: Signed | None) -> None:
        anchors = "".join(each.anchors for each in self._trust.lists)
        types = {each.path: each.media_type for each in manifest.files}
        serial = None if signed is None else str(signed.certificate.serial_number)
        for still in manifest.stills:
            if still.file not in self._archive.entries or types.get(still.file) not in ("image/png", "image/jpeg"):
                continue  # noted already, or no still of ours: the zip names it otherwise
            found = credentials.read(self._archive.content(still.file), types[still.file], anchors, self._trust.ekus)
            self._stills[still.file] = found.state.value
            if found.state not in (State.TRUSTED, State.UNTRUSTED):
                why = f" ({', '.join(found.codes)})" if found.codes else ""
                self._note(Fault.STILL_CHANGED, still.file, f"The C2PA manifest of {still.file} is {found.state.value}{why}.")
            elif serial is not None and found.certificate_serial != serial:
                self._note(Fault.STILL_FOREIGN, still.file, f"{still.file} was signed with another certificate than the pack.")
            elif (found.video_sha256, found.shown_s) != (manifest.video_sha256, still.shown_s):
                self._note(Fault.STILL_FOREIGN, still.file, f"{still.file} says that it shows another video, or another moment.")


def _sha256(certificate: x509.Certificate) -> str:
    return certificate.fingerprint(SHA256()).hex()


def _name(name: x509.Name) -> str:
    def first(oid: ObjectIdentifier) -> str:
        found = name.get_attributes_for_oid(oid)
        return plain(str(found[0].value)) if found else ""

    return " / ".join(filter(None, map(first, (NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME)))) or "nobody named in the certificate"

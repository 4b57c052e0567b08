"""Trust lists: whose signatures an operator believes.

A list is a PEM file of certificate authorities: whoever they certify is believed. Sosie ships none, so that nobody is trusted
without the operator's decision. Lists of single signers (the `allowed` file of the C2PA's interim trust list) are refused:
c2pa-rs 0.91 takes such a list and then trusts nobody for it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from monitor.errors import ConfigError

__all__ = ["TrustList", "TrustLists"]

_PEM_BEGIN = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----")
_OID = re.compile(r"[0-2](\.\d+)+")
_SPECIFIED_EKUS = "\n".join(
    (
        "1.3.6.1.4.1.62558.2.1",  # c2pa-kp-claimSigning
        "1.3.6.1.5.5.7.3.4",  # id-kp-emailProtection
        "1.3.6.1.5.5.7.3.36",  # id-kp-documentSigning
        "1.3.6.1.5.5.7.3.8",  # id-kp-timeStamping
        "1.3.6.1.5.5.7.3.9",  # id-kp-OCSPSigning
    )
)
"""The C2PA specification 2.x, 14.5.1. c2pa-rs's own default lacks the first."""
_NEXT_STEP = "Give a PEM file that holds certificates only, as a published trust list does"


@dataclass(frozen=True, slots=True)
class TrustList:
    """The authorities in one file, as PEM text; `name` is the file's name."""

    name: str
    anchors: str


@dataclass(frozen=True, slots=True)
class TrustLists:
    """Every list in force, and the extended key usages a signing certificate may have. Hashable, picklable, immutable.

    `ekus` holds object identifiers, one a line. `version` changes when a name or a certificate of any list changes.
    """

    lists: tuple[TrustList, ...] = ()
    ekus: str = _SPECIFIED_EKUS

    @classmethod
    def load(cls, files: Iterable[Path], config: Path | None = None) -> TrustLists:
        """Read PEM files, and a file of OIDs (one a line; `#` and `//` start comments).

        Certificates that are no authority are left out. Raises `ConfigError`, naming the file, when one cannot be read, holds
        a private key or anything but certificates, holds no authority, or shares its name with another (verdicts name lists by it).
        """
        lists = tuple(_read_list(file) for file in files)
        seen: set[str] = set()
        for trust_list in lists:
            if trust_list.name in seen:
                raise ConfigError(trust_list.name, "two trust lists have this file name", "Rename one: verdicts name the list that matched")
            seen.add(trust_list.name)
        return cls(lists, _SPECIFIED_EKUS if config is None else _read_ekus(config))

    @property
    def version(self) -> str:
        """The first 12 hex digits of a SHA-256 over names and contents."""
        digest = hashlib.sha256()
        for part in (self.ekus, *(text for item in self.lists for text in (item.name, item.anchors))):
            encoded = part.encode()
            digest.update(len(encoded).to_bytes(8, "big") + encoded)
        return digest.hexdigest()[:12]

    def alone(self, trust_list: TrustList) -> TrustLists:
        """The same rules with only this list in force."""
        return TrustLists((trust_list,), self.ekus)


def _read_list(file: Path) -> TrustList:
    content = _read(file)
    labels = {label.decode() for label in _PEM_BEGIN.findall(content)}
    if any("PRIVATE KEY" in label for label in labels):
        raise ConfigError(file, "holds a private key", "Keep the key elsewhere, and give the certificates alone")
    if labels - {"CERTIFICATE"}:
        raise ConfigError(file, f"holds {', '.join(sorted(labels - {'CERTIFICATE'}))} beside certificates", _NEXT_STEP)
    try:
        authorities = [certificate for certificate in x509.load_pem_x509_certificates(content) if _is_authority(certificate)]
    except ValueError as error:
        raise ConfigError(file, f"is not a list of PEM certificates ({error})", _NEXT_STEP) from error
    if not authorities:
        raise ConfigError(file, "holds no certificate authority, so nobody would be trusted for it", "Give the list of anchors (roots)")
    return TrustList(file.name, "".join(authority.public_bytes(Encoding.PEM).decode() for authority in authorities))


def _read_ekus(file: Path) -> str:
    oids = []
    for number, line in enumerate(_read(file).decode("utf-8", "replace").splitlines(), start=1):
        text = re.split(r"#|//", line, maxsplit=1)[0].strip()
        if not text:
            continue
        if not _OID.fullmatch(text):
            raise ConfigError(
                f"{file}:{number}", f"{text!r} is not an object identifier", "Write one OID a line, such as 1.3.6.1.4.1.62558.2.1"
            )
        oids.append(text)
    if not oids:
        raise ConfigError(
            file, "lists no extended key usage", "Write one OID a line, or leave the setting out for those of the C2PA specification"
        )
    return "\n".join(oids)


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ConfigError(file, f"cannot be read ({error.strerror})", "Check the path and the permissions") from error


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False

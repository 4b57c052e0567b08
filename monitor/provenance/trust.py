"""Trust lists: whose signatures an operator believes.

A list of *signers* or *time-stamps* is a PEM file of certificate authorities: whoever they certify is believed. An *allowed* list names
single signers' certificates. Sosie ships none, so that nobody is trusted without the operator's decision.

c2pa-rs takes all authorities as one, for signatures and for time-stamps alike, and trusts nobody for an allowed list (0.91). What keeps
the lists apart is ours: `monitor.provenance.check` asks again with the signers' lists only, and reads allowed lists itself.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from monitor.base.errors import ConfigError

__all__ = [
    "SPECIFIED_EKUS",
    "AllowedList",
    "Purpose",
    "TrustList",
    "TrustLists",
    "authorities",
    "is_authority",
    "only_certificates",
    "single_signers",
    "usages",
    "usages_of",
]

_PEM_BEGIN = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----")
_OID = re.compile(r"[0-2](\.\d+)+")
SPECIFIED_EKUS = "\n".join(
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


class Purpose(StrEnum):
    """What the authorities of a list are believed about."""

    SIGNERS = "signers"  # who signed, and when: time-stamps too, as the interim list and operators' own lists are meant
    TIME_STAMPS = "time-stamps"  # when alone


@dataclass(frozen=True, slots=True)
class TrustList:
    """Authorities, as PEM text. Verdicts name the list by `name`."""

    name: str
    anchors: str
    purpose: Purpose = Purpose.SIGNERS

    @property
    def certificates(self) -> tuple[x509.Certificate, ...]:
        return _certificates(self.anchors)


@dataclass(frozen=True, slots=True)
class AllowedList:
    """Single signers that are believed whoever certified them, by the SHA-256 of their certificates, sorted."""

    name: str
    certificates: tuple[str, ...]


@lru_cache(maxsize=32)
def _certificates(pem: str) -> tuple[x509.Certificate, ...]:
    return tuple(x509.load_pem_x509_certificates(pem.encode())) if pem else ()


@dataclass(frozen=True, slots=True)
class TrustLists:
    """Every list in force, and the extended key usages a signing certificate may have. Hashable, picklable, immutable.

    `ekus` holds object identifiers, one a line. `version` changes when a name or a certificate of any list changes.
    """

    lists: tuple[TrustList, ...] = ()
    ekus: str = SPECIFIED_EKUS
    allowed: tuple[AllowedList, ...] = ()

    @classmethod
    def load(cls, files: Iterable[Path], config: Path | None = None) -> TrustLists:
        """Read PEM files, and a file of OIDs (one a line; `#` and `//` start comments).

        Certificates that are no authority are left out. Raises `ConfigError`, naming the file, when one cannot be read, holds
        a private key or anything but certificates, holds no authority, or shares its name with another (verdicts name lists by it).
        """
        lists = tuple(authorities(_read(file), file) for file in files)
        seen: set[str] = set()
        for trust_list in lists:
            if trust_list.name in seen:
                raise ConfigError(trust_list.name, "two trust lists have this file name", "Rename one: verdicts name the list that matched")
            seen.add(trust_list.name)
        return cls(lists, SPECIFIED_EKUS if config is None else usages(_read(config), config))

    @property
    def version(self) -> str:
        """The first 12 hex digits of a SHA-256 over names and contents."""
        digest = hashlib.sha256()
        lists = [text for item in self.lists for text in (item.name, item.purpose, item.anchors)]
        allowed = [text for item in self.allowed for text in (item.name, *item.certificates)]
        for part in (self.ekus, *lists, *allowed):
            encoded = part.encode()
            digest.update(len(encoded).to_bytes(8, "big") + encoded)
        return digest.hexdigest()[:12]

    @property
    def signers(self) -> tuple[TrustList, ...]:
        return tuple(item for item in self.lists if item.purpose is Purpose.SIGNERS)

    def only(self, *lists: TrustList) -> TrustLists:
        """The same rules with only these lists in force, and nobody allowed besides."""
        return TrustLists(lists, self.ekus)

    def allowing(self, certificate: str) -> AllowedList | None:
        """The first allowed list that names this certificate (SHA-256)."""
        return next((item for item in self.allowed if certificate in item.certificates), None)


def authorities(content: bytes, file: Path, *, name: str | None = None, purpose: Purpose = Purpose.SIGNERS) -> TrustList:
    """A list from the PEM certificates in `content`. Raises `ConfigError` that names `file`."""
    found = [certificate for certificate in only_certificates(content, file) if is_authority(certificate)]
    if not found:
        raise ConfigError(file, "holds no certificate authority, so nobody would be trusted for it", "Give the list of anchors (roots)")
    return TrustList(name or file.name, "".join(each.public_bytes(Encoding.PEM).decode() for each in found), purpose)


def single_signers(content: bytes, file: Path, *, name: str | None = None) -> AllowedList:
    """A list of the signers' own certificates in `content`; authorities are left out. Raises `ConfigError` that names `file`."""
    found = {each.fingerprint(SHA256()).hex() for each in only_certificates(content, file) if not is_authority(each)}
    if not found:
        raise ConfigError(file, "holds no signer's own certificate", "Give the list of allowed certificates")
    return AllowedList(name or file.name, tuple(sorted(found)))


def usages(content: bytes, file: Path) -> str:
    """Object identifiers of extended key usages, one a line. Raises `ConfigError` that names the line of `file`."""
    oids = []
    for number, line in enumerate(content.decode("utf-8", "replace").splitlines(), start=1):
        text = re.split(r"#|//", line, maxsplit=1)[0].strip()
        if not text:
            continue
        if not _OID.fullmatch(text):
            raise ConfigError(
                f"{file}:{number}", f"{text!r} is not an object identifier", "Write one OID a line, such as 1.3.6.1.4.1.62558.2.1"
            )
        oids.append(text)
    if not oids:
        raise ConfigError(file, "lists no extended key usage", "Write one OID a line, or leave it out for those of the C2PA specification")
    return "\n".join(oids)


def only_certificates(content: bytes, file: Path) -> list[x509.Certificate]:
    labels = {label.decode() for label in _PEM_BEGIN.findall(content)}
    if any("PRIVATE KEY" in label for label in labels):
        raise ConfigError(file, "holds a private key", "Keep the key elsewhere, and give the certificates alone")
    if labels - {"CERTIFICATE"}:
        raise ConfigError(file, f"holds {', '.join(sorted(labels - {'CERTIFICATE'}))} beside certificates", _NEXT_STEP)
    try:
        return x509.load_pem_x509_certificates(content)
    except (ValueError, x509.InvalidVersion) as error:
        raise ConfigError(file, f"is not a list of PEM certificates ({error})", _NEXT_STEP) from error


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ConfigError(file, f"cannot be read ({error.strerror})", "Check the path and the permissions") from error


def is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):  # ValueError: extensions that break their own rules
        return False


def usages_of(certificate: x509.Certificate) -> list[x509.ObjectIdentifier]:
    """The extended key usages a certificate names; none where it names none, or breaks the rules of naming them."""
    try:
        return [*certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value]
    except (x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType, ValueError):
        return []

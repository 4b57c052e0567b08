"""The operator's key and certificates that sign packs: loaded and checked before anything else is done, or made.

One key signs both: each still (C2PA) and the manifest (CMS, detached). The C2PA profile is the narrower of the two, so it decides
what a certificate must be: version 3, P-256, `digitalSignature`, an extended key usage that C2PA knows.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key, pkcs7
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier

from monitor.base.certificates import CLAIM_SIGNING, begun, key_usage, named
from monitor.base.errors import ConfigError, RequestRefused
from monitor.base.files import write_atomically

_C2PA_USAGES = frozenset((CLAIM_SIGNING, ExtendedKeyUsageOID.EMAIL_PROTECTION, ObjectIdentifier("1.3.6.1.5.5.7.3.36")))
_KEY, _CHAIN = "SOSIE_EVIDENCE_KEY", "SOSIE_EVIDENCE_CHAIN"
_YEARS = 10
_MAKE = "`sosie evidence key --out FOLDER` makes both, as an authority of your own"


@dataclass(frozen=True, slots=True, repr=False)
class Signer:
    """A private key and its certificates, the signer's own first. Never shown, never pickled, never in the sandbox."""

    key: ec.EllipticCurvePrivateKey
    chain: tuple[x509.Certificate, ...]

    @classmethod
    def load(cls, key: Path | None, chain: Path | None, *, now: datetime) -> Signer:
        """The signer with this key and chain. Raises `ConfigError` where a file is missing, or does not do for signing now."""
        if key is None or chain is None:
            missing = _KEY if key is None else _CHAIN
            raise ConfigError(missing, "is not set, and a pack is never left unsigned", f"Set {_KEY} and {_CHAIN}; {_MAKE}")
        signer = cls(_private_key(key), _certificates(chain))
        signer._check(chain, now)
        return signer

    @property
    def certificate(self) -> x509.Certificate:
        return self.chain[0]

    @property
    def chain_pem(self) -> str:
        return "".join(certificate.public_bytes(Encoding.PEM).decode() for certificate in self.chain)

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """The SHA-256 of each certificate, in the chain's order."""
        return tuple(certificate.fingerprint(SHA256()).hex() for certificate in self.chain)

    def cms(self, content: bytes) -> bytes:
        """A detached CMS signature (RFC 5652) in DER over `content`, with the certificates: `openssl cms -verify` reads it."""
        builder = pkcs7.PKCS7SignatureBuilder().set_data(content).add_signer(self.certificate, self.key, SHA256())
        for certificate in self.chain[1:]:
            builder = builder.add_certificate(certificate)
        options = [pkcs7.PKCS7Options.DetachedSignature, pkcs7.PKCS7Options.Binary, pkcs7.PKCS7Options.NoCapabilities]
        return builder.sign(Encoding.DER, options)

    def _check(self, file: Path, now: datetime) -> None:
        leaf = self.certificate
        if leaf.public_key() != self.key.public_key():
            raise ConfigError(_KEY, f"is not the key of the first certificate in {file}", "Put the signer's own certificate first")
        if not leaf.not_valid_before_utc <= now <= leaf.not_valid_after_utc:
            begin, end = leaf.not_valid_before_utc, leaf.not_valid_after_utc
            raise ConfigError(
                _CHAIN, f"its signing certificate is valid from {begin:%Y-%m-%d} to {end:%Y-%m-%d} only", f"Have it renewed; {_MAKE}"
            )
        if not may_sign(leaf):
            raise ConfigError(
                _CHAIN,
                "its signing certificate has no extended key usage that C2PA accepts",
                "Have one issued for claim signing (1.3.6.1.4.1.62558.2.1), document signing or e-mail protection",
            )


def may_sign(certificate: x509.Certificate) -> bool:
    """Whether the extended key usages of a certificate are those of a signer of C2PA claims."""
    try:
        return not _C2PA_USAGES.isdisjoint(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except (x509.ExtensionNotFound, ValueError):
        return False


def make_own_authority(folder: Path, name: str, *, now: datetime) -> None:
    """Write `key.pem`, `chain.pem` and `authority.pem` into `folder`, each readable by its owner alone.

    The authority certifies this one signer and is then unable to certify anybody: its own key is thrown away. Raises `RequestRefused`
    where one of the files is there already, or the name does not fit into a certificate, and `ConfigError` where nothing can be written.
    """
    files = {each: folder / each for each in ("key.pem", "chain.pem", "authority.pem")}
    for file in files.values():
        if file.exists():
            raise RequestRefused(file, "is there already, and a key is never replaced", "Name another folder, or move the file away")
    if not 0 < len(name := " ".join(name.split())) <= 48:
        raise RequestRefused("The name", "must have 1 to 48 characters", "Give the name of your organisation with --name")
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    begin = now.astimezone(UTC).replace(microsecond=0) - timedelta(minutes=5)  # clocks of those who verify may be a little slow
    end = begin + timedelta(days=365 * _YEARS)
    issuer, subject = named(name, f"{name} authority"), named(name, f"{name} evidence")
    root = (
        begun(issuer, issuer, root_key.public_key(), begin, end)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(key_usage(authority=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(root_key.public_key()), critical=False)
        .sign(root_key, SHA256())
    )
    leaf = (
        begun(subject, issuer, key.public_key(), begin, end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(key_usage(authority=False), critical=True)
        # Claim signing for C2PA; e-mail protection is what OpenSSL asks of whoever signs CMS.
        .add_extension(x509.ExtendedKeyUsage([CLAIM_SIGNING, ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), critical=False)
        .sign(root_key, SHA256())
    )
    contents = {
        "key.pem": key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        "chain.pem": leaf.public_bytes(Encoding.PEM),
        "authority.pem": root.public_bytes(Encoding.PEM),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for each, content in contents.items():
            write_atomically(files[each], content)
    except OSError as error:
        raise ConfigError(folder, f"cannot be written to: {error.strerror}", "Name a folder that is, or can be, yours") from error


def _private_key(file: Path) -> ec.EllipticCurvePrivateKey:
    try:
        key = load_pem_private_key(file.read_bytes(), password=None)
    except TypeError:
        raise ConfigError(_KEY, f"{file} is encrypted", "Give a key without a passphrase, that only Sosie's user can read") from None
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        raise ConfigError(_KEY, f"{file} holds no private key in PEM ({type(error).__name__})", _MAKE) from None  # no word of its content
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ConfigError(_KEY, f"{file} holds a key that is not of the curve P-256", f"Have one made for P-256; {_MAKE}")
    return key


def _certificates(file: Path) -> tuple[x509.Certificate, ...]:
    try:
        return tuple(x509.load_pem_x509_certificates(file.read_bytes()))
    except (OSError, ValueError, x509.InvalidVersion) as error:
        raise ConfigError(_CHAIN, f"{file} holds no certificates in PEM ({error})", _MAKE) from error

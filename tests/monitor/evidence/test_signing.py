"""The key: made, loaded, refused; its signature read back, and by openssl."""

from __future__ import annotations

import stat
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor.base.errors import ConfigError, RequestRefused
from monitor.cast.credentials import Studio
from monitor.evidence import cms
from monitor.evidence.signing import Signer, make_own_authority
from tests.monitor.household import sosie

NOW = datetime.now(UTC)
CONTENT = b'{"a":1}\n'


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    make_own_authority(folder, "Ärzte & Co", now=NOW)
    return folder


@pytest.fixture(scope="module")
def signer(keys: Path) -> Signer:
    return Signer.load(keys / "key.pem", keys / "chain.pem", now=NOW)


@pytest.fixture(scope="module")
def signature(signer: Signer) -> bytes:
    return signer.cms(CONTENT)


def anchors(file: Path) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(file.read_bytes())


def test_the_command_makes_a_key_for_its_owner_alone_says_whose_it_is_and_never_replaces_one(home: Path, tmp_path: Path) -> None:
    ran = sosie("evidence", "key", "--out", tmp_path / "keys", "--name", "An Estate")
    assert ran.status == 0
    assert "an authority of its own that no one else vouches for" in ran.out
    assert {each.name: stat.S_IMODE(each.stat().st_mode) for each in (tmp_path / "keys").iterdir()} == dict.fromkeys(
        ("key.pem", "chain.pem", "authority.pem"), 0o600
    )
    before = (tmp_path / "keys" / "key.pem").read_bytes()
    again = sosie("evidence", "key", "--out", tmp_path / "keys")
    assert (again.status, "is there already" in again.err) == (1, True)
    assert (tmp_path / "keys" / "key.pem").read_bytes() == before
    with pytest.raises(RequestRefused):
        make_own_authority(tmp_path / "other", " ", now=NOW)


def test_a_signature_is_of_one_content_by_one_key(signer: Signer, signature: bytes, keys: Path) -> None:
    signed = cms.verify(signature, CONTENT)
    assert signed.certificate == signer.certificate
    with pytest.raises(cms.SignatureWrong, match="other content"):
        cms.verify(signature, CONTENT + b" ")
    assert cms.vouched(signed, anchors(keys / "authority.pem"), NOW) == "trusted"
    assert cms.vouched(signed, [], NOW) == "unknown"
    assert cms.vouched(signed, [Studio().root], NOW) == "untrusted"
    assert cms.vouched(signed, anchors(keys / "authority.pem"), NOW + timedelta(days=3651)) == "expired"


def test_a_chain_with_an_authority_between_is_followed(tmp_path: Path) -> None:
    studio = Studio("A Public Authority")
    signer = Signer(studio._key, (studio.certificate, studio.root))
    signed = cms.verify(signer.cms(CONTENT), CONTENT)
    assert signed.others == (studio.root,)
    assert cms.vouched(signed, [studio.root], NOW) == "trusted"


@given(st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
def test_a_damaged_signature_is_refused_or_says_the_same_but_for_names_that_the_manifest_holds(
    signature: bytes, signer: Signer, data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(signature) - 1))
    changed = bytearray(signature)
    changed[place] ^= data.draw(st.integers(1, 255))
    try:
        signed = cms.verify(bytes(changed), CONTENT)
    except cms.SignatureRefused:
        return
    assert signed.certificate.fingerprint(SHA256()).hex() != signer.fingerprints[0]
    assert signed.certificate.public_key() == signer.certificate.public_key()


@given(st.binary(max_size=200))
def test_noise_is_refused(noise: bytes) -> None:
    with pytest.raises(cms.SignatureRefused):
        cms.verify(noise, CONTENT)


def test_what_openssl_signs_with_the_same_key_is_read_as_well(keys: Path, tmp_path: Path, openssl: str) -> None:
    (tmp_path / "content").write_bytes(CONTENT)
    command = [
        openssl,
        "cms",
        "-sign",
        "-binary",
        "-outform",
        "DER",
        "-nosmimecap",
        "-md",
        "sha256",
        "-in",
        "content",
        "-out",
        "signature",
    ]
    signer = ["-signer", str(keys / "chain.pem"), "-inkey", str(keys / "key.pem")]
    subprocess.run([*command, *signer], cwd=tmp_path, check=True, capture_output=True)
    assert cms.verify((tmp_path / "signature").read_bytes(), CONTENT).certificate == anchors(keys / "chain.pem")[0]


def pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, password: bytes | None = None) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption() if password is None else BestAvailableEncryption(password))


@pytest.mark.parametrize(
    ("key", "chain", "reason"),
    [
        (lambda _: b"words", None, "holds no private key"),
        (lambda _: pem(ec.generate_private_key(ec.SECP256R1()), b"secret"), None, "is encrypted"),
        (lambda _: pem(rsa.generate_private_key(65537, 2048)), None, "not of the curve P-256"),
        (lambda _: pem(ec.generate_private_key(ec.SECP256R1())), None, "is not the key of the first certificate"),
        (None, lambda _: b"words", "holds no certificates"),
    ],
)
def test_a_key_that_does_not_do_is_refused_before_anything_is_done(
    keys: Path, tmp_path: Path, key: Callable[[Path], bytes] | None, chain: Callable[[Path], bytes] | None, reason: str
) -> None:
    for name, make in (("key.pem", key), ("chain.pem", chain)):
        (tmp_path / name).write_bytes((keys / name).read_bytes() if make is None else make(keys))
    with pytest.raises(ConfigError, match=reason):
        Signer.load(tmp_path / "key.pem", tmp_path / "chain.pem", now=NOW)


def test_a_certificate_that_is_over_or_for_something_else_is_refused(keys: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is valid from"):
        Signer.load(keys / "key.pem", keys / "chain.pem", now=NOW + timedelta(days=3651))
    studio = Studio()
    (tmp_path / "key.pem").write_bytes(pem(studio.root_key))
    (tmp_path / "chain.pem").write_bytes(studio.anchor_pem)
    with pytest.raises(ConfigError, match="extended key usage"):
        Signer.load(tmp_path / "key.pem", tmp_path / "chain.pem", now=NOW)

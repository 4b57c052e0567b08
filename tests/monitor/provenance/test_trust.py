from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from monitor.base.errors import ConfigError
from monitor.cast.credentials import Studio
from monitor.provenance.trust import TrustLists
from tests.monitor.provenance.making import trusting


def test_lists_keep_their_order_and_their_names(tmp_path: Path) -> None:
    trust = trusting(tmp_path, b=Studio("B"), a=Studio("A"))
    assert [item.name for item in trust.lists] == ["b.pem", "a.pem"]


def test_the_version_changes_with_names_contents_and_key_usages_and_with_nothing_else(tmp_path: Path, studio: Studio) -> None:
    trust = trusting(tmp_path, one=studio)
    assert len(trust.version) == 12
    (tmp_path / "commented.pem").write_bytes(b"# a comment\n" + studio.anchor_pem)
    (tmp_path / "commented.pem").rename(tmp_path / "one.pem")
    assert TrustLists.load([tmp_path / "one.pem"]).version == trust.version

    (tmp_path / "ekus.cfg").write_text("// claim signing\n1.3.6.1.4.1.62558.2.1\n\n")
    changed = [
        TrustLists(),
        trusting(tmp_path, two=studio),
        trusting(tmp_path, one=Studio("Other")),
        TrustLists.load([tmp_path / "one.pem"], tmp_path / "ekus.cfg"),
    ]
    assert len({trust.version, *(other.version for other in changed)}) == 5


def test_lists_travel_to_the_sandbox(trust: TrustLists) -> None:
    assert pickle.loads(pickle.dumps(trust)) == trust


def test_a_private_key_is_refused_and_not_repeated(tmp_path: Path, studio: Studio) -> None:
    key = studio.root_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "mixed.pem").write_bytes(studio.anchor_pem + key)
    with pytest.raises(ConfigError, match=r"mixed\.pem: holds a private key") as caught:
        TrustLists.load([tmp_path / "mixed.pem"])
    assert key.decode().splitlines()[1] not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is not a list of PEM certificates"),
        (b"garbage \x00\xff", "is not a list of PEM certificates"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "is not a list of PEM certificates"),
        (
            b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n",
            "holds CERTIFICATE REQUEST beside certificates",
        ),
    ],
)
def test_anything_but_certificates_is_refused_by_name(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "list.pem").write_bytes(content)
    with pytest.raises(ConfigError, match=rf"list\.pem: {reason}"):
        TrustLists.load([tmp_path / "list.pem"])


def test_a_list_without_an_authority_is_refused(tmp_path: Path, studio: Studio) -> None:
    (tmp_path / "signers.pem").write_bytes(studio.certificate.public_bytes(Encoding.PEM))
    with pytest.raises(ConfigError, match=r"signers\.pem: holds no certificate authority"):
        TrustLists.load([tmp_path / "signers.pem"])


def test_two_lists_of_one_name_are_refused(tmp_path: Path, studio: Studio) -> None:
    (tmp_path / "deeper").mkdir()
    for folder in (tmp_path, tmp_path / "deeper"):
        (folder / "list.pem").write_bytes(studio.anchor_pem)
    with pytest.raises(ConfigError, match=r"list\.pem: two trust lists"):
        TrustLists.load([tmp_path / "list.pem", tmp_path / "deeper" / "list.pem"])


def test_a_missing_list_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone\.pem: cannot be read"):
        TrustLists.load([tmp_path / "gone.pem"])


@pytest.mark.parametrize(
    ("content", "message"), [("1.2.3\nclaim signing\n", r"ekus\.cfg:2: 'claim signing'"), ("# none\n", "lists no extended key usage")]
)
def test_a_bad_file_of_key_usages_is_refused_with_its_line(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "ekus.cfg").write_text(content)
    with pytest.raises(ConfigError, match=message):
        TrustLists.load([], tmp_path / "ekus.cfg")

"""Whatever a file asks for, the check looks no name up and calls nobody: seen from beneath the library's native code."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest
from c2pa import Builder, Context
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import AuthorityInformationAccessOID

from monitor.cast.credentials import CAPTURED, Studio
from tests.monitor.provenance.hostile import jpeg
from tests.monitor.provenance.listening import NOT_PERMITTED
from tests.monitor.provenance.packets import XMP_UUID, box, mp4, packet

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="NO NAMESPACES: what native code does is seen on Linux only")


class TalkativeStudio(Studio):
    """Its certificate names a place that says whether it was revoked, and one that has its issuer's."""

    def _certificate(self, begin: datetime, end: datetime) -> x509.Certificate:
        certificate = super()._certificate(begin, end)
        access = [
            x509.AccessDescription(AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier("http://ocsp.example/")),
            x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, x509.UniformResourceIdentifier("http://issuer.example/")),
        ]
        builder = (
            x509.CertificateBuilder()
            .subject_name(certificate.subject)
            .issuer_name(certificate.issuer)
            .public_key(certificate.public_key())
            .serial_number(certificate.serial_number)
            .not_valid_before(begin)
            .not_valid_after(end)
        )
        for extension in certificate.extensions:
            builder = builder.add_extension(extension.value, extension.critical)
        return builder.add_extension(x509.AuthorityInformationAccess(access), critical=False).sign(self.root_key, SHA256())


def listened(way: str, *arguments: Path | str) -> tuple[list[str], list[int]]:
    """What a process looked up and which ports it called."""
    command = [sys.executable, "-m", "tests.monitor.provenance.listening", way, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == NOT_PERMITTED:
        pytest.skip(f"NO NAMESPACES, so the network was not watched: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    return told["asked"], told["called"]


@pytest.fixture(scope="module")
def remote(tmp_path_factory: pytest.TempPathFactory, plain: Path, studio: Studio) -> Path:
    """A file whose manifest lies elsewhere."""
    path = tmp_path_factory.mktemp("remote") / "remote.mp4"
    created = {"label": "c2pa.actions", "data": {"actions": [{"action": "c2pa.created", "digitalSourceType": "http://x.example/a"}]}}
    definition = {"claim_generator_info": [{"name": "G"}], "assertions": [created]}
    with (
        Context.from_dict({"verify": {"verify_after_sign": False}}) as context,
        Builder(definition, context) as builder,
        studio.signer() as signer,
        plain.open("rb") as unsigned,
        path.open("w+b") as signed,
    ):
        builder.set_no_embed()
        builder.set_remote_url("http://manifest.example/a.c2pa")
        builder.sign(signer, "video/mp4", unsigned, signed)
    return path


def test_a_lookup_and_a_connection_are_seen() -> None:
    assert listened("control") == (["control.example"], [80])


def test_the_librarys_own_are_seen_where_it_may(remote: Path) -> None:
    """Its native code asks and calls when nobody tells it not to: what keeps the check quiet is our settings."""
    assert listened("library", remote) == (["manifest.example"], [80])


def test_the_check_is_silent(tmp_path: Path, plain: Path, remote: Path) -> None:
    talkative = TalkativeStudio("Talkative")
    (tmp_path / "talkative.pem").write_bytes(talkative.anchor_pem)
    cloud = {"label": "c2pa.cloud-data", "data": {"label": "c2pa.metadata", "size": 9, "location": {"url": "http://cloud.example/a"}}}
    talkative.sign(plain, tmp_path / "signed.mp4", digital_source_type=CAPTURED, generator="G", assertions=[cloud])
    entity = b'<!DOCTYPE x [<!ENTITY e SYSTEM "http://entity.example/a">]>'
    points = "<xmp:CreatorTool>&e;</xmp:CreatorTool><dcterms:provenance>http://xmp.example/a.c2pa</dcterms:provenance>"
    plain_xmp = packet(points.replace("&e;", "T"))
    with_entity = packet(points).replace(b"<x:xmpmeta", entity + b"<x:xmpmeta", 1)
    files = [tmp_path / "signed.mp4", remote]
    for number, xmp in enumerate((plain_xmp, with_entity)):
        files += [jpeg(tmp_path / f"{number}.jpg", xmp), mp4(tmp_path / f"{number}.mp4", box(b"uuid", XMP_UUID, xmp))]
    assert b"http://ocsp.example/" in files[0].read_bytes()
    assert listened("check", "--trust", tmp_path / "talkative.pem", *files) == ([], [])


@pytest.mark.shared_data
def test_the_check_is_silent_over_real_files(shared: Path) -> None:
    files = [path for path in sorted((shared / "c2pa").iterdir()) if path.is_file() and path.suffix != ".csv"]
    assert listened("check", *files) == ([], [])

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import av
import pytest
from c2pa import C2paError, Context, Reader
from cryptography import x509

from monitor.cast.credentials import CAPTURED, GENERATED, Studio, tamper
from tests.monitor.provenance.making import clip


def frames(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def state(path: Path, studio: Studio) -> str:
    trust = {"trust_anchors": studio.anchor_pem.decode(), "trust_config": "1.3.6.1.4.1.62558.2.1"}
    with Context.from_dict({"trust": trust}) as context, Reader(str(path), context=context) as reader:
        return str(reader.get_validation_state())


def test_a_signed_copy_is_trusted_by_its_own_studio_and_by_no_other(tmp_path: Path) -> None:
    studio, other = Studio("One"), Studio("One")
    source, target = clip(tmp_path / "a.mp4"), tmp_path / "b.mp4"
    before = source.read_bytes()
    studio.sign(source, target, digital_source_type=GENERATED, generator="G")
    assert (state(target, studio), state(target, other)) == ("Trusted", "Valid")
    assert source.read_bytes() == before
    assert frames(target) == frames(source)


def test_the_anchor_is_an_authority_and_the_signer_is_not() -> None:
    studio = Studio("One")
    anchor = x509.load_pem_x509_certificate(studio.anchor_pem)
    assert anchor.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert not studio.certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    studio.certificate.verify_directly_issued_by(anchor)


def test_an_expired_studio_shows_a_certificate_that_ended(tmp_path: Path) -> None:
    studio = Studio("Old", expired=True)
    studio.sign(clip(tmp_path / "a.mp4"), tmp_path / "b.mp4", digital_source_type=CAPTURED, generator="G")
    with Reader(str(tmp_path / "b.mp4")) as reader:
        results = reader.get_validation_results()
    assert results is not None
    failed = {status["code"] for status in results["activeManifest"]["failure"]}
    assert "signingCredential.expired" in failed
    assert not any(code.endswith(".mismatch") for code in failed)
    assert studio.certificate.not_valid_after_utc > datetime.now(UTC)


def test_a_tampered_copy_is_invalid_and_still_plays(tmp_path: Path) -> None:
    studio = Studio("One")
    studio.sign(clip(tmp_path / "a.mp4"), tmp_path / "b.mp4", digital_source_type=GENERATED, generator="G")
    tamper(tmp_path / "b.mp4", tmp_path / "c.mp4")
    before, after = (tmp_path / "b.mp4").read_bytes(), (tmp_path / "c.mp4").read_bytes()
    assert sum(a != b for a, b in zip(before, after, strict=True)) == 1
    assert state(tmp_path / "c.mp4", studio) == "Invalid"
    assert frames(tmp_path / "c.mp4") == frames(tmp_path / "b.mp4")


def test_what_is_not_an_mp4_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"not a video")
    with pytest.raises(C2paError):
        Studio("One").sign(tmp_path / "a.mp4", tmp_path / "b.mp4", digital_source_type=GENERATED, generator="G")
    with pytest.raises(ValueError, match="media data"):
        tamper(tmp_path / "a.mp4", tmp_path / "b.mp4")

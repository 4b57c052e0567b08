"""`check` on files signed here: one test a state, then what `ai` and the signals say."""

from __future__ import annotations

import socket
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from c2pa import Builder, C2paError, Context, Reader

from monitor.base.errors import NotFound
from monitor.cast.credentials import CAPTURED, COMPOSITE, GENERATED, PARTLY_GENERATED, Studio, tamper
from monitor.provenance.check import check
from monitor.provenance.metadata import RULES
from monitor.provenance.trust import TrustLists
from monitor.provenance.types import AI, Provenance, State
from tests.monitor.provenance.making import clip, sign_with_revocation, trusting

IPTC = "Iptc4xmpExt:DigitalSourceType"
SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"


@pytest.fixture
def signed(tmp_path: Path, plain: Path, studio: Studio) -> Path:
    target = tmp_path / "signed.mp4"
    studio.sign(plain, target, digital_source_type=GENERATED, generator="Dream Machine 3")
    return target


# States


def test_a_signer_on_a_loaded_list_is_trusted_and_the_list_is_named(signed: Path, trust: TrustLists) -> None:
    found = check(signed, trust)
    assert (found.state, found.trust_list, found.codes) == (State.TRUSTED, "studio.pem", ())
    assert (found.signer, found.generator, found.manifests) == ("A Studio / A Studio Claim Signer", "Dream Machine 3", 1)
    assert found.trust_version == trust.version


def test_of_several_lists_the_one_that_vouches_is_named(signed: Path, studio: Studio, tmp_path: Path) -> None:
    lists = trusting(tmp_path, stranger=Studio("Stranger"), ours=studio, another=Studio("Another"))
    assert check(signed, lists).trust_list == "ours.pem"


def test_an_unknown_signer_is_untrusted_not_tampered(signed: Path, tmp_path: Path) -> None:
    found = check(signed, trusting(tmp_path, stranger=Studio("Stranger")))
    assert (found.state, found.trust_list) == (State.UNTRUSTED, None)
    assert found.codes == ("signingCredential.untrusted",)


def test_without_any_list_a_good_file_is_untrusted_and_an_altered_one_still_tampered(signed: Path, tmp_path: Path) -> None:
    altered = tmp_path / "altered.mp4"
    tamper(signed, altered)
    assert check(signed, TrustLists()).state is State.UNTRUSTED
    assert check(altered, TrustLists()).state is State.TAMPERED


def test_one_flipped_byte_of_media_is_tampered_and_what_it_declares_is_still_told(signed: Path, tmp_path: Path, trust: TrustLists) -> None:
    altered = tmp_path / "altered.mp4"
    tamper(signed, altered)
    found = check(altered, trust)
    assert (found.state, found.ai) == (State.TAMPERED, AI.FULLY)
    assert "assertion.bmffHash.mismatch" in found.codes


def test_one_changed_word_of_the_claim_is_tampered(signed: Path, trust: TrustLists) -> None:
    signed.write_bytes(signed.read_bytes().replace(b"Dream Machine 3", b"Canon Camera R5"))
    assert check(signed, trust).state is State.TAMPERED


def test_an_expired_signer_without_time_stamp_is_untrusted(tmp_path: Path, plain: Path) -> None:
    old = Studio("Old Studio", expired=True)
    old.sign(plain, tmp_path / "old.mp4", digital_source_type=CAPTURED, generator="Camera")
    found = check(tmp_path / "old.mp4", trusting(tmp_path, old=old))
    assert found.state is State.UNTRUSTED
    assert "signingCredential.expired" in found.codes


def test_a_revoked_signer_is_revoked_even_though_a_list_vouches_for_its_issuer(
    tmp_path: Path, plain: Path, studio: Studio, trust: TrustLists
) -> None:
    sign_with_revocation(studio, plain, tmp_path / "revoked.mp4")
    assert check(tmp_path / "revoked.mp4", trust).state is State.REVOKED


def test_a_file_without_manifest_is_absent(plain: Path, trust: TrustLists) -> None:
    found = check(plain, trust)
    assert replace(found, signals=()) == Provenance(State.ABSENT, AI.UNKNOWN, trust.version, rules=RULES)
    assert {signal.code for signal in found.signals} <= {"program"}


@pytest.mark.parametrize("suffix", ["mkv", "ts"])
def test_a_container_the_library_cannot_read_is_unsupported_not_absent(tmp_path: Path, trust: TrustLists, suffix: str) -> None:
    assert check(clip(tmp_path / f"clip.{suffix}"), trust).state is State.UNSUPPORTED


@pytest.mark.parametrize("name", ["signed.jpg", "signed.webm", "signed.c2pa", "signed"])
def test_the_container_is_told_by_content_whatever_the_name(signed: Path, trust: TrustLists, name: str) -> None:
    assert check(signed.rename(signed.with_name(name)), trust).state is State.TRUSTED


def test_a_manifest_cut_short_is_malformed(signed: Path, trust: TrustLists) -> None:
    signed.write_bytes(signed.read_bytes()[:4000])
    found = check(signed, trust)
    assert (found.state, found.ai) == (State.MALFORMED, AI.UNKNOWN)


def test_a_missing_file_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"gone\.mp4"):
        check(tmp_path / "gone.mp4", TrustLists())


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs a file whose reading fails: Linux's /proc/self/mem")
def test_a_disk_that_fails_is_not_blamed_on_the_file() -> None:
    with pytest.raises(OSError, match="Input/output error"):
        check(Path("/proc/self/mem"), TrustLists())


def test_an_empty_file_is_unsupported(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    assert check(tmp_path / "empty.mp4", TrustLists()).state is State.UNSUPPORTED


# Network


def test_a_remote_manifest_is_recorded_and_no_connection_is_made(tmp_path: Path, plain: Path, studio: Studio, trust: TrustLists) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        url = f"http://127.0.0.1:{server.getsockname()[1]}/manifest.c2pa"
        remote = _with_remote_manifest(plain, tmp_path / "remote.mp4", studio, url)

        found = check(remote, trust)
        assert (found.state, found.remote_url) == (State.REMOTE, url)
        with pytest.raises(TimeoutError):
            server.accept()


def test_the_test_above_would_see_a_connection(tmp_path: Path, plain: Path, studio: Studio) -> None:
    """The library's default settings do connect: what keeps `check` quiet is its settings."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        remote = _with_remote_manifest(plain, tmp_path / "remote.mp4", studio, f"http://127.0.0.1:{port}/manifest.c2pa")
        server.settimeout(20)
        callers: list[tuple[str, int]] = []

        def answer() -> None:
            connection, caller = server.accept()
            callers.append(caller)
            connection.close()

        listener = threading.Thread(target=answer)
        listener.start()
        with pytest.raises(C2paError):
            Reader(str(remote), context=Context())
        listener.join()
        assert callers


# What the file declares


@pytest.mark.parametrize(
    ("source_type", "expected", "code"),
    [
        (GENERATED, AI.FULLY, "ai_fully"),
        (PARTLY_GENERATED, AI.PARTLY, "ai_partly"),
        (COMPOSITE, AI.MAY, "ai_may"),
        (CAPTURED, AI.CAPTURED, "captured"),
        ("algorithmicMedia", AI.UNKNOWN, "source_type"),
    ],
)
def test_the_declared_source_and_where_it_stands(
    tmp_path: Path, plain: Path, studio: Studio, trust: TrustLists, source_type: str, expected: AI, code: str
) -> None:
    studio.sign(plain, tmp_path / "a.mp4", digital_source_type=source_type, generator="G")
    found = check(tmp_path / "a.mp4", trust)
    assert found.ai is expected
    (signal,) = (signal for signal in found.signals if signal.code == code)
    assert signal.where.startswith("urn:c2pa:")
    assert signal.where.endswith("/c2pa.assertions/c2pa.actions.v2/actions/0/digitalSourceType")


@pytest.mark.parametrize(("relationship", "expected"), [("parent", AI.FULLY), ("part", AI.PARTLY)])
def test_a_generated_ingredient_counts_by_its_place_in_the_file(
    tmp_path: Path, plain: Path, studio: Studio, trust: TrustLists, signed: Path, relationship: str, expected: AI
) -> None:
    target = tmp_path / "made.mp4"
    studio.sign(plain, target, digital_source_type="humanEdits", generator="Editor", **{relationship: signed})  # type: ignore[arg-type]
    found = check(target, trust)
    assert (found.state, found.ai, found.manifests) == (State.TRUSTED, expected, 2)


def test_a_generated_edit_of_a_captured_video_makes_it_partly_generated(
    tmp_path: Path, plain: Path, studio: Studio, trust: TrustLists
) -> None:
    studio.sign(plain, tmp_path / "captured.mp4", digital_source_type=CAPTURED, generator="Camera")
    studio.sign(plain, tmp_path / "edited.mp4", digital_source_type=GENERATED, generator="Dream", parent=tmp_path / "captured.mp4")
    assert check(tmp_path / "edited.mp4", trust).ai is AI.PARTLY


def test_metadata_counts_too(tmp_path: Path, plain: Path, studio: Studio, trust: TrustLists) -> None:
    context = {"Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"}
    metadata = {"label": "cawg.metadata", "data": {"@context": context, IPTC: SOURCE_TYPES + GENERATED}}
    studio.sign(plain, tmp_path / "m.mp4", digital_source_type="digitalArt", generator="G", assertions=[metadata])
    found = check(tmp_path / "m.mp4", trust)
    assert found.ai is AI.FULLY
    assert any(signal.where.endswith(f"cawg.metadata/{IPTC}") for signal in found.signals)


# Ingredients that do not hold


def test_an_ingredient_altered_after_signing_makes_the_file_tampered(
    tmp_path: Path, plain: Path, studio: Studio, trust: TrustLists, signed: Path
) -> None:
    child = tmp_path / "child.mp4"
    studio.sign(plain, child, digital_source_type=COMPOSITE, generator="Editor", parent=signed)
    content = child.read_bytes()
    assert b"Dream Machine 3" in content
    child.write_bytes(content.replace(b"Dream Machine 3", b"Canon Camera R5"))
    found = check(child, trust)
    assert found.state is State.TAMPERED
    assert any(code.startswith("ingredient:") and code.endswith(".mismatch") for code in found.codes)


def test_an_ingredient_that_failed_before_and_was_recorded_so_leaves_the_file_trusted_and_is_told(
    tmp_path: Path, plain: Path, studio: Studio, trust: TrustLists, signed: Path
) -> None:
    altered, child = tmp_path / "altered.mp4", tmp_path / "child.mp4"
    tamper(signed, altered)
    studio.sign(plain, child, digital_source_type=COMPOSITE, generator="Editor", parent=altered)
    found = check(child, trust)
    assert found.state is State.TRUSTED
    assert [signal.code for signal in found.signals].count("ingredient_failed_before") == 1


def test_the_same_file_gives_the_same_answer(tmp_path: Path, plain: Path, studio: Studio, trust: TrustLists, signed: Path) -> None:
    studio.sign(plain, tmp_path / "child.mp4", digital_source_type=COMPOSITE, generator="E", parent=signed, part=signed)
    answers = {check(tmp_path / "child.mp4", trust) for _ in range(5)}
    assert len(answers) == 1


def _with_remote_manifest(source: Path, target: Path, studio: Studio, url: str) -> Path:
    definition = {
        "claim_generator_info": [{"name": "G"}],
        "assertions": [
            {"label": "c2pa.actions", "data": {"actions": [{"action": "c2pa.created", "digitalSourceType": SOURCE_TYPES + CAPTURED}]}}
        ],
    }
    settings = {"verify": {"verify_after_sign": False}}
    with Context.from_dict(settings) as context, Builder(definition, context) as builder, studio.signer() as signer:
        builder.set_no_embed()
        builder.set_remote_url(url)
        with source.open("rb") as unsigned, target.open("w+b") as signed:
            builder.sign(signer, "video/mp4", unsigned, signed)
    return target

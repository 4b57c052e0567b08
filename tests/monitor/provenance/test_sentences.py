from __future__ import annotations

from pathlib import Path

import pytest

from monitor.cast.credentials import CAPTURED, GENERATED, Studio, tamper
from monitor.provenance.check import check
from monitor.provenance.sentences import sentences
from monitor.provenance.trust import TrustLists
from monitor.provenance.types import AI, Provenance, State


@pytest.fixture
def signed(tmp_path: Path, plain: Path, studio: Studio) -> Path:
    studio.sign(plain, tmp_path / "signed.mp4", digital_source_type=GENERATED, generator="Dream 3")
    return tmp_path / "signed.mp4"


def test_a_trusted_file_names_list_signer_program_and_source(signed: Path, trust: TrustLists) -> None:
    state, signature, source, anchor = sentences(check(signed, trust))
    assert state == "Its C2PA manifest is intact, and the signer is trusted through studio.pem."
    assert signature == "Signed by A Studio / A Studio Claim Signer; written with Dream 3."
    assert source.startswith("It declares itself made wholly by AI (urn:c2pa:")
    assert source.endswith("/c2pa.assertions/c2pa.actions.v2/actions/0/digitalSourceType).")
    assert anchor.startswith("That it is trusted rests on this certificate of the list: CN=A Studio Root,O=A Studio, SHA-256 ")


def test_without_a_list_the_signer_is_only_a_name(signed: Path) -> None:
    state, signature, _ = sentences(check(signed, TrustLists()))
    assert state.startswith("Its C2PA manifest is intact, but no loaded trust list vouches for its signer.")
    assert signature.startswith("The signature names A Studio")


def test_a_tampered_file_is_said_to_be_so_before_anything_it_claims(signed: Path, tmp_path: Path, trust: TrustLists) -> None:
    tamper(signed, tmp_path / "altered.mp4")
    lines = sentences(check(tmp_path / "altered.mp4", trust))
    assert lines[0] == "It was changed after its C2PA manifest was signed: what it says of itself cannot be relied on."
    assert lines[1].startswith("The signature names")
    assert any(line.startswith("The content is not the content that was signed") for line in lines)


def test_an_expired_signer_is_explained(tmp_path: Path, plain: Path) -> None:
    old = Studio("Old", expired=True)
    old.sign(plain, tmp_path / "old.mp4", digital_source_type=CAPTURED, generator="Camera")
    lines = sentences(check(tmp_path / "old.mp4", TrustLists()))
    assert "no loaded trust list vouches for its signer" in lines[0]
    assert any("captured by a camera" in line for line in lines)


def test_absence_is_said_to_prove_nothing() -> None:
    assert sentences(Provenance(State.ABSENT, AI.UNKNOWN, "v")) == [
        "This file carries no C2PA manifest. That proves nothing: most platforms strip it."
    ]


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("ai", AI)
def test_every_state_and_class_has_whole_sentences(state: State, ai: AI) -> None:
    lines = sentences(Provenance(state, ai, "v", "list.pem", remote_url="https://example.test/m", manifests=1))
    assert all(line[0].isupper() and line.endswith(".") and "{" not in line and "None" not in line for line in lines)

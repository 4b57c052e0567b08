"""`sosie provenance`: what a file says of its origin, with real signatures."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitor.cast.credentials import CAPTURED, GENERATED, Studio, tamper
from tests.monitor.household import sosie


@pytest.fixture(scope="module")
def studio() -> Studio:
    return Studio()


@pytest.fixture
def signed(studio: Studio, clips: Path, tmp_path: Path) -> Path:
    path = tmp_path / "signed.mp4"
    studio.sign(clips / "stranger.mp4", path, digital_source_type=GENERATED, generator="Dream Machine")
    return path


def test_a_generated_video_says_so_in_sentences(home: Path, signed: Path) -> None:
    ran = sosie("provenance", signed)
    assert ran.status == 0
    assert ran.out.startswith(f"untrusted  {signed}\n")
    assert "AI" in ran.out
    assert "Dream Machine" in ran.out


def test_json_is_one_object_with_all_that_was_found(home: Path, signed: Path) -> None:
    (found,) = sosie("provenance", signed, "--json").objects
    assert found["source"] == str(signed)
    assert (found["state"], found["ai"], found["trust_list"], found["generator"]) == ("untrusted", "fully", None, "Dream Machine")
    assert found["signals"]
    assert all(set(signal) == {"code", "where", "text"} for signal in found["signals"])


def test_a_trust_list_of_the_operators_own_is_named(
    home: Path, studio: Studio, signed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "studios.pem").write_bytes(studio.anchor_pem)
    monkeypatch.setenv("SOSIE_TRUST_ANCHORS", str(tmp_path / "studios.pem"))
    (found,) = sosie("provenance", signed, "--json").objects
    assert found["state"] == "trusted"
    assert "studios" in found["trust_list"]


def test_changed_content_is_tampered_and_no_manifest_is_absent(home: Path, studio: Studio, clips: Path, tmp_path: Path) -> None:
    studio.sign(clips / "stranger.mp4", tmp_path / "captured.mp4", digital_source_type=CAPTURED, generator="Camera")
    tamper(tmp_path / "captured.mp4", tmp_path / "tampered.mp4")
    assert sosie("provenance", tmp_path / "tampered.mp4", "--json").objects[0]["state"] == "tampered"
    absent = sosie("provenance", clips / "stranger.mp4")
    assert absent.status == 0
    assert absent.out.startswith("absent")
    assert "That proves nothing" in absent.out


def test_the_tree_says_who_did_what_and_from_what(home: Path, studio: Studio, signed: Path, tmp_path: Path) -> None:
    studio.sign(signed, tmp_path / "edit.mp4", digital_source_type=CAPTURED, generator="Cut & Paste", parent=signed, part=signed)
    lines = sosie("provenance", tmp_path / "edit.mp4").out.splitlines()
    tree = lines[lines.index("[1] signer not vouched for · This file: edit.mp4") :]
    assert "├── Names as signer: Sosie Demo Studio / Sosie Demo Studio Claim Signer" in tree
    assert "├── Time-stamp: none, so nothing shows when it was signed" in tree
    assert "├── Action: opened" in tree
    assert any(line.startswith("├── Action: edited · source digitalCapture (captured by a device) · with Cut &") for line in tree)
    below = tree.index("├── [2] signer not vouched for · Made from (parentOf): signed.mp4, video/mp4")
    assert tree[below + 1].startswith("│   ├── Names as signer: ")
    assert tree[-1] == "└── Contains (componentOf): signed.mp4, video/mp4 · see [2]"
    assert all(len(line) <= 80 for line in tree)


def test_names_in_a_file_are_no_markup_and_move_no_cursor(home: Path, studio: Studio, clips: Path, tmp_path: Path) -> None:
    name = "[red]x[/] [link=file:///]\x1b[2J\u202e:100: " + "y" * 10_000
    studio.sign(clips / "stranger.mp4", tmp_path / "a.mp4", digital_source_type=GENERATED, generator=name)
    out = sosie("provenance", tmp_path / "a.mp4").out
    assert "Says it was written with: [red]x[/] [link=file:///][2J:100:" in out
    assert out.replace("\n", "").isprintable()
    assert len(out) < 4_000


def test_json_has_the_history(home: Path, studio: Studio, signed: Path, tmp_path: Path) -> None:
    studio.sign(signed, tmp_path / "edit.mp4", digital_source_type=CAPTURED, generator="Editor", parent=signed)
    (found,) = sosie("provenance", tmp_path / "edit.mp4", "--json").objects
    first, second = found["history"]["manifests"]
    assert (first["generator"], second["generator"]) == ("Editor", "Dream Machine")
    assert first["ingredients"][0]["manifest"] == 2
    assert second["actions"][0]["source"] == GENERATED


@pytest.mark.parametrize("name", ["missing.mp4", "."])
def test_what_is_no_file_is_an_error(home: Path, tmp_path: Path, name: str) -> None:
    ran = sosie("provenance", tmp_path / name)
    assert ran.status == 1
    assert ran.out == ""
    assert f"{tmp_path / name}: no such file. Check the path." in ran.err


def test_a_trust_list_that_is_none_is_an_error_that_names_it(
    home: Path, signed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "anchors.pem").write_text("no certificate")
    monkeypatch.setenv("SOSIE_TRUST_ANCHORS", str(tmp_path / "anchors.pem"))
    ran = sosie("provenance", signed)
    assert ran.status == 1
    assert str(tmp_path / "anchors.pem") in ran.err

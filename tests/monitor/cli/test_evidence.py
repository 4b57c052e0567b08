"""`sosie evidence` as it is typed: a case is the default, in any order of options; names and numbers in its answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.monitor.household import sosie


@pytest.mark.parametrize(
    "arguments",
    [
        ("CASE", "--out", "FILE"),
        ("--out", "FILE", "CASE"),
        ("pack", "CASE", "--out", "FILE"),
        ("--for", "reviewer", "CASE", "--out", "FILE"),
    ],
)
def test_a_case_needs_no_word_for_what_is_to_be_done(
    home: Path, tmp_path: Path, arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sosie("evidence", "key", "--out", tmp_path).status == 0
    monkeypatch.setenv("SOSIE_EVIDENCE_KEY", str(tmp_path / "key.pem"))
    monkeypatch.setenv("SOSIE_EVIDENCE_CHAIN", str(tmp_path / "chain.pem"))
    ran = sosie("evidence", *(str(tmp_path / "pack.zip") if word == "FILE" else word for word in arguments))
    assert ran.status == 1
    assert "Case CASE: does not exist" in ran.err
    assert not (tmp_path / "pack.zip").exists()


def test_help_and_misuse_are_told(home: Path) -> None:
    helped = sosie("evidence", "--help")
    assert helped.status == 0
    assert all(word in helped.out for word in ("pack", "verify", "key"))
    assert sosie("evidence", "CASE").status == 2
    assert sosie("evidence", "CASE", "--out", "x.zip", "--for", "everybody").status == 2

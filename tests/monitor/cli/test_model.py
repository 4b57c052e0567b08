"""`sosie model`: which encoder looks at faces, and how it is changed without losing a reference."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from monitor.vision.recipes import BUNDLED_FOLDER
from tests.monitor.household import rows, sosie
from tests.monitor.vision.encoders import write_encoder

BUNDLED_WEIGHTS = BUNDLED_FOLDER / "sosie-cast.safetensors"


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """A small open_clip model of the operator's own."""
    return write_encoder(tmp_path / "models" / "other.safetensors", seed=7)


def test_show_tells_the_encoder_in_use_and_the_sha256_of_its_weights(furnished: Path) -> None:
    shown = sosie("model", "show").out
    assert shown.startswith("sosie-cast  (in use)\n")
    assert f"weights SHA-256: {hashlib.sha256(BUNDLED_WEIGHTS.read_bytes()).hexdigest()}\n" in shown


def test_list_marks_the_one_in_use_and_names_those_at_hand(furnished: Path) -> None:
    write_encoder(furnished / "models" / "mine.safetensors")
    listed = sosie("model", "list").out
    (bundled,) = [line for line in listed.splitlines() if line.startswith("*")]
    assert "bundled" in bundled
    assert str(furnished / "models" / "mine.safetensors") in listed


def test_use_changes_the_encoder_and_keeps_every_reference(furnished: Path, clips: Path, other: Path) -> None:
    before = sosie("scan", clips / "singer.mp4", "--json").objects[0]
    used = sosie("model", "use", other)
    assert used.status == 0
    assert "(in use)" in used.out
    assert "6 references embedded" in used.out
    assert f'encoder = "{other}"' in (furnished / "sosie.toml").read_text()
    changed = sosie("scan", clips / "singer.mp4", "--json").objects[0]
    assert changed["assessment"]["model"] != before["assessment"]["model"]
    assert changed["assessment"]["index"] != before["assessment"]["index"]

    back = sosie("model", "use", "bundled")
    assert "0 references embedded" in back.out
    again = sosie("scan", clips / "singer.mp4", "--json").objects[0]
    assert again["matches"] == before["matches"]
    assert again["assessment"]["model"] == before["assessment"]["model"]
    assert again["assessment"]["risk"] == before["assessment"]["risk"]
    assert rows(furnished, "references", "reference_vectors", "cases") == {"references": 6, "reference_vectors": 12, "cases": 1}


def test_an_index_of_another_model_is_refused_until_it_is_rebuilt(
    furnished: Path, clips: Path, other: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOSIE_ENCODER", str(other))
    ran = sosie("scan", clips / "singer.mp4", "--json")
    assert (ran.status, ran.out) == (1, ""), "no fault of the video's"
    assert ran.err.startswith("sosie: 6 references: were not embedded by other")
    assert ran.err.endswith("the model in use. Run `sosie index rebuild`.\n")
    assert rows(furnished, "posts") == {"posts": 0}
    assert "6 references embedded" in sosie("index", "rebuild").out
    assert sosie("scan", clips / "singer.mp4").status == 0


def test_weights_that_do_not_load_change_nothing(furnished: Path, other: Path) -> None:
    (furnished / "sosie.toml").write_text("# mine\nmax_hours = 2.0\n")
    other.write_bytes(other.read_bytes()[:-1000])
    ran = sosie("model", "use", other)
    assert ran.status == 1
    assert f"sosie: {other}: does not load as other" in ran.err
    assert (furnished / "sosie.toml").read_text() == "# mine\nmax_hours = 2.0\n"
    assert sosie("index", "verify").status == 0


def test_a_model_nobody_knows_is_an_error_that_says_what_to_write(home: Path) -> None:
    ran = sosie("model", "show", "something-else")
    assert ran.status == 1
    assert "encoder something-else: is neither a model nor a weights file. Use `bundled`, NAME/PRETRAINED" in ran.err


def test_a_variable_that_wins_over_the_file_is_said(furnished: Path, other: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOSIE_ENCODER", "bundled")
    ran = sosie("model", "use", other)
    assert ran.status == 0
    assert "SOSIE_ENCODER is set and wins over sosie.toml" in ran.out
    assert sosie("model", "show").out.startswith("sosie-cast  (in use)")

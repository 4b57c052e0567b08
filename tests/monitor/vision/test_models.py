"""Listing, describing and choosing encoders."""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path

import pytest

from monitor.base import settings
from monitor.base.errors import ConfigError, ModelError
from monitor.vision import models, recipes
from monitor.vision.recipes import Source
from tests.monitor.vision.encoders import write_encoder


@pytest.fixture
def weights(home: Path) -> Path:
    return write_encoder(home / "models" / "small.safetensors")


class TestDescribing:
    def test_tells_what_a_file_holds(self, weights: Path) -> None:
        from safetensors.torch import load_file

        told = models.describe(str(weights))
        assert told.weights_sha256 == hashlib.sha256(weights.read_bytes()).hexdigest()
        assert told.parameters == sum(tensor.numel() for tensor in load_file(weights).values())
        assert (told.dim, told.image_size_px, told.source, told.problem) == (32, (64, 64), Source.FILE, None)

    def test_fetches_nothing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
        told = models.describe("ViT-B-32/laion2b_s34b_b79k")
        assert (told.source, told.weights, told.dim) == (Source.HUB, None, 512)
        assert told.problem is not None
        assert "not fetched yet" in told.problem


class TestListing:
    def test_starts_with_the_bundled_one(self, home: Path) -> None:
        (bundled,) = models.available(settings.load())
        assert (bundled.spec, bundled.source, bundled.in_use) == ("bundled", Source.BUNDLED, True)

    def test_shows_files_of_the_home_and_what_is_wrong_with_them(self, home: Path, weights: Path) -> None:
        (home / "models" / "deep").mkdir()
        (home / "models" / "deep" / "lone.safetensors").write_bytes(weights.read_bytes())
        (home / "models" / "notes.txt").write_text("not a model")
        listed = {told.spec: told for told in models.available(settings.load())}
        assert list(listed) == ["bundled", str(home / "models" / "deep" / "lone.safetensors"), str(weights)]
        assert listed[str(weights)].problem is None
        assert "no config beside it" in str(listed[str(home / "models" / "deep" / "lone.safetensors")].problem)

    def test_marks_the_one_in_use_and_lists_it_once(self, home: Path, weights: Path) -> None:
        listed = models.available(settings.load(encoder=str(weights)))
        assert [(told.spec, told.in_use) for told in listed] == [("bundled", False), (str(weights), True)]

    def test_lists_one_in_use_that_is_gone(self, home: Path) -> None:
        gone = models.available(settings.load(encoder=str(home / "gone.safetensors")))[-1]
        assert gone.in_use
        assert "no such weights file" in str(gone.problem)


class TestUsing:
    def test_the_next_start_uses_it(self, home: Path, weights: Path) -> None:
        told = models.use(home, str(weights))
        assert told.in_use
        assert settings.load().encoder == str(weights)

    def test_leaves_the_rest_of_the_file_as_it_is(self, home: Path, weights: Path) -> None:
        before = '# ours\nthreads = 1  # few\n  encoder = "bundled"   # for now\nlease_s = 60\n'
        (home / "sosie.toml").write_text(before)
        models.use(home, str(weights))
        assert (home / "sosie.toml").read_text() == before.replace('"bundled"', f'"{weights}"')

    @pytest.mark.parametrize("before", ["", "threads = 1", "threads = 1\n", "# encoder = 'x'\n"])
    def test_adds_the_line_where_there_is_none(self, home: Path, weights: Path, before: str) -> None:
        (home / "sosie.toml").write_text(before)
        models.use(home, str(weights))
        after = (home / "sosie.toml").read_text()
        assert after.startswith(before)
        assert tomllib.loads(after) == tomllib.loads(before) | {"encoder": str(weights)}

    def test_writes_the_full_path_of_a_file(self, home: Path, weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(weights.parent)
        models.use(home, "small.safetensors")
        assert settings.load().encoder == str(weights)

    def test_a_model_that_does_not_load_changes_nothing(self, home: Path, weights: Path) -> None:
        (home / "sosie.toml").write_text("threads = 1\n")
        weights.write_bytes(weights.read_bytes()[:-100])
        with pytest.raises(ModelError):
            models.use(home, str(weights))
        assert (home / "sosie.toml").read_text() == "threads = 1\n"
        assert sorted(path.name for path in home.iterdir()) == ["models", "sosie.toml"]

    def test_an_entry_it_cannot_edit_safely_is_left_to_the_operator(self, home: Path, weights: Path) -> None:
        (home / "sosie.toml").write_text('encoder = """bundled"""\n')
        with pytest.raises(ConfigError, match="by hand: encoder = "):
            models.use(home, str(weights))
        assert (home / "sosie.toml").read_text() == 'encoder = """bundled"""\n'

    def test_says_if_the_environment_wins(self, home: Path, weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SOSIE_ENCODER", recipes.BUNDLED)
        assert not models.use(home, str(weights)).in_use

    def test_makes_the_home(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weights: Path) -> None:
        monkeypatch.delenv("SOSIE_HOME")
        models.use(tmp_path / "new", str(weights))
        assert settings.load(home=tmp_path / "new").encoder == str(weights)

"""Encoders: their vectors, their preprocessing, and every way a model may fail to load."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from monitor.base.errors import ModelError
from monitor.vision import recipes
from monitor.vision.encoder import Encoder, load_encoder
from monitor.vision.preprocessing import Preprocessing
from tests.monitor.vision.encoders import PREPROCESS, architecture, write_config, write_encoder

Picture = NDArray[np.uint8]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_encoder(tmp_path_factory.mktemp("models") / "small.safetensors")


@pytest.fixture(scope="module")
def encoder(weights: Path) -> Encoder:
    return load_encoder(str(weights), threads=1)


def pictures(count: int, seed: int = 0) -> list[Picture]:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 256, (int(rng.integers(40, 200)), int(rng.integers(40, 200)), 3), dtype=np.uint8) for _ in range(count)]


class TestEncoding:
    def test_gives_unit_rows(self, encoder: Encoder) -> None:
        rows = encoder.encode(pictures(35))
        assert rows.shape == (35, 32)
        assert rows.dtype == np.float32
        assert np.linalg.norm(rows, axis=1) == pytest.approx(np.ones(35), abs=1e-5)

    def test_gives_no_rows_for_no_pictures(self, encoder: Encoder) -> None:
        assert encoder.encode([]).shape == (0, 32)

    def test_a_row_does_not_depend_on_its_neighbours(self, encoder: Encoder) -> None:
        images = pictures(20)
        alone = np.concatenate([encoder.encode([image]) for image in images])
        assert np.allclose(encoder.encode(images), alone, atol=1e-5)

    def test_takes_views_and_read_only_pictures(self, encoder: Encoder) -> None:
        (image,) = pictures(1)
        image.flags.writeable = False
        mirrored = encoder.encode([image[:, ::-1], np.ascontiguousarray(image[:, ::-1])])
        assert (mirrored[0] == mirrored[1]).all()
        assert encoder.encode([image]).shape == (1, 32)

    @pytest.mark.parametrize("size", [(1, 1), (1, 700), (700, 1), (3, 64)])
    def test_takes_pictures_of_any_shape(self, encoder: Encoder, size: tuple[int, int]) -> None:
        assert np.isfinite(encoder.encode([np.full((*size, 3), 40, dtype=np.uint8)])).all()

    def test_is_what_open_clip_computes(self, weights: Path, encoder: Encoder) -> None:
        """Mean drift below 0.1 % against open_clip's own model and PIL transform."""
        import open_clip
        import torch
        from PIL import Image

        model = open_clip.model.CLIP(**architecture()).eval()
        open_clip.load_checkpoint(model, str(weights))
        transform = open_clip.image_transform(64, is_train=False, mean=tuple(PREPROCESS["mean"]), std=tuple(PREPROCESS["std"]))
        images = pictures(24, seed=5)
        with torch.inference_mode():
            wanted = model.encode_image(torch.stack([transform(Image.fromarray(image)) for image in images]), normalize=True).numpy()
        assert (1 - (encoder.encode(images) * wanted).sum(axis=1)).mean() < 0.001


class TestPreprocessing:
    @pytest.mark.parametrize("resize_mode", ["shortest", "longest", "squash"])
    @pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
    @pytest.mark.parametrize("size", [64, (64, 64), (48, 80)])
    def test_matches_open_clip(self, resize_mode: str, interpolation: str, size: int | tuple[int, int]) -> None:
        import open_clip
        import torch
        from PIL import Image

        if resize_mode == "shortest" and size == (48, 80):
            interpolation = "bicubic"  # the only one open_clip itself honours here
        config = PREPROCESS | {"resize_mode": resize_mode, "interpolation": interpolation, "size": size, "fill_color": 7}
        transform = open_clip.transform.image_transform_v2(open_clip.transform.PreprocessCfg(**config), is_train=False)
        images = [*pictures(6), *(np.zeros((h, w, 3), dtype=np.uint8) for h, w in [(20, 31), (64, 64), (101, 47)])]
        ours = Preprocessing.from_config(config).tensor(images)
        theirs = torch.stack([transform(Image.fromarray(image)) for image in images])
        assert ours.shape == theirs.shape
        grey_levels = (ours - theirs).abs() * 255 * torch.tensor(PREPROCESS["std"]).view(3, 1, 1)
        assert float(grey_levels.mean()) < 0.25
        assert float((grey_levels > 1.5).float().mean()) < 0.03, "white noise, the worst of pictures, has a few ties"

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            ({"mean": None}, "mean is missing"),
            ({"std": [0.2, 0.2, 0.0]}, "std is not positive"),
            ({"std": [0.2, 0.2]}, "not three numbers"),
            ({"interpolation": "nearest"}, "interpolation 'nearest'"),
            ({"resize_mode": "fit"}, "resize_mode 'fit'"),
            ({"size": 0}, "size 0"),
            ({"size": [224, 224, 3]}, "pair"),
        ],
    )
    def test_refuses_what_it_cannot_honour(self, change: dict[str, Any], reason: str) -> None:
        with pytest.raises(ValueError, match=reason):
            Preprocessing.from_config({"size": 64, **PREPROCESS, **change})


class TestSpace:
    def test_is_the_same_wherever_the_file_lies(self, weights: Path, encoder: Encoder, tmp_path: Path) -> None:
        moved = tmp_path / weights.name
        moved.write_bytes(weights.read_bytes())
        moved.with_suffix(".json").write_text(weights.with_suffix(".json").read_text())
        assert load_encoder(str(moved), threads=1).space == encoder.space

    def test_changes_with_weights_preprocessing_and_config(self, encoder: Encoder, tmp_path: Path) -> None:
        other_weights = write_encoder(tmp_path / "a" / "small.safetensors", seed=1)
        other_mean = write_encoder(tmp_path / "b" / "small.safetensors", preprocess={"mean": [0.5, 0.5, 0.5]})
        other_config = write_encoder(tmp_path / "c" / "small.safetensors")
        write_config(other_config.with_suffix(".json"), model=architecture() | {"quick_gelu": True})
        spaces = {encoder.space} | {load_encoder(str(path), threads=1).space for path in (other_weights, other_mean, other_config)}
        assert len({space.id for space in spaces}) == 4


class TestLocalFiles:
    @pytest.mark.parametrize("suffix", [".bin", ".pt", ".pth"])
    def test_torch_files_give_the_same_vectors(self, tmp_path: Path, encoder: Encoder, suffix: str) -> None:
        other = load_encoder(str(write_encoder(tmp_path / f"small{suffix}")), threads=1)
        assert np.allclose(other.encode(pictures(3)), encoder.encode(pictures(3)), atol=1e-6)

    def test_the_hub_layout_is_understood(self, tmp_path: Path, weights: Path, encoder: Encoder) -> None:
        copy = tmp_path / "my-model" / "open_clip_model.safetensors"
        copy.parent.mkdir()
        copy.write_bytes(weights.read_bytes())
        write_config(copy.with_name("open_clip_config.json"))
        other = load_encoder(str(copy), threads=1)
        assert other.space.model.startswith("my-model ")
        assert (other.encode(pictures(2)) == encoder.encode(pictures(2))).all()

    def test_no_config_beside_it(self, tmp_path: Path, weights: Path) -> None:
        (tmp_path / "lone.safetensors").write_bytes(weights.read_bytes())
        with pytest.raises(ModelError, match=r"neither lone.json nor open_clip_config.json.*ViT-B-32@FILE"):
            load_encoder(str(tmp_path / "lone.safetensors"), threads=1)

    def test_no_file(self, tmp_path: Path) -> None:
        with pytest.raises(ModelError, match="no such weights file"):
            load_encoder(str(tmp_path / "none.safetensors"), threads=1)

    @pytest.mark.parametrize(
        ("config", "reason"),
        [
            ("{", "is not an open_clip model config"),
            ("[]", "is not an open_clip model config"),
            ("{}", "the key 'model_cfg' is missing"),
            (json.dumps({"model_cfg": architecture()}), "the key 'preprocess_cfg' is missing"),
            (json.dumps({"model_cfg": architecture(), "preprocess_cfg": {}}), "interpolation is missing"),
        ],
    )
    def test_a_config_that_leaves_something_open(self, tmp_path: Path, config: str, reason: str) -> None:
        file = write_encoder(tmp_path / "m.safetensors")
        file.with_suffix(".json").write_text(config)
        with pytest.raises(ModelError, match=reason):
            load_encoder(str(file), threads=1)

    def test_a_moved_bit_is_another_model(self, tmp_path: Path, encoder: Encoder) -> None:
        file = write_encoder(tmp_path / "small.safetensors")
        content = bytearray(file.read_bytes())
        content[-1] ^= 1
        file.write_bytes(content)
        assert load_encoder(str(file), threads=1).space != encoder.space


class TestNeverRandomWeights:
    """Each of these is a file from which open_clip could not fill every parameter."""

    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        return write_encoder(tmp_path / "m.safetensors")

    def changed(self, file: Path, **tensors: Any) -> None:
        from safetensors.torch import load_file, save_file

        state = load_file(file) | tensors
        save_file({name: tensor for name, tensor in state.items() if tensor is not None}, file)

    def refused(self, file: Path) -> str:
        with pytest.raises(ModelError) as caught:
            load_encoder(str(file), threads=1)
        return str(caught.value)

    def test_a_key_is_missing(self, file: Path) -> None:
        self.changed(file, **{"visual.proj": None})
        assert "visual.proj" in self.refused(file)

    def test_a_key_of_the_text_tower_is_missing(self, file: Path) -> None:
        self.changed(file, text_projection=None)
        assert "text_projection" in self.refused(file)

    def test_a_shape_is_wrong(self, file: Path) -> None:
        write_config(file.with_suffix(".json"), model=architecture(width=96))
        assert "size mismatch" in self.refused(file)

    def test_there_are_no_weights_in_it(self, file: Path) -> None:
        from safetensors.torch import save_file

        save_file({}, file)
        assert "does not load" in self.refused(file)

    def test_some_are_not_numbers(self, file: Path) -> None:
        import torch

        self.changed(file, **{"visual.proj": torch.full((64, 32), float("nan"))})
        assert "not finite" in self.refused(file)

    def test_all_are_zero(self, file: Path) -> None:
        from safetensors.torch import load_file, save_file

        save_file({name: tensor * 0 for name, tensor in load_file(file).items()}, file)
        assert "damaged" in self.refused(file)

    def test_it_is_cut_short(self, file: Path) -> None:
        file.write_bytes(file.read_bytes()[:-1000])
        assert "does not load" in self.refused(file)

    def test_it_is_empty(self, file: Path) -> None:
        file.write_bytes(b"")
        assert "does not load" in self.refused(file)

    @pytest.mark.filterwarnings("ignore:Detected pickle protocol")
    def test_a_pickle_runs_nothing(self, tmp_path: Path) -> None:
        import pickle

        class Trap:
            def __reduce__(self) -> tuple[Any, tuple[str]]:
                return os.mkdir, (str(tmp_path / "sprung"),)

        file = write_encoder(tmp_path / "m.pt")
        file.write_bytes(pickle.dumps(Trap()))
        assert "does not load" in self.refused(file)
        assert not (tmp_path / "sprung").exists()


class TestNames:
    def test_an_unknown_architecture_gets_suggestions(self) -> None:
        with pytest.raises(ModelError, match=r"knows no architecture 'ViT-B-23'.*ViT-B-32"):
            recipes.find("ViT-B-23/openai")

    def test_an_unknown_tag_gets_the_known_ones(self) -> None:
        with pytest.raises(ModelError, match=r"no weights 'opneai' of ViT-B-32.*laion2b_s34b_b79k"):
            recipes.find("ViT-B-32/opneai")

    @pytest.mark.parametrize("spec", ["", "clip", "ViT-B-32", "ViT-B-32@", "/somewhere/else"])
    def test_a_text_that_names_no_model_gets_the_forms(self, spec: str) -> None:
        with pytest.raises(ModelError, match="NAME/PRETRAINED"):
            recipes.find(spec)

    def test_a_tag_brings_its_own_activation_and_preprocessing(self) -> None:
        assert recipes.find("ViT-B-32/openai").architecture["quick_gelu"] is True
        assert recipes.find("ViT-B-32/laion2b_s34b_b79k").architecture["quick_gelu"] is False
        assert recipes.find("ViT-B-16-SigLIP/webli").preprocessing.resize_mode == "squash"

    def test_a_file_takes_the_preprocessing_of_its_architecture(self, weights: Path) -> None:
        assert recipes.find(f"ViT-B-16-SigLIP@{weights}").preprocessing.resize_mode == "squash"
        assert recipes.find(f"ViT-B-32@{weights}").preprocessing.resize_mode == "shortest"

    def test_a_file_whose_preprocessing_is_open_must_name_its_tag(self, weights: Path) -> None:
        with pytest.raises(ModelError, match=r"differ in preprocessing.*NAME/PRETRAINED@FILE"):
            recipes.find(f"ViT-L-14@{weights}")
        assert recipes.find(f"ViT-L-14/laion2b_s32b_b82k@{weights}").preprocessing.mean == (0.5, 0.5, 0.5)

    def test_a_file_of_another_architecture_is_refused(self, weights: Path) -> None:
        with pytest.raises(ModelError, match="does not load as ViT-S-32-alt"):
            load_encoder(f"ViT-S-32-alt@{weights}", threads=1)

    def test_a_model_that_cannot_be_fetched_says_how_to_get_it(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
        with pytest.raises(ModelError) as caught:
            load_encoder("ViT-B-32/laion2b_s34b_b79k", threads=1)
        for word in ("open_clip_model.safetensors", "laion/CLIP-ViT-B-32-laion2B-s34B-b79K", "SOSIE_ENCODER=ViT-B-32/laion2b_s34b_b79k@"):
            assert word in caught.value.next_step


class TestBundled:
    def test_goes_the_same_way_as_any_file(self) -> None:
        bundled = load_encoder("bundled", threads=1)
        by_file = load_encoder(str(recipes.BUNDLED_FOLDER / f"{recipes.BUNDLED_NAME}.safetensors"), threads=1)
        assert bundled.space.model == "sosie-cast"
        assert (bundled.encode(pictures(3)) == by_file.encode(pictures(3))).all()

    def test_is_refused_once_altered(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for path in recipes.BUNDLED_FOLDER.iterdir():
            if path.is_file():
                (tmp_path / path.name).write_bytes(path.read_bytes())
        file = tmp_path / f"{recipes.BUNDLED_NAME}.safetensors"
        content = bytearray(file.read_bytes())
        content[-1] ^= 1
        file.write_bytes(content)
        monkeypatch.setattr(recipes, "BUNDLED_FOLDER", tmp_path)
        with pytest.raises(ModelError, match=r"altered.*Install Sosie again"):
            load_encoder("bundled", threads=1)


def test_importing_costs_no_torch() -> None:
    script = (
        "import sys, monitor.vision.encoder, monitor.vision.faces, monitor.vision.face_encoder, monitor.vision.models\n"
        "print(sorted({'torch', 'open_clip', 'onnxruntime', 'facenet_pytorch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3])
    assert done.stdout.strip() == "[]"


def test_loading_leaves_logging_alone(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    level = root.level
    load_encoder(str(weights), threads=1)
    assert (root.handlers, root.level) == ([], level)


def test_half_precision_is_a_space_of_its_own_and_says_nearly_the_same() -> None:
    from monitor.vision.encoder import multiplies_bfloat16

    if not multiplies_bfloat16():
        with pytest.raises(ModelError, match="SOSIE_PRECISION=fp32"):
            load_encoder("bundled", threads=1, precision="bf16")
        return
    full, half = load_encoder("bundled", threads=1), load_encoder("bundled", threads=1, precision="bf16")
    assert full.space != half.space
    pictures = [np.random.default_rng(seed).integers(0, 256, (120, 100, 3), dtype=np.uint8) for seed in range(8)]
    rows = half.encode(pictures)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    assert (rows * full.encode(pictures)).sum(axis=1).min() > 0.995

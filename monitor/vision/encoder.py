"""The picture encoder: any open_clip model, the bundled one through the same path as all others.

Never random weights: every parameter comes from the weights file, or `load_encoder` raises. Never pickle:
safetensors, or `torch.load(weights_only=True)`.
"""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from indexes.space import Space
from monitor.base.errors import ModelError
from monitor.vision import recipes
from monitor.vision.preprocessing import Preprocessing
from monitor.vision.recipes import Recipe

if TYPE_CHECKING:
    import torch

_BATCH = 16
_CPUINFO = Path("/proc/cpuinfo")

Precision = Literal["fp32", "bf16"]


class Encoder:
    """Pictures to unit vectors. Made by `load_encoder`; thread-safe.

    `space` names the maker of the vectors: model, SHA-256 of the weights, preprocessing, dimension.
    """

    def __init__(self, network: torch.nn.Module, preprocessing: Preprocessing, space: Space) -> None:
        self.space = space
        self._network = network
        self._preprocessing = preprocessing

    def encode(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """RGB uint8 pictures (h, w, 3) of any sizes to float32 (n, dim), rows of length 1; no pictures, no rows.

        A row does not depend on its neighbours beyond float rounding (about 1e-6).
        """
        rows = np.empty((len(images), self.space.dim), dtype=np.float32)
        for start in range(0, len(images), _BATCH):
            batch = images[start : start + _BATCH]
            rows[start : start + len(batch)] = _embed(self._network, self._preprocessing, batch)
        return rows


def load_encoder(spec: str, threads: int, precision: Precision = "fp32") -> Encoder:
    """The encoder `spec` names (its forms: `monitor.vision.recipes`), ready on the CPU.

    `bf16` halves the time where the processor multiplies bfloat16 itself; vectors of the two precisions are of two
    spaces. Sets torch's thread count, which is one for the whole process. Raises `ModelError` if the model is not
    known, its weights are missing, altered, incomplete or of another shape, or the processor lacks the precision.
    """
    import torch

    if precision == "bf16" and not multiplies_bfloat16():
        raise ModelError(
            "SOSIE_PRECISION=bf16",
            "this processor does not multiply bfloat16 itself; emulated it is slower than fp32",
            "Set SOSIE_PRECISION=fp32",
        )
    recipe = recipes.find(spec)
    weights, sha256 = recipes.obtain(recipe)
    torch.set_num_threads(threads)
    network = _load_network(recipe, weights)
    canonical = recipe.preprocessing.canonical()
    if precision == "bf16":
        network, canonical = network.to(torch.bfloat16), f"{canonical}; network in bfloat16"
    grey = np.full((recipe.preprocessing.height_px, recipe.preprocessing.width_px, 3), 128, dtype=np.uint8)
    probe = _embed(network, recipe.preprocessing, [grey])
    if not np.allclose(np.linalg.norm(probe, axis=1), 1.0, atol=1e-3):
        raise ModelError(weights, "its vectors are not numbers of length 1: the weights are damaged", "Fetch the weights again")
    space = Space(recipe.model, sha256, canonical, probe.shape[1])
    return Encoder(network, recipe.preprocessing, space)


def _embed(network: torch.nn.Module, preprocessing: Preprocessing, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
    import torch

    with torch.inference_mode():
        pixels = preprocessing.tensor(images).to(next(network.parameters()).dtype)
        rows: torch.Tensor = network.encode_image(pixels)  # type: ignore[operator]
        return torch.nn.functional.normalize(rows.to(torch.float32), dim=-1).numpy()


def multiplies_bfloat16() -> bool:
    """Whether this processor has bfloat16 arithmetic of its own (AVX-512 BF16, AMX)."""
    flags = _CPUINFO.read_text().split() if _CPUINFO.exists() else []
    return "avx512_bf16" in flags or "amx_bf16" in flags


def _load_network(recipe: Recipe, weights: Path) -> torch.nn.Module:
    import torch
    from open_clip import create_model

    with tempfile.TemporaryDirectory(prefix="sosie-model-") as folder:
        place = Path(folder)
        _lay_out(place, recipe, weights)
        try:
            with _without_root_logging():
                network: torch.nn.Module = create_model(f"local-dir:{folder}", require_pretrained=True, weights_only=True)
        except Exception as error:  # whatever a strange weights file provokes in open_clip or torch, it is one fault: it does not load
            raise ModelError(
                weights,
                f"does not load as {recipe.model}: {_short(error)}",
                "Check that the weights are complete and belong to this architecture; `sosie model list` shows what is there",
            ) from error
    if not all(bool(torch.isfinite(parameter).all()) for parameter in network.parameters()):
        raise ModelError(weights, "holds weights that are not finite numbers", "Fetch the weights again")
    return network.eval().requires_grad_(False)


def _lay_out(folder: Path, recipe: Recipe, weights: Path) -> None:
    """Lay a folder out as the hub does, which open_clip loads strictly: a config, and one weights file beside it."""
    preprocess: dict[str, Any] = asdict(recipe.preprocessing)
    preprocess["size"] = [preprocess.pop("height_px"), preprocess.pop("width_px")]
    config = {"model_cfg": dict(recipe.architecture), "preprocess_cfg": preprocess}
    (folder / recipes.HUB_CONFIG).write_text(json.dumps(config), encoding="utf-8")
    name = "open_clip_model.safetensors" if weights.suffix == ".safetensors" else "open_clip_pytorch_model.bin"
    (folder / name).symlink_to(weights.absolute())


@contextmanager
def _without_root_logging() -> Iterator[None]:
    """Keep open_clip, which logs through the root logger, from installing a handler there."""
    guard = logging.NullHandler()
    logging.getLogger().addHandler(guard)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(guard)


def _short(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 300 else f"{text[:300]}…"

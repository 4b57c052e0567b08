"""A tiny open_clip model on disk, its weights random: for tests of loading, never of meaning."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

PREPROCESS = {
    "mean": [0.48, 0.46, 0.41],
    "std": [0.27, 0.26, 0.28],
    "interpolation": "bicubic",
    "resize_mode": "shortest",
}


def architecture(*, width: int = 64) -> dict[str, Any]:
    return {
        "embed_dim": 32,
        "vision_cfg": {"image_size": 64, "layers": 2, "width": width, "head_width": 32, "patch_size": 16},
        "text_cfg": {"context_length": 8, "vocab_size": 64, "width": 32, "heads": 2, "layers": 1},
    }


def write_encoder(weights: Path, *, preprocess: dict[str, Any] | None = None, seed: int = 0) -> Path:
    """Weights and, beside them, the config named like them."""
    import torch
    from open_clip.model import CLIP
    from safetensors.torch import save_file

    torch.manual_seed(seed)
    state = {name: tensor.contiguous() for name, tensor in CLIP(**architecture()).state_dict().items()}
    weights.parent.mkdir(parents=True, exist_ok=True)
    if weights.suffix == ".safetensors":
        save_file(state, weights)
    else:
        torch.save(state, weights)
    write_config(weights.with_suffix(".json"), preprocess=preprocess)
    return weights


def write_config(path: Path, *, model: dict[str, Any] | None = None, preprocess: dict[str, Any] | None = None) -> None:
    path.write_text(json.dumps({"model_cfg": model or architecture(), "preprocess_cfg": PREPROCESS | (preprocess or {})}))

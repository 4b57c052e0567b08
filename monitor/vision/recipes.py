"""What SOSIE_ENCODER names: which architecture, which preprocessing, which weights file. Loads no network.

    bundled                   the small model in the package
    NAME/PRETRAINED           a tag of open_clip, such as ViT-B-32/laion2b_s34b_b79k; fetched from the hub once
    FILE                      weights with their config beside them (FILE's stem .json, or open_clip_config.json)
    NAME@FILE                 weights of an architecture open_clip knows
    NAME/PRETRAINED@FILE      the weights of a tag, fetched by hand

FILE ends in .safetensors, .bin, .pt or .pth, and may start with `~`.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from monitor.base.errors import ModelError
from monitor.vision.preprocessing import Preprocessing

BUNDLED = "bundled"
BUNDLED_FOLDER = Path(__file__).parent / "bundled"
BUNDLED_NAME = "sosie-cast"
SUFFIXES = (".safetensors", ".bin", ".pt", ".pth")
HUB_CONFIG = "open_clip_config.json"

_REINSTALL = "Install Sosie again (`pip install --force-reinstall --no-deps sosie`)"
_FORMS = "Use `bundled`, NAME/PRETRAINED of open_clip, FILE.safetensors with its config beside it, or NAME@FILE"


class Source(StrEnum):
    BUNDLED = "bundled"
    FILE = "file"
    HUB = "hub"


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything needed to load one encoder, save the bytes of its weights.

    `model` names the maker of vectors without naming a folder, so that a moved file stays the same model.
    `weights` is None while a tag of the hub has not been fetched. `pinned_sha256`, if any, is what the weights must hash to.
    """

    spec: str
    model: str
    source: Source
    architecture: Mapping[str, Any]
    preprocessing: Preprocessing
    weights: Path | None
    tag: tuple[str, str] | None = None
    pinned_sha256: str | None = None


def find(spec: str) -> Recipe:
    """The recipe that `spec` means. Raises `ModelError` naming what is missing; touches no network."""
    if spec == BUNDLED:
        return _bundled()
    name, at, file = spec.partition("@")
    if at:
        return _known(spec, name, _weights(spec, file))
    if spec.endswith(SUFFIXES):
        return _configured(spec, _weights(spec, spec))
    if "/" not in spec:
        raise ModelError(f"encoder {spec}", "is neither a model nor a weights file", _FORMS)
    return _known(spec, name, None)


def absolute(spec: str) -> str:
    """The spec with its file, if any, named from the root, as it may be written into a settings file."""
    name, at, file = spec.rpartition("@")
    if at or spec.endswith(SUFFIXES):
        return f"{name}{at}{Path(file).expanduser().absolute()}"
    return spec


def obtain(recipe: Recipe) -> tuple[Path, str]:
    """The weights file and its SHA-256, fetched from the hub where it must be. Raises `ModelError`."""
    path = recipe.weights or _fetch(recipe)
    try:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(path, f"cannot be read: {error.strerror}", "Check the file and its permissions") from error
    if recipe.pinned_sha256 is not None and sha256 != recipe.pinned_sha256:
        raise ModelError(
            path,
            f"the weights were altered: SHA-256 is {sha256[:12]}…, its manifest says {recipe.pinned_sha256[:12]}…",
            _REINSTALL,
        )
    return path, sha256


def _bundled() -> Recipe:
    weights = BUNDLED_FOLDER / f"{BUNDLED_NAME}.safetensors"
    manifest = BUNDLED_FOLDER / "manifest.json"
    try:
        pinned = str(json.loads(manifest.read_text(encoding="utf-8"))["sha256"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(manifest, f"does not name the bundled weights: {error!r}", _REINSTALL) from error
    architecture, preprocessing = _read_config(BUNDLED_FOLDER / f"{BUNDLED_NAME}.json")
    return Recipe(BUNDLED, BUNDLED_NAME, Source.BUNDLED, architecture, preprocessing, weights, pinned_sha256=pinned)


def _weights(spec: str, file: str) -> Path:
    path = Path(file).expanduser()
    if not file.endswith(SUFFIXES):
        raise ModelError(f"encoder {spec}", f"{file!r} does not end in {', '.join(SUFFIXES)}", _FORMS)
    if not path.is_file():
        raise ModelError(path, "there is no such weights file", "Put the file there, or correct SOSIE_ENCODER")
    return path


def _configured(spec: str, weights: Path) -> Recipe:
    for config in (weights.with_suffix(".json"), weights.with_name(HUB_CONFIG)):
        if config.is_file():
            architecture, preprocessing = _read_config(config)
            digest = hashlib.sha256(json.dumps(architecture, sort_keys=True).encode()).hexdigest()[:8]
            name = weights.parent.name if weights.stem.startswith("open_clip") else weights.stem
            return Recipe(spec, f"{name} config-{digest}", Source.FILE, architecture, preprocessing, weights)
    raise ModelError(
        weights,
        f"has no config beside it (neither {weights.stem}.json nor {HUB_CONFIG})",
        "Put the model's open_clip_config.json there, or name the architecture: SOSIE_ENCODER=ViT-B-32@FILE",
    )


def _read_config(path: Path) -> tuple[dict[str, Any], Preprocessing]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        architecture = dict(config["model_cfg"])
        preprocess = dict(config["preprocess_cfg"])
        size = architecture["vision_cfg"]["image_size"]
        return architecture, Preprocessing.from_config({"size": size} | {k: v for k, v in preprocess.items() if v is not None})
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = f"the key {error} is missing" if isinstance(error, KeyError) else str(error)
        raise ModelError(
            path,
            f"is not an open_clip model config: {reason}",
            "It must hold `model_cfg` (embed_dim, vision_cfg, text_cfg) and `preprocess_cfg` (mean, std, interpolation, resize_mode), "
            "as open_clip_config.json does on the hub",
        ) from error


def _known(spec: str, name: str, weights: Path | None) -> Recipe:
    """The recipe of an architecture of open_clip's own list, with or without a tag."""
    import open_clip
    from open_clip.pretrained import get_pretrained_cfg

    name, slash, tag = name.partition("/")
    architecture = open_clip.get_model_config(name)
    if architecture is None:
        near = difflib.get_close_matches(name, open_clip.list_models(), n=3) or ["ViT-B-32"]
        raise ModelError(f"encoder {spec}", f"open_clip knows no architecture {name!r}", f"Perhaps {' or '.join(near)}. {_FORMS}")
    tags = open_clip.list_pretrained_tags_by_model(name)
    if not slash:
        return Recipe(spec, name, Source.FILE, architecture, _agreed(spec, name, tags, architecture), weights)
    config = get_pretrained_cfg(name, tag)
    if not config:
        raise ModelError(f"encoder {spec}", f"open_clip knows no weights {tag!r} of {name}", f"Known are: {', '.join(tags) or 'none'}")
    # open_clip only warns here, and computes with the wrong activation (ViT-B-32/openai is such a pair).
    architecture["quick_gelu"] = bool(config.get("quick_gelu", False))
    return Recipe(
        spec,
        f"{name}/{tag}",
        Source.FILE if weights else Source.HUB,
        architecture,
        _of_tag(config, architecture),
        weights or _cached(config),
        tag=(name, tag),
    )


def _of_tag(config: Mapping[str, Any], architecture: Mapping[str, Any]) -> Preprocessing:
    return Preprocessing.from_config({"size": architecture["vision_cfg"]["image_size"]} | dict(config))


def _agreed(spec: str, name: str, tags: list[str], architecture: Mapping[str, Any]) -> Preprocessing:
    """The preprocessing all published weights of an architecture share; open_clip's defaults where none are published."""
    from dataclasses import asdict

    from open_clip.pretrained import get_pretrained_cfg
    from open_clip.transform import PreprocessCfg

    ways = {_of_tag(get_pretrained_cfg(name, tag), architecture) for tag in tags}
    if len(ways) > 1:
        raise ModelError(
            f"encoder {spec}",
            f"the published weights of {name} differ in preprocessing, so the name alone does not tell how to prepare a picture",
            f"Name the weights too: NAME/PRETRAINED@FILE with one of {', '.join(tags)}; or put a config beside the file",
        )
    return ways.pop() if ways else _of_tag({k: v for k, v in asdict(PreprocessCfg()).items() if k != "size"}, architecture)


def _hub_names(config: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    """Repository, and its possible weight files, best first, of a tag's `hf_hub` entry."""
    repository, _, file = str(config["hf_hub"]).rpartition("/")
    return repository, (file,) if file else ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")


def _cached(config: Mapping[str, Any]) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    repository, files = _hub_names(config)
    for file in files:
        if isinstance(found := try_to_load_from_cache(repository, file), str):
            return Path(found)
    return None


def _fetch(recipe: Recipe) -> Path:
    from open_clip.pretrained import download_pretrained, get_pretrained_cfg

    assert recipe.tag is not None, "only tags are fetched"
    config = get_pretrained_cfg(*recipe.tag)
    try:
        return Path(download_pretrained(config))
    except (OSError, RuntimeError, ValueError) as error:
        repository, files = _hub_names(config)
        raise ModelError(
            f"encoder {recipe.spec}",
            f"its weights are not on this machine and cannot be fetched from the hub ({type(error).__name__})",
            f"Where there is a network, fetch {files[0]} of the hub's repository {repository}; put it, say, at "
            f"$SOSIE_HOME/models/{recipe.tag[0]}{Path(files[0]).suffix} and set SOSIE_ENCODER={recipe.spec}@THAT_FILE",
        ) from error

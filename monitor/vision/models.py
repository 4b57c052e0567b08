"""Which encoders there are, which one is in use, and how to change it: what `sosie model` tells."""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from monitor.base import settings
from monitor.base.errors import ConfigError, ModelError
from monitor.base.files import write_atomically
from monitor.base.settings import Settings
from monitor.vision import recipes
from monitor.vision.encoder import load_encoder
from monitor.vision.recipes import Source

FOLDER = "models"
"""Under SOSIE_HOME: weights files put here are listed."""

_ENCODER_LINE = re.compile(r"""^(?P<key>[ \t]*encoder[ \t]*=[ \t]*)(?:"(?:[^"\\\n]|\\.)*"|'[^'\n]*')""", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class ModelDescription:
    """One encoder. What cannot be known without fetching or loading it is None.

    `problem` says why it cannot be used; the other fields then hold what is known nevertheless.
    """

    spec: str
    model: str
    source: Source
    weights: Path | None = None
    weights_sha256: str | None = None
    parameters: int | None = None
    dim: int | None = None
    image_size_px: tuple[int, int] | None = None
    in_use: bool = False
    problem: str | None = None


def available(current: Settings) -> list[ModelDescription]:
    """The bundled encoder, the one in use, and every weights file under SOSIE_HOME/models, each once.

    Files that cannot be used are listed with their problem. Loads no network; hashes every file.
    """
    folder = current.home / FOLDER
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix in recipes.SUFFIXES) if folder.is_dir() else []
    in_use = recipes.absolute(current.encoder)
    used_file = Path(in_use.rpartition("@")[2])
    specs = [recipes.BUNDLED, in_use, *(str(path.absolute()) for path in files if path.absolute() != used_file)]
    return [_describe_anyway(spec, in_use) for spec in dict.fromkeys(specs)]


def describe(spec: str, *, in_use: bool = False) -> ModelDescription:
    """What is known of an encoder without loading it. Fetches nothing; hashes its weights. Raises `ModelError`."""
    recipe = recipes.find(spec)
    path, sha256 = recipes.obtain(recipe) if recipe.weights is not None else (None, None)
    return ModelDescription(
        spec=spec,
        model=recipe.model,
        source=recipe.source,
        weights=path,
        weights_sha256=sha256,
        parameters=_parameters(path) if path is not None else None,
        dim=int(recipe.architecture["embed_dim"]),
        image_size_px=(recipe.preprocessing.height_px, recipe.preprocessing.width_px),
        in_use=in_use,
        problem=None if path is not None else "not fetched yet; the first use fetches it from the hub",
    )


def use(home: Path, spec: str) -> ModelDescription:
    """Load the encoder to see that it works, then name it in `sosie.toml`; the rest of the file stays as it is.

    Files are written with their full path. The file changes in one step or not at all. Raises `ModelError`, `ConfigError`,
    `StorageFull`. A SOSIE_ENCODER in the environment still wins: `in_use` tells whether the next start uses this encoder.
    """
    spec = recipes.absolute(spec)
    load_encoder(spec, threads=settings.load(home=home).threads)
    file = home / "sosie.toml"
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    changed = _with_encoder(text, spec)
    if _parsed(changed) != tomllib.loads(text) | {"encoder": spec}:
        raise ConfigError(
            file, "its `encoder` is written in a way that is not safe to edit", f"Write this line by hand: encoder = {json.dumps(spec)}"
        )
    _replace(file, changed)
    return describe(spec, in_use=settings.load(home=home).encoder == spec)


def _describe_anyway(spec: str, in_use: str) -> ModelDescription:
    try:
        return describe(spec, in_use=spec == in_use)
    except ModelError as error:
        source = Source.BUNDLED if spec == recipes.BUNDLED else Source.FILE if spec.endswith(recipes.SUFFIXES) else Source.HUB
        return ModelDescription(spec, Path(spec).stem, source, in_use=spec == in_use, problem=str(error))


def _parameters(weights: Path) -> int | None:
    """How many numbers a safetensors file holds, from its header; other formats tell only when loaded."""
    if weights.suffix != ".safetensors":
        return None
    from math import prod

    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(weights, framework="numpy") as file:
            count: int = sum(prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118 - not a mapping
            return count
    except (SafetensorError, OSError) as error:
        raise ModelError(weights, f"is not a safetensors file: {error}", "Fetch the weights again") from error


def _with_encoder(text: str, spec: str) -> str:
    line = f"encoder = {json.dumps(spec, ensure_ascii=False)}"
    value = line.removeprefix("encoder = ")
    changed, count = _ENCODER_LINE.subn(lambda match: match["key"] + value, text, count=1)
    if count:
        return changed
    return f"{text}{'' if text.endswith(chr(10)) or not text else chr(10)}{line}\n"


def _parsed(text: str) -> dict[str, object] | None:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None


def _replace(file: Path, text: str) -> None:
    mode = file.stat().st_mode & 0o777 if file.exists() else 0o600
    try:
        write_atomically(file, text.encode(), mode=mode)
    except OSError as error:
        raise ConfigError(file, f"cannot be written: {error.strerror}", "Check the permissions of SOSIE_HOME") from error

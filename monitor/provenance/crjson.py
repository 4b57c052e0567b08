"""crJSON: where things stand in a manifest store, as c2pa-rs writes it out. The one reader of its shape; pure.

`manifest.py` (what is declared), `rubrics.py` (the official words) and `tree.py` (the history) ask here, and decide there. A shape that no
specification knows reads as nothing; nothing is raised.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = [
    "STORE",
    "Json",
    "active",
    "assertions",
    "claim",
    "codes",
    "generators",
    "ingredients",
    "label",
    "manifests",
    "mapping",
    "names",
    "of_taker",
    "sequence",
    "signature",
    "source_label",
    "term",
]

STORE = "self#jumbf=/c2pa/"
"""What every address within the store begins with."""

Json = Mapping[str, Any]


def mapping(value: Any) -> Json:
    """A JSON object; an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def sequence(value: Any) -> Sequence[Any]:
    """A JSON array; an empty one for anything else."""
    return value if isinstance(value, list) else ()


def manifests(store: Json) -> list[Json]:
    """All manifests of a store, the active one first."""
    return [mapping(manifest) for manifest in sequence(store.get("manifests"))]


def active(store: Json) -> Json:
    """The active manifest; empty where there is none."""
    return next(iter(manifests(store)), {})


def label(manifest: Json) -> str:
    """The manifest's name in the store."""
    return str(manifest.get("label", ""))


def claim(manifest: Json) -> Json:
    """The claim, of version 2 or 1."""
    return mapping(manifest.get("claim.v2") or manifest.get("claim"))


def signature(manifest: Json) -> Json:
    """What the library read of the claim's signature."""
    return mapping(manifest.get("signature"))


def assertions(manifest: Json) -> list[tuple[str, Any]]:
    """Label and content of each assertion, in the order of their labels, `…__2` before `…__10`."""

    def place(item: tuple[str, Any]) -> tuple[str, int, str]:
        stem, _, number = item[0].partition("__")
        return stem, int(number) if number.isascii() and number.isdigit() and len(number) < 10 else 0, number

    return sorted(mapping(manifest.get("assertions")).items(), key=place)


def ingredients(manifest: Json) -> list[tuple[str, Json]]:
    """Label and content of each ingredient, of any version, in the order of `assertions`."""
    return [(name, mapping(content)) for name, content in assertions(manifest) if name.startswith("c2pa.ingredient")]


def source_label(ingredient: Json) -> str | None:
    """The label of an ingredient's own manifest; None without one. The field's name changed with ingredients v3."""
    url = mapping(ingredient.get("activeManifest") or ingredient.get("c2pa_manifest")).get("url")
    return url.removeprefix(STORE).partition("/")[0] if isinstance(url, str) else None


def of_taker(ingredient: Json) -> Json:
    """The results that the taker of an ingredient recorded of its active manifest, in the shape of validation results.

    Of ingredients v1 and v2, whose `validationStatus` holds failures alone, and of v3; `codes` reads it.
    """
    results = mapping(mapping(ingredient.get("validationResults")).get("activeManifest"))
    return {**results, "validationStatus": ingredient.get("validationStatus")}


def codes(results: Json, kind: str) -> list[str]:
    """The status codes of one kind (success, informational, failure), in the order of the store."""
    return [code for status in sequence(results.get(kind)) if isinstance(code := mapping(status).get("code"), str)]


def generators(claim: Json) -> Sequence[Any]:
    """The programs of `claim_generator_info`: one, in old claims a list."""
    information = claim.get("claim_generator_info")
    return information if isinstance(information, list) else [information]


def names(subject: Any) -> list[str]:
    """The organisation and the name of a certificate's subject or issuer, as far as given."""
    return [part for key in ("O", "CN") if isinstance(part := mapping(subject).get(key), str)]


def term(source_type: str) -> str:
    """The last word of a digital source type: `http://cv.iptc.org/newscodes/digitalsourcetype/composite` → `composite`."""
    return source_type.rstrip("/").replace("#", "/").rpartition("/")[2]

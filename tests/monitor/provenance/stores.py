"""Manifest stores as crJSON, of shapes that no signer at hand would write."""

from __future__ import annotations

from typing import Any

from monitor.provenance.history import History
from monitor.provenance.tree import history_of

WIDE = "\U0001f600"  # twelve bytes as JSON, four as UTF-8


def taken(target: str | None, relationship: str = "componentOf", **more: Any) -> dict[str, Any]:
    """An ingredient assertion that names `target`'s manifest."""
    named = {"activeManifest": {"url": f"self#jumbf=/c2pa/{target}"}} if target else {}
    return {"relationship": relationship, "dc:title": f"{target}.jpg", "dc:format": "image/jpeg", **named, **more}


def manifest(label: str, *ingredients: dict[str, Any], **more: Any) -> dict[str, Any]:
    assertions = {f"c2pa.ingredient.v3{f'__{number}' if number else ''}": item for number, item in enumerate(ingredients)}
    return {"label": label, "assertions": assertions | more.pop("assertions", {}), **more}


def read(*manifests: dict[str, Any]) -> History:
    return history_of({"manifests": list(manifests)})


def checked(success: tuple[str, ...] = (), failure: tuple[str, ...] = (), informational: tuple[str, ...] = ()) -> dict[str, Any]:
    kinds = {"success": success, "failure": failure, "informational": informational}
    return {"validationResults": {kind: [{"code": code} for code in codes] for kind, codes in kinds.items()}}


def hostile(text: str, *, count: int, ingredients: int) -> History:
    """A store with `text` in every field there is."""
    signature = {"certificateInfo": {key: {"O": text, "CN": text} for key in ("subject", "issuer")}}
    signature["timeStampInfo"] = {"timestamp": text, "certificateInfo": {"subject": {"O": text}}}
    action = dict.fromkeys(("action", "when", "softwareAgent", "digitalSourceType", "description"), text)
    results = checked((), tuple(f"{number}{text}" for number in range(50)))
    status = {"validationStatus": [{"code": f"{number}{text}"} for number in range(50)], "dc:title": text, "dc:format": text}
    taking = [taken(f"{text}{number % count}", text, **status) for number in range(ingredients)]
    parts = {"assertions": {"c2pa.actions": {"actions": [action] * 100}}, "signature": signature, **results}
    claim = {"claim": {"dc:title": text, "claim_generator": text}}
    return read(*(manifest(f"{text}{number}", *taking, **parts, **claim) for number in range(count)))

"""A history as it is drawn: the tree, and its words. Pure; command line and console draw the same.

Names in a history are what the file says. Only a manifest in state `trusted` has somebody who vouches for its signer, and the words
keep the two apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from types import MappingProxyType

from monitor.provenance.history import Action, History, Ingredient, Manifest
from monitor.provenance.sentences import explain
from monitor.provenance.types import State

__all__ = [
    "DEPTH",
    "Branch",
    "Node",
    "actions",
    "facts",
    "heading",
    "ingredient_words",
    "left_out",
    "left_out_of",
    "outline",
    "recorded_words",
    "state_words",
]

DEPTH = 8

_STATE: Mapping[str, str] = MappingProxyType(
    {
        State.TRUSTED: "trusted signer",
        State.UNTRUSTED: "signer not vouched for",
        State.TAMPERED: "changed after signing",
        State.REVOKED: "certificate revoked",
        State.MALFORMED: "malformed",
    }
)
_SOURCE: Mapping[str, str] = MappingProxyType(
    {
        "trainedAlgorithmicMedia": "made by AI",
        "trainedAlgorithmicData": "made by AI",
        "compositeWithTrainedAlgorithmicMedia": "made in part by AI",
        "compositeSynthetic": "with generated parts",
        "algorithmicMedia": "made by a program that was not trained",
        "algorithmicallyEnhanced": "enhanced by a program",
        "composite": "put together from several sources",
        "compositeCapture": "put together from captures",
        "computationalCapture": "captured by a device",
        "digitalCapture": "captured by a device",
        "digitalCreation": "made by a person with a program",
        "humanEdits": "edited by a person",
        "screenCapture": "recorded from a screen",
        "virtualRecording": "recorded from a virtual event",
    }
)
_RELATIONSHIP: Mapping[str, str] = MappingProxyType({"parentOf": "Made from", "componentOf": "Contains", "inputTo": "Used as input"})


@dataclass(frozen=True, slots=True)
class Branch:
    """An ingredient, and its manifest: drawn beneath it (`node`), or else in words (`instead`)."""

    ingredient: Ingredient
    node: Node | None = None
    instead: str | None = None


@dataclass(frozen=True, slots=True)
class Node:
    """A manifest with its number and what it was made from."""

    number: int
    manifest: Manifest
    branches: tuple[Branch, ...]


def outline(history: History) -> tuple[Node, ...]:
    """Trees in which every manifest stands once, none deeper than `DEPTH` levels.

    The first is the active manifest's. A manifest that would stand deeper begins a tree of its own, and so does one that nothing leads
    to. Where a manifest is reached again, its branch has no node but its number.
    """
    drawn: set[int] = set()

    def node(number: int, level: int) -> Node:
        drawn.add(number)
        manifest = history.manifests[number - 1]
        return Node(number, manifest, tuple(branch(ingredient, level + 1) for ingredient in manifest.ingredients))

    def branch(ingredient: Ingredient, level: int) -> Branch:
        number = ingredient.manifest
        if number is None:
            missing = "is left out here or not in the file" if history.left_out_manifests else "is not in the file"
            return Branch(ingredient, instead=f"its manifest {missing}" if ingredient.names_manifest else "has no manifest of its own")
        if number in drawn or level > DEPTH:
            return Branch(ingredient, instead=f"see [{number}]")
        return Branch(ingredient, node(number, level))

    return tuple(node(number, 1) for number in range(1, len(history.manifests) + 1) if number not in drawn)


def heading(node: Node) -> str:
    """The line above a tree: which manifest the tree begins with, and the title that manifest gives."""
    what = "This file" if node.number == 1 else "Another manifest in the file"
    return f"{what}: {node.manifest.title}" if node.manifest.title else what


def state_words(manifest: Manifest) -> str:
    return _STATE.get(manifest.state, manifest.state)


def facts(manifest: Manifest) -> list[tuple[str, str]]:
    """(what, value) for one manifest: who signed, when, with what, and what is held against it."""
    vouched = manifest.state == State.TRUSTED
    found = [
        ("Signed by" if vouched else "Names as signer", manifest.signer or "nobody"),
        ("Certified by" if vouched else "Names as issuer", manifest.issuer),
        ("Time-stamp", _time_stamp(manifest)),
        ("Written with" if vouched else "Says it was written with", manifest.generator),
        ("Check", None if vouched else _check(manifest)),
    ]
    return [(what, value) for what, value in found if value]


def actions(manifest: Manifest) -> list[tuple[str, ...]]:
    """The actions of a manifest as words: what was done, then each thing said about that: source, software, note, time.

    The same action time after time is said once.
    """
    runs = [(action, len(list(run))) for action, run in groupby(manifest.actions)]
    return [(*_action(action), *([f"{times} times"] if times > 1 else [])) for action, times in runs]


def ingredient_words(ingredient: Ingredient) -> str:
    """An ingredient in words: `Made from (parentOf): beach.jpg, image/jpeg`."""
    relationship = ingredient.relationship or "no relationship given"
    word = _RELATIONSHIP.get(relationship, "Ingredient")
    return f"{word} ({relationship}): {ingredient.title or 'without a title'}{f', {ingredient.format}' if ingredient.format else ''}"


def recorded_words(ingredient: Ingredient) -> str | None:
    """What the signer who took an ingredient in wrote down against that ingredient. Whom that signer trusted is no matter here."""
    failed = [explain(code, ingredient=False) for code in ingredient.recorded if not code.startswith(("signingCredential.", "timeStamp."))]
    return f"Had already failed when it was taken in, its taker recorded: {' '.join(failed)}" if failed else None


def left_out(history: History) -> str | None:
    return f"{_more(history.left_out_manifests, 'manifest')} in the file, not shown" if history.left_out_manifests else None


def left_out_of(manifest: Manifest) -> str | None:
    counts = ((manifest.left_out_actions, "action"), (manifest.left_out_ingredients, "ingredient"))
    return " and ".join(_more(number, noun) for number, noun in counts if number) + ", not shown" if any(n for n, _ in counts) else None


def _action(action: Action) -> list[str]:
    name = action.name or "an action without a name"
    if name.startswith("c2pa."):
        name = name.removeprefix("c2pa.").replace("_", " ")
    source = action.source
    if source and source in _SOURCE:
        source = f"{source} ({_SOURCE[source]})"
    details = [f"{what} {value}" for what, value in (("source", source), ("with", action.agent), ("at", action.when)) if value]
    return [name, *details, *([f"“{action.note}”"] if action.note else [])]


def _more(number: int, noun: str) -> str:
    return f"{number:,} more {noun}{'' if number == 1 else 's'}"


def _time_stamp(manifest: Manifest) -> str:
    by = manifest.time_stamped_by or "an authority without a name"
    if not manifest.signed_at:
        if not manifest.time_stamped_by:
            return "none, so nothing shows when it was signed"
        fault = "does not fit the signature" if "timeStamp.mismatch" in manifest.codes else "cannot be read"
        return f"{fault}; it names {by}"
    doubted = any(code.startswith("timeStamp.") for code in manifest.codes)
    return f"{manifest.signed_at} by {by}{', for which no list vouches' if doubted else ''}"


def _check(manifest: Manifest) -> str:
    reasons = [explain(code, ingredient=False) for code in manifest.codes if not code.startswith("timeStamp.")]
    return " ".join(reasons) or "Nothing here vouches for its signer."

"""Walks a manifest store for what it says of the file's making. Pure: works on crJSON, the form the rubrics are written for.

Every manifest is walked, not the active one alone: ChatGPT, DALL·E and Premiere state the digital source type only in
the manifest of an ingredient. How a manifest belongs to the file decides what its words mean for the file:

- the active manifest, and what the file was made from, counts in full. Made from is a parent (`parentOf`), or the one
  ingredient of a manifest that names no source of its own, as an editor's export of a single clip does;
- every other manifest (components, inputs, manifests nothing refers to): a part. A part made wholly by a generator makes the file
  partly so; a part captured by a camera says nothing of the whole.

Classes, after the asset signal rubrics of the C2PA conformance programme: a file is *fully* generated when `c2pa.created` or
`c2pa.opened` (or metadata about the whole file) names a trained generator; *partly* when an edit does, or a composite with
generated parts is named; it *may* be for a plain composite or a screen capture; it is *captured* for cameras and microphones.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Set
from dataclasses import dataclass
from itertools import islice
from typing import Any

from monitor.provenance import crjson
from monitor.provenance.crjson import Json
from monitor.provenance.types import AI, Signal

__all__ = [
    "ai_of_source",
    "declared_ai",
    "generator_of",
    "plain",
    "recorded_failures",
    "short_path",
    "signals_of",
    "signed_at_of",
    "signer_of",
]

_TEXT_CHARS = 200
_PATH_CHARS = 4 * _TEXT_CHARS  # of a path while it is walked: a long name would else be copied for all that stands under it
_SIGNALS_KEPT = 50

_GENERATED = frozenset({"trainedAlgorithmicMedia", "trainedAlgorithmicData"})
_BY_TERM = {
    "compositeWithTrainedAlgorithmicMedia": AI.PARTLY,
    "compositeSynthetic": AI.PARTLY,
    "composite": AI.MAY,
    "screenCapture": AI.MAY,
    "digitalCapture": AI.CAPTURED,
    "computationalCapture": AI.CAPTURED,
    "compositeCapture": AI.CAPTURED,
}
_WHOLE_FILE_ACTIONS = frozenset({None, "c2pa.created", "c2pa.opened"})
_STRONGEST_FIRST = (AI.FULLY, AI.PARTLY, AI.MAY, AI.CAPTURED)

_MEANING = {
    AI.FULLY: "made wholly by a trained generator",
    AI.PARTLY: "made in part by a trained generator",
    AI.MAY: "put together in a way that may contain generated parts",
    AI.CAPTURED: "captured by a device",
    AI.UNKNOWN: "which says nothing about generators",
}
_CODE = {AI.FULLY: "ai_fully", AI.PARTLY: "ai_partly", AI.MAY: "ai_may", AI.CAPTURED: "captured", AI.UNKNOWN: "source_type"}


@dataclass(frozen=True, slots=True)
class _Declaration:
    """One digital source type found in one assertion."""

    term: str
    action: str | None
    where: str
    of_part: bool

    @property
    def ai(self) -> AI:
        ai = _ai(self.term)
        if ai is AI.FULLY:
            return AI.FULLY if self.action in _WHOLE_FILE_ACTIONS and not self.of_part else AI.PARTLY
        return AI.UNKNOWN if ai is AI.CAPTURED and self.of_part else ai


def ai_of_source(value: str) -> AI:
    """What a digital source type says of a whole file, given by its address (IPTC's or C2PA's) or by its last word."""
    return _ai(crjson.term(value))


def _ai(term: str) -> AI:
    return AI.FULLY if term in _GENERATED else _BY_TERM.get(term, AI.UNKNOWN)


def declared_ai(store: Json) -> AI:
    """The strongest class any manifest declares; `unknown` when none declares one."""
    found = {declaration.ai for declaration in _declarations(store)}
    return next((ai for ai in _STRONGEST_FIRST if ai in found), AI.UNKNOWN)


def signals_of(store: Json) -> list[Signal]:
    """One signal a declared source type, with its path. Active manifest first, then by label: the order is stable.

    So many are kept, the active manifest's first, that no file can fill a page with them.
    """
    return [
        Signal(
            _CODE[declaration.ai],
            declaration.where,
            f"{plain(declaration.action) if declaration.action else 'An assertion'} gives the source as "
            f"{plain(declaration.term)}{' for a part of this file' if declaration.of_part else ''}: {_MEANING[declaration.ai]}.",
        )
        for declaration in islice(_declarations(store), _SIGNALS_KEPT)
    ]


def recorded_failures(store: Json) -> list[Signal]:
    """Failures of ingredients that a signer knew and wrote down when taking the ingredient in."""
    return [
        Signal(
            "ingredient_failed_before",
            f"{label}/c2pa.assertions/{name}",
            f"An ingredient already failed its check when this manifest was signed, and the signer recorded it: {plain(code)}.",
        )
        for label, name, code in islice(_recorded(store), _SIGNALS_KEPT)
    ]


def _recorded(store: Json) -> Iterator[tuple[str, str, str]]:
    for manifest in crjson.manifests(store):
        for name, ingredient in sorted(crjson.ingredients(manifest), key=_by_name):
            for code in _failure_codes(ingredient):
                yield crjson.label(manifest), name, code


def signer_of(store: Json) -> str | None:
    """Organisation and name on the certificate that signed the active manifest: `OpenAI / Truepic Lens CLI in Sora`."""
    certificate = crjson.mapping(crjson.signature(crjson.active(store)).get("certificateInfo"))
    return " / ".join(map(plain, crjson.names(certificate.get("subject")))) or None


def signed_at_of(store: Json) -> str | None:
    """The time-stamp of the active manifest's signature, ISO 8601; None when it carries none."""
    time = crjson.mapping(crjson.signature(crjson.active(store)).get("timeStampInfo")).get("timestamp")
    return plain(time) if isinstance(time, str) else None


def generator_of(store: Json) -> str | None:
    """The program that wrote the active claim, by its own account (`claim_generator_info`, in old claims `claim_generator`)."""
    claim = crjson.claim(crjson.active(store))
    if isinstance(claim.get("claim_generator"), str):
        return plain(claim["claim_generator"])
    first = crjson.mapping(next(iter(crjson.generators(claim)), None))
    return plain(" ".join(str(first[key]) for key in ("name", "version") if first.get(key))) or None


def short_path(uri: str) -> str:
    """An address in a manifest store, safe to print: `self#jumbf=/c2pa/LABEL/…` without the part that all share."""
    return plain(uri.removeprefix(crjson.STORE))


_UNPRINTED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def plain(text: str) -> str:
    """Text from a file, safe on a terminal and in a page's line: no control, format or separating characters, at most 200."""
    kept = "".join(character for character in text[:_PATH_CHARS] if unicodedata.category(character) not in _UNPRINTED)
    return kept if len(kept) <= _TEXT_CHARS else kept[: _TEXT_CHARS - 1] + "…"


def _declarations(store: Json) -> Iterator[_Declaration]:
    itself = _labels_of_the_file_itself(store)
    first, *others = crjson.manifests(store) or [{}]
    for manifest in (first, *sorted(others, key=crjson.label)):
        for name, content in sorted(crjson.assertions(manifest), key=_by_name):
            where = f"{crjson.label(manifest)}/c2pa.assertions/{name}"
            for term, action, path in _source_types(content):
                yield _Declaration(term, action, plain(where + path), of_part=crjson.label(manifest) not in itself)


def _by_name(assertion: tuple[str, Any]) -> str:
    return assertion[0]


def _source_types(content: Any) -> list[tuple[str, str | None, str]]:
    """(term, action it stands in, path) for each digital source type at any depth. No recursion: depth is the file's choice."""
    found: list[tuple[str, str | None, str]] = []
    pending: list[tuple[Any, str | None, str]] = [(content, None, "")]
    while pending:
        node, action, path = pending.pop()
        if isinstance(node, list):
            pending.extend((child, action, f"{path}/{number}"[:_PATH_CHARS]) for number, child in reversed(list(enumerate(node))))
        elif isinstance(node, dict):
            own = node.get("action")
            inside = own if isinstance(own, str) else action
            for key, child in reversed(node.items()):
                below = f"{path}/{key[:_PATH_CHARS]}"[:_PATH_CHARS]
                if key.rpartition(":")[2].lower() == "digitalsourcetype":
                    values = child if isinstance(child, list) else [child]
                    found.extend((crjson.term(value), inside, below) for value in values if isinstance(value, str))
                else:
                    pending.append((child, inside, below))
    return found


def _labels_of_the_file_itself(store: Json) -> Set[str]:
    """The active manifest and all it was made from, each once however the graph is shaped."""
    manifests = {crjson.label(manifest): manifest for manifest in crjson.manifests(store)}
    ingredients: dict[str, list[Json]] = {label: [] for label in manifests}
    for manifest in crjson.manifests(store):
        ingredients[crjson.label(manifest)] += [content for _, content in crjson.ingredients(manifest)]
    labels = {crjson.label(crjson.active(store))} & manifests.keys()
    pending = [*labels]
    while pending:
        label = pending.pop()
        wrapper = len(ingredients[label]) == 1 and not _source_types(manifests[label].get("assertions"))
        for ingredient in ingredients[label]:
            source = crjson.source_label(ingredient)
            if (
                source is not None
                and source in manifests
                and source not in labels
                and (wrapper or ingredient.get("relationship") == "parentOf")
            ):
                labels.add(source)
                pending.append(source)
    return labels


def _failure_codes(ingredient: Json) -> list[str]:
    """Mismatches that whoever took the ingredient in recorded."""
    recorded = crjson.of_taker(ingredient)
    return [code for code in crjson.codes(recorded, "validationStatus") or crjson.codes(recorded, "failure") if code.endswith(".mismatch")]

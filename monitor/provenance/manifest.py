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
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import islice
from typing import Any

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

_STORE = "self#jumbf=/c2pa/"
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
    return _ai(_term(value))


def _ai(term: str) -> AI:
    return AI.FULLY if term in _GENERATED else _BY_TERM.get(term, AI.UNKNOWN)


def declared_ai(store: Mapping[str, Any]) -> AI:
    """The strongest class any manifest declares; `unknown` when none declares one."""
    found = {declaration.ai for declaration in _declarations(store)}
    return next((ai for ai in _STRONGEST_FIRST if ai in found), AI.UNKNOWN)


def signals_of(store: Mapping[str, Any]) -> list[Signal]:
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


def recorded_failures(store: Mapping[str, Any]) -> list[Signal]:
    """Failures of ingredients that a signer knew and wrote down when taking the ingredient in."""
    return [
        Signal(
            "ingredient_failed_before",
            f"{label}/c2pa.assertions/{name}",
            f"An ingredient already failed its check when this manifest was signed, and the signer recorded it: {plain(code)}.",
        )
        for label, name, _, code in islice(_recorded(store), _SIGNALS_KEPT)
    ]


def _recorded(store: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any], str]]:
    for label, name, ingredient in _ingredients(store):
        for code in _failure_codes(ingredient):
            yield label, name, ingredient, code


def signer_of(store: Mapping[str, Any]) -> str | None:
    """Organisation and name on the certificate that signed the active manifest: `OpenAI / Truepic Lens CLI in Sora`."""
    subject = _mapping(_mapping(_mapping(_active(store).get("signature")).get("certificateInfo")).get("subject"))
    return " / ".join(plain(subject[key]) for key in ("O", "CN") if isinstance(subject.get(key), str)) or None


def signed_at_of(store: Mapping[str, Any]) -> str | None:
    """The time-stamp of the active manifest's signature, ISO 8601; None when it carries none."""
    time = _mapping(_mapping(_active(store).get("signature")).get("timeStampInfo")).get("timestamp")
    return plain(time) if isinstance(time, str) else None


def generator_of(store: Mapping[str, Any]) -> str | None:
    """The program that wrote the active claim, by its own account (`claim_generator_info`, in old claims `claim_generator`)."""
    active = _active(store)
    claim = _mapping(active.get("claim.v2") or active.get("claim"))
    if isinstance(claim.get("claim_generator"), str):
        return plain(claim["claim_generator"])
    information = claim.get("claim_generator_info")
    first = _mapping(information[0] if isinstance(information, list) and information else information)
    return plain(" ".join(str(first[key]) for key in ("name", "version") if first.get(key))) or None


def short_path(uri: str) -> str:
    """`self#jumbf=/c2pa/LABEL/…` without the part that is the same for all, safe to print."""
    return plain(uri.removeprefix(_STORE))


_UNPRINTED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def plain(text: str) -> str:
    """Text from a file, safe on a terminal and in a page's line: no control, format or separating characters, at most 200."""
    kept = "".join(character for character in text[:_PATH_CHARS] if unicodedata.category(character) not in _UNPRINTED)
    return kept if len(kept) <= _TEXT_CHARS else kept[: _TEXT_CHARS - 1] + "…"


def _declarations(store: Mapping[str, Any]) -> Iterator[_Declaration]:
    itself = _labels_of_the_file_itself(store)
    active = _active(store)
    for manifest in sorted(_manifests(store), key=lambda manifest: (manifest is not active, _label(manifest))):
        for name, content in sorted(_mapping(manifest.get("assertions")).items()):
            where = f"{_label(manifest)}/c2pa.assertions/{name}"
            for term, action, path in _source_types(content):
                yield _Declaration(term, action, plain(where + path), of_part=_label(manifest) not in itself)


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
                    found.extend((_term(value), inside, below) for value in values if isinstance(value, str))
                else:
                    pending.append((child, inside, below))
    return found


def _term(value: str) -> str:
    """`http://cv.iptc.org/newscodes/digitalsourcetype/composite` → `composite`."""
    return value.rstrip("/").replace("#", "/").rpartition("/")[2]


def _labels_of_the_file_itself(store: Mapping[str, Any]) -> Set[str]:
    """The active manifest and all it was made from, each once however the graph is shaped."""
    manifests = {_label(manifest): manifest for manifest in _manifests(store)}
    ingredients: dict[str, list[Mapping[str, Any]]] = {label: [] for label in manifests}
    for owner, _, ingredient in _ingredients(store):
        ingredients[owner].append(ingredient)
    labels = {_label(_active(store))} & manifests.keys()
    pending = [*labels]
    while pending:
        label = pending.pop()
        wrapper = len(ingredients[label]) == 1 and not _source_types(manifests[label].get("assertions"))
        for ingredient in ingredients[label]:
            source = _manifest_of(ingredient)
            if source in manifests and source not in labels and (wrapper or ingredient.get("relationship") == "parentOf"):
                labels.add(source)
                pending.append(source)
    return labels


def _manifest_of(ingredient: Mapping[str, Any]) -> str:
    """The label of an ingredient's own manifest, empty without one. The field's name changed with ingredients v3."""
    url = _mapping(ingredient.get("activeManifest") or ingredient.get("c2pa_manifest")).get("url")
    return url.removeprefix(_STORE).partition("/")[0] if isinstance(url, str) else ""


def _ingredients(store: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for manifest in _manifests(store):
        for name, content in sorted(_mapping(manifest.get("assertions")).items()):
            if name.startswith("c2pa.ingredient"):
                yield _label(manifest), name, _mapping(content)


def _failure_codes(ingredient: Mapping[str, Any]) -> list[str]:
    """Recorded mismatches; `validationStatus` in ingredients v1 and v2, `validationResults` in v3."""
    statuses = ingredient.get("validationStatus") or _mapping(_mapping(ingredient.get("validationResults")).get("activeManifest")).get(
        "failure"
    )
    codes = [_mapping(status).get("code") for status in statuses] if isinstance(statuses, list) else []
    return [code for code in codes if isinstance(code, str) and code.endswith(".mismatch")]


def _manifests(store: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    manifests = store.get("manifests")
    return [_mapping(manifest) for manifest in manifests] if isinstance(manifests, list) else []


def _active(store: Mapping[str, Any]) -> Mapping[str, Any]:
    """crJSON puts the active manifest first."""
    return next(iter(_manifests(store)), {})


def _label(manifest: Mapping[str, Any]) -> str:
    return str(manifest.get("label", ""))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}

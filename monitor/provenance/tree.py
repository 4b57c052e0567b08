"""crJSON → `History`. Pure, linear in the size of the store, and without recursion: its shape is the file's choice.

Manifests are kept breadth first from the active one, so that a flood far away hides nothing near; those that nothing leads to come
last. What does not fit `history.HISTORY_BYTES`, or one of the counts, is left out and counted. Nothing is decided here: the rules
about what a declaration means for the file are in `manifest.py`, and they see the whole store.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from itertools import accumulate, takewhile
from typing import Any

from monitor.provenance import crjson
from monitor.provenance.crjson import Json
from monitor.provenance.history import (
    ACTIONS,
    CODE_BYTES,
    CODES,
    HISTORY_BYTES,
    INGREDIENTS,
    MANIFESTS,
    TEXT_BYTES,
    Action,
    History,
    Ingredient,
    Manifest,
)
from monitor.provenance.manifest import plain
from monitor.provenance.types import State
from monitor.provenance.verdict import Finding, judge

__all__ = ["history_of"]

_RELATIONSHIPS = ("parentOf", "componentOf", "inputTo")


def history_of(store: Json) -> History:
    """The history in `store`. Never raises for what a file may contain; shapes that no specification knows are passed over."""
    manifests: dict[str, Json] = {}
    for manifest in crjson.manifests(store):
        manifests.setdefault(crjson.label(manifest), manifest)
    draft = _Draft(manifests)
    for label in manifests:
        draft.admit(label)
        draft.fill()
    return draft.history()


class _Draft:
    """A history being written: each manifest is admitted (and numbered), then filled (what the manifest says is read)."""

    def __init__(self, manifests: Mapping[str, Json]) -> None:
        self._manifests = manifests
        self._recorded = _recorded_by_takers(manifests)
        self._numbers: dict[str, int] = {}
        self._kept: list[Manifest] = []
        self._labels: list[str] = []  # of those kept
        self._filled = 0
        self._bytes_left = HISTORY_BYTES - _json_bytes(History(left_out_manifests=len(manifests)).to_json())

    def history(self) -> History:
        return History(tuple(self._kept), left_out_manifests=len(self._manifests) - len(self._kept))

    def admit(self, label: str) -> int | None:
        """The number of a manifest, which is kept if there is room; None when it is not in the store, or there is none."""
        if label not in self._numbers and label in self._manifests and len(self._kept) < MANIFESTS:
            recorded = self._recorded[label] if self._kept else ()  # what a part says of the whole does not count
            head = _head(label, self._manifests[label], recorded)
            if self._takes(replace(head, left_out_actions=10**9, left_out_ingredients=10**9)):
                self._kept.append(head)
                self._labels.append(label)
                self._numbers[label] = len(self._kept)
        return self._numbers.get(label)

    def fill(self) -> None:
        """Read what every admitted manifest says, and every one that is admitted on the way."""
        while self._filled < len(self._kept):
            head = self._kept[self._filled]
            manifest = self._manifests[self._labels[self._filled]]
            actions, more_actions = self._actions(manifest)
            ingredients, more_ingredients = self._ingredients(manifest)
            self._kept[self._filled] = replace(
                head, actions=actions, ingredients=ingredients, left_out_actions=more_actions, left_out_ingredients=more_ingredients
            )
            self._filled += 1

    def _actions(self, manifest: Json) -> tuple[tuple[Action, ...], int]:
        found = [
            (crjson.mapping(action), crjson.mapping(content))
            for name, content in crjson.assertions(manifest)
            if name.startswith("c2pa.actions")
            for action in crjson.sequence(crjson.mapping(content).get("actions"))
        ]
        kept = tuple(takewhile(self._takes, (_action(action, content) for action, content in found[:ACTIONS])))
        return kept, len(found) - len(kept)

    def _ingredients(self, manifest: Json) -> tuple[tuple[Ingredient, ...], int]:
        found = sorted((content for _, content in crjson.ingredients(manifest)), key=_importance)
        kept: list[Ingredient] = []
        for content in found[:INGREDIENTS]:
            ingredient = _ingredient(content)
            if not self._takes(ingredient):
                break
            source = crjson.source_label(content)
            kept.append(replace(ingredient, manifest=self.admit(source) if source is not None else None))
        return tuple(kept), len(found) - len(kept)

    def _takes(self, item: Manifest | Action | Ingredient) -> bool:
        """Take the room for an item, and say whether there was any. A number takes no more room than the `null` that is counted."""
        size = _json_bytes(asdict(item)) + len(", ")
        if size > self._bytes_left:
            return False
        self._bytes_left -= size
        return True


def _head(label: str, manifest: Json, recorded: Iterable[str]) -> Manifest:
    claim, signature = crjson.claim(manifest), crjson.signature(manifest)
    certificate, stamp = crjson.mapping(signature.get("certificateInfo")), crjson.mapping(signature.get("timeStampInfo"))
    state, codes = _judged(manifest, recorded)
    return Manifest(
        label=_text(label),
        state=state.value,
        title=_text(claim.get("dc:title")),
        signer=_name(certificate.get("subject")),
        issuer=_name(certificate.get("issuer")),
        signed_at=_text(stamp.get("timestamp")),
        time_stamped_by=_name(crjson.mapping(stamp.get("certificateInfo")).get("subject")),
        generator=_generator(claim),
        codes=codes,
    )


def _judged(manifest: Json, recorded: Iterable[str]) -> tuple[State, tuple[str, ...]]:
    """How one manifest stands by itself, and why.

    c2pa-rs leaves out of an ingredient's results what its taker already recorded, so `recorded` is put back in: all but whom the taker
    trusted, for that is no finding of ours, and doubts about the time that a list loaded now dispels.
    """
    results = crjson.mapping(manifest.get("validationResults"))
    succeeded = crjson.codes(results, "success")
    known = {code for code in recorded if not code.startswith("signingCredential.") or code.endswith(".revoked")}
    if "timeStamp.trusted" in succeeded:
        known = {code for code in known if not code.startswith("timeStamp.")}
    noted = {code for code in {*crjson.codes(results, "informational"), *known} if code.startswith("timeStamp.")}
    failed = {*crjson.codes(results, "failure"), *(known - noted)}
    state = judge([Finding(code, "", ingredient=False) for code in failed], signer_trusted="signingCredential.trusted" in succeeded)
    return state, _bounded_codes(failed | noted)


def _recorded_by_takers(manifests: Mapping[str, Json]) -> Mapping[str, set[str]]:
    """For each label, the codes that the takers of that manifest wrote down about it."""
    recorded: defaultdict[str, set[str]] = defaultdict(set)
    for manifest in manifests.values():
        for _, content in crjson.ingredients(manifest):
            if (source := crjson.source_label(content)) is not None:
                notes = crjson.codes(crjson.of_taker(content), "informational")
                recorded[source] |= _recorded_failures(content) | {code for code in notes if code.startswith("timeStamp.")}
    return recorded


def _recorded_failures(ingredient: Json) -> set[str]:
    recorded = crjson.of_taker(ingredient)
    return {*crjson.codes(recorded, "validationStatus"), *crjson.codes(recorded, "failure")}


def _action(action: Json, assertion: Json) -> Action:
    """An action of a manifest. `softwareAgent` is a text in actions v1, an object in v2, or a place in the assertion's list of them."""
    agent, index = action.get("softwareAgent"), action.get("softwareAgentIndex")
    agents = crjson.sequence(assertion.get("softwareAgents"))
    if agent is None and isinstance(index, int) and 0 <= index < len(agents):
        agent = agents[index]
    parameters = crjson.mapping(action.get("parameters"))
    source = action.get("digitalSourceType")
    return Action(
        name=_text(action.get("action")),
        when=_text(action.get("when")),
        agent=_product(agent),
        source=_text(crjson.term(source)) if isinstance(source, str) else None,
        note=_text(action.get("description")) or _text(parameters.get("description")) or _text(parameters.get("name")),
    )


def _ingredient(content: Json) -> Ingredient:
    return Ingredient(
        relationship=_text(content.get("relationship")),
        title=_text(content.get("dc:title")),
        format=_text(content.get("dc:format")),
        names_manifest=crjson.source_label(content) is not None,
        recorded=_bounded_codes(_recorded_failures(content)),
    )


def _importance(ingredient: Json) -> tuple[bool, int]:
    """The rank of an ingredient: with a manifest first, then what the file was made from before what it contains; ties as in the file."""
    relationship = ingredient.get("relationship")
    rank = _RELATIONSHIPS.index(relationship) if relationship in _RELATIONSHIPS else len(_RELATIONSHIPS)
    return crjson.source_label(ingredient) is None, rank


def _generator(claim: Json) -> str | None:
    """The program that wrote a claim: `claim_generator_info` (one, in old claims a list), else the `claim_generator` of old claims."""
    products = [_product(item) for item in crjson.generators(claim)[:CODES]]
    return _text(", ".join(filter(None, products))) or _text(claim.get("claim_generator"))


def _product(value: Any) -> str | None:
    if isinstance(value, str):
        return _text(value)
    return _text(" ".join(str(part) for key in ("name", "version") if isinstance(part := crjson.mapping(value).get(key), str)))


def _name(value: Any) -> str | None:
    return _text(" / ".join(crjson.names(value)))


def _bounded_codes(codes: Iterable[str]) -> tuple[str, ...]:
    return tuple(code for code in (_cut(plain(code), CODE_BYTES) for code in sorted(codes)[:CODES]) if code)


def _text(value: Any) -> str | None:
    """A value as text to show; None for a value that is no text, or has nothing that can be shown."""
    return (_cut(plain(value), TEXT_BYTES).strip() or None) if isinstance(value, str) else None


def _cut(text: str, limit: int) -> str:
    """As much of `text` as takes `limit` bytes in JSON, where a character outside ASCII takes six or twelve."""
    if _json_bytes(text) <= limit:
        return text
    sizes = accumulate(_json_bytes(character) - len('""') for character in text)
    room = limit - len('""\\u2026')
    return text[: sum(1 for _ in takewhile(lambda size: size <= room, sizes))] + "…"


def _json_bytes(value: Any) -> int:
    return len(json.dumps(value))

"""The asset signal rubrics of the C2PA conformance programme, version 1.0 (August 2026), over crJSON: the official words. Pure.

Each manifest is judged by itself, by its `c2pa.actions.v2` assertion alone, as the programme's rubric does it
(c2pa-org/conformance-public, asset-rubrics): *inception* says how something came to be, *transformation* what was done to it.
What follows for the file as a whole, and what older claims say, is `monitor.provenance.manifest`'s part.
"""

from __future__ import annotations

from collections.abc import Iterator

from monitor.provenance import crjson
from monitor.provenance.crjson import Json
from monitor.provenance.manifest import plain
from monitor.provenance.types import Signal

__all__ = ["RUBRIC", "rubric_signals"]

RUBRIC = "1.0"

_SIGNALS_KEPT = 50
_IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"
_C2PA = "http://c2pa.org/digitalsourcetype/"
_ACTIONS = "c2pa.actions.v2"

_INCEPTIONS = {
    f"{_C2PA}empty": "blankCanvas",
    f"{_IPTC}digitalCapture": "capturedMedia",
    f"{_IPTC}computationalCapture": "capturedMedia",
    f"{_IPTC}compositeCapture": "capturedMediaStitched",
    f"{_IPTC}composite": "compositionMayContainGenAI",
    f"{_IPTC}trainedAlgorithmicMedia": "fullyGenAIMedia",
    f"{_IPTC}digitalCreation": "nonGenAIDigitalCreation",
    f"{_IPTC}compositeWithTrainedAlgorithmicMedia": "partlyGenAICreation",
    f"{_IPTC}screenCapture": "screenCaptureMayContainGenAI",
}
_GENERATED = {
    f"{_IPTC}trainedAlgorithmicMedia",
    f"{_IPTC}compositeWithTrainedAlgorithmicMedia",
    f"{_IPTC}compositeSynthetic",
    f"{_C2PA}trainedAlgorithmicData",
}
_POSSIBLY_GENERATED = {f"{_IPTC}digitalArt", f"{_IPTC}composite"}
_INCEPTION_ACTIONS = {"c2pa.created", "c2pa.opened"}
_NON_EDITORIAL = {
    "c2pa.converted",
    "c2pa.edited.metadata",
    "c2pa.enhanced",
    "c2pa.published",
    "c2pa.redacted",
    "c2pa.repackaged",
    "c2pa.resized.proportional",
    "c2pa.transcoded",
    "c2pa.watermarked",
    "c2pa.watermarked.bound",
    "c2pa.watermarked.unbound",
}

_TEXT = {
    "blankCanvas": "begun as an empty canvas",
    "capturedMedia": "captured by a device",
    "capturedMediaStitched": "put together from several captures",
    "compositionMayContainGenAI": "a composition that may contain AI-made parts",
    "fullyGenAIMedia": "made wholly by generative AI",
    "mediaUnknownProvenance": "made from media of unknown origin",
    "nonGenAIDigitalCreation": "made by digital tools without generative AI",
    "partlyGenAICreation": "made in part by generative AI",
    "screenCaptureMayContainGenAI": "a screen capture, which may show AI-made content",
    "ambiguousActions": "its list of actions is incomplete or ambiguous",
    "nonEditorial": "operations that leave the content as it is",
    "perceptibleGenAI": "changed perceptibly by generative AI",
    "perceptibleNonGenAI": "changed perceptibly without generative AI",
    "perceptiblePossiblyGenAI": "changed perceptibly, possibly by generative AI",
}


def rubric_signals(store: Json) -> list[Signal]:
    """One signal a manifest and rubric, in the order of the store. Codes are the official ids: `inception:signal_fullyGenAIMedia`.

    So many are kept, the active manifest's first, that no file can fill a page with them.
    """
    found: list[Signal] = []
    for manifest in crjson.sequence(store.get("manifests")):
        if not isinstance(manifest, dict) or len(found) >= _SIGNALS_KEPT:
            continue
        told: set[str] = set()
        for kind, name, where in _of(manifest):
            if name not in told:
                told.add(name)
                place = plain(f"{crjson.label(manifest)}/c2pa.assertions/{where}")
                found.append(Signal(f"{kind}:signal_{name}", place, f"In the official words ({name}): {_TEXT[name]}."))
    return found


def _of(manifest: Json) -> Iterator[tuple[str, str, str]]:
    assertions = crjson.mapping(manifest.get("assertions"))
    whole = crjson.mapping(assertions.get(_ACTIONS))
    actions = [crjson.mapping(action) for action in crjson.sequence(whole.get("actions"))]
    for number, action in enumerate(actions):
        name, source = action.get("action"), action.get("digitalSourceType")
        where = f"{_ACTIONS}/actions/{number}"
        if not isinstance(name, str):
            continue
        if name in _INCEPTION_ACTIONS:
            if isinstance(source, str) and source in _INCEPTIONS:
                yield "inception", _INCEPTIONS[source], where
        elif name in _NON_EDITORIAL:
            yield "transformation", "nonEditorial", where
        elif isinstance(source, str):
            yield "transformation", "perceptibleGenAI" if source in _GENERATED else "perceptibleNonGenAI", where
            if source in _POSSIBLY_GENERATED:
                yield "transformation", "perceptiblePossiblyGenAI", where
    ingredient = assertions.get("c2pa.ingredient.v3")
    if isinstance(ingredient, dict) and ingredient.get("activeManifest") is None:
        yield "inception", "mediaUnknownProvenance", "c2pa.ingredient.v3"
    if _is_ambiguous(manifest, whole, actions):
        yield "transformation", "ambiguousActions", _ACTIONS


def _is_ambiguous(manifest: Json, whole: Json, actions: list[Json]) -> bool:
    names = [action["action"] for action in actions if isinstance(action.get("action"), str)]
    gathered = crjson.mapping(manifest.get("claim.v2")).get("gathered_assertions")
    urls = [str(crjson.mapping(each).get("url")) for each in crjson.sequence(gathered)]
    return (
        not actions
        or whole.get("allActionsIncluded") is not True
        or any(name == "c2pa.unknown" or not name.startswith("c2pa.") for name in names)
        or any("c2pa.actions" in url for url in urls)
    )

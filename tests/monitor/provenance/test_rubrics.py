"""The official words, rubric by rubric, as c2pa-org/conformance-public (asset-rubrics, version 1.0) defines them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.cast.credentials import CAPTURED, GENERATED, Studio
from monitor.provenance.check import check
from monitor.provenance.manifest import declared_ai
from monitor.provenance.rubrics import rubric_signals
from monitor.provenance.trust import TrustLists
from monitor.provenance.types import AI

IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"
C2PA = "http://c2pa.org/digitalsourcetype/"


def manifest(*actions: dict[str, Any], complete: bool = True, **more: Any) -> dict[str, Any]:
    return {"label": "urn:c2pa:1", "assertions": {"c2pa.actions.v2": {"actions": list(actions), "allActionsIncluded": complete}, **more}}


def words(*manifests: dict[str, Any]) -> list[str]:
    return [signal.code.partition("signal_")[2] for signal in rubric_signals({"manifests": list(manifests)})]


@pytest.mark.parametrize(
    ("source", "word"),
    [
        (f"{C2PA}empty", "blankCanvas"),
        (f"{IPTC}digitalCapture", "capturedMedia"),
        (f"{IPTC}computationalCapture", "capturedMedia"),
        (f"{IPTC}compositeCapture", "capturedMediaStitched"),
        (f"{IPTC}composite", "compositionMayContainGenAI"),
        (f"{IPTC}trainedAlgorithmicMedia", "fullyGenAIMedia"),
        (f"{IPTC}digitalCreation", "nonGenAIDigitalCreation"),
        (f"{IPTC}compositeWithTrainedAlgorithmicMedia", "partlyGenAICreation"),
        (f"{IPTC}screenCapture", "screenCaptureMayContainGenAI"),
    ],
)
@pytest.mark.parametrize("action", ["c2pa.created", "c2pa.opened"])
def test_how_it_came_to_be(source: str, word: str, action: str) -> None:
    (signal,) = rubric_signals({"manifests": [manifest({"action": action, "digitalSourceType": source})]})
    assert signal.code == f"inception:signal_{word}"
    assert signal.where == "urn:c2pa:1/c2pa.assertions/c2pa.actions.v2/actions/0"


@pytest.mark.parametrize(
    ("action", "source", "found"),
    [
        ("c2pa.edited", f"{IPTC}trainedAlgorithmicMedia", ["perceptibleGenAI"]),
        ("c2pa.edited", f"{IPTC}compositeSynthetic", ["perceptibleGenAI"]),
        ("c2pa.edited", f"{C2PA}trainedAlgorithmicData", ["perceptibleGenAI"]),
        ("c2pa.edited", f"{IPTC}humanEdits", ["perceptibleNonGenAI"]),
        ("c2pa.drawing", f"{IPTC}digitalArt", ["perceptibleNonGenAI", "perceptiblePossiblyGenAI"]),
        ("c2pa.edited", None, []),
        ("c2pa.transcoded", f"{IPTC}trainedAlgorithmicMedia", ["nonEditorial"]),
        ("c2pa.unknown", None, ["ambiguousActions"]),
        ("com.example.edit", None, ["ambiguousActions"]),
    ],
)
def test_what_was_done_to_it(action: str, source: str | None, found: list[str]) -> None:
    given_source = {} if source is None else {"digitalSourceType": source}
    assert words(manifest({"action": action, **given_source})) == found


def test_what_is_left_open_is_ambiguous() -> None:
    created = {"action": "c2pa.created", "digitalSourceType": f"{IPTC}digitalCapture"}
    assert words(manifest(created, complete=False)) == ["capturedMedia", "ambiguousActions"]
    assert words(manifest()) == ["ambiguousActions"]
    gathered = {"claim.v2": {"gathered_assertions": [{"url": "self#jumbf=c2pa.assertions/c2pa.actions.v2"}]}}
    assert words(manifest(created) | gathered) == ["capturedMedia", "ambiguousActions"]
    flat = manifest(created, **{"c2pa.ingredient.v3": {"relationship": "componentOf"}})
    assert words(flat) == ["capturedMedia", "mediaUnknownProvenance"]


def test_every_manifest_of_the_store_is_judged_with_its_path() -> None:
    inner = manifest({"action": "c2pa.created", "digitalSourceType": f"{IPTC}trainedAlgorithmicMedia"}) | {"label": "urn:c2pa:2"}
    outer = manifest({"action": "c2pa.opened"}, {"action": "c2pa.published"})
    places = [(signal.code, signal.where.partition("/")[0]) for signal in rubric_signals({"manifests": [outer, inner]})]
    assert places == [("transformation:signal_nonEditorial", "urn:c2pa:1"), ("inception:signal_fullyGenAIMedia", "urn:c2pa:2")]


def test_a_signed_file_tells_them_and_the_name_of_a_product_decides_nothing(
    tmp_path: Path, plain: Path, studio: Studio, trust: TrustLists
) -> None:
    generated, captured = tmp_path / "generated.mp4", tmp_path / "captured.mp4"
    studio.sign(plain, generated, digital_source_type=GENERATED, generator="An honest camera")
    studio.sign(plain, captured, digital_source_type=CAPTURED, generator="Sora")
    codes = {path: {signal.code for signal in check(path, trust).signals} for path in (generated, captured)}
    assert "inception:signal_fullyGenAIMedia" in codes[generated]
    assert "inception:signal_capturedMedia" in codes[captured]
    assert check(captured, trust).ai is AI.CAPTURED
    named = manifest({"action": "c2pa.created", "softwareAgent": {"name": "DALL-E"}, "digitalSourceType": f"{IPTC}unheardOf"})
    assert declared_ai({"manifests": [named | {"claim.v2": {"claim_generator_info": {"name": "Sora"}}}]}) is AI.UNKNOWN


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
)


@given(JSON)
def test_whatever_stands_in_a_store_has_no_words_or_some(content: Any) -> None:
    for store in ({"manifests": content}, {"manifests": [content]}, {"manifests": [{"assertions": content}]}):
        assert all(signal.where and signal.text.endswith(".") for signal in rubric_signals(store))
    actions = {"manifests": [{"assertions": {"c2pa.actions.v2": {"actions": content}}, "claim.v2": content}]}
    assert "transformation:signal_ambiguousActions" in [signal.code for signal in rubric_signals(actions)]

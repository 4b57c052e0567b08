"""The walk over crJSON, on stores no signer at hand would write."""

from __future__ import annotations

from typing import Any

import pytest

from monitor.provenance.manifest import declared_ai, generator_of, plain, recorded_failures, signals_of, signer_of
from monitor.provenance.types import AI

IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"


def manifest(label: str, *, source: str | None = None, action: str = "c2pa.created", **ingredients: str) -> dict[str, Any]:
    """A manifest; `ingredients` are label=relationship, with `_` for nothing special."""
    assertions: dict[str, Any] = {}
    if source:
        assertions["c2pa.actions.v2"] = {"actions": [{"action": action, "digitalSourceType": IPTC + source}]}
    for number, (target, relationship) in enumerate(ingredients.items()):
        assertions[f"c2pa.ingredient.v3__{number}"] = {
            "relationship": relationship,
            "activeManifest": {"url": f"self#jumbf=/c2pa/{target}"},
        }
    return {"label": label, "assertions": assertions}


def store(*manifests: dict[str, Any]) -> dict[str, Any]:
    return {"manifests": list(manifests)}


@pytest.mark.parametrize(
    ("source", "action", "expected"),
    [
        ("trainedAlgorithmicMedia", "c2pa.created", AI.FULLY),
        ("trainedAlgorithmicMedia", "c2pa.opened", AI.FULLY),
        ("trainedAlgorithmicMedia", "c2pa.edited", AI.PARTLY),
        ("trainedAlgorithmicData", "c2pa.created", AI.FULLY),
        ("compositeWithTrainedAlgorithmicMedia", "c2pa.edited", AI.PARTLY),
        ("compositeSynthetic", "c2pa.created", AI.PARTLY),
        ("composite", "c2pa.created", AI.MAY),
        ("screenCapture", "c2pa.created", AI.MAY),
        ("digitalCapture", "c2pa.created", AI.CAPTURED),
        ("computationalCapture", "c2pa.created", AI.CAPTURED),
        ("algorithmicMedia", "c2pa.created", AI.UNKNOWN),
        ("digitalCreation", "c2pa.created", AI.UNKNOWN),
    ],
)
def test_one_manifest(source: str, action: str, expected: AI) -> None:
    assert declared_ai(store(manifest("a", source=source, action=action))) is expected


def test_the_strongest_declaration_wins() -> None:
    captured = manifest("a", source="digitalCapture", b="parentOf")
    assert declared_ai(store(captured, manifest("b", source="trainedAlgorithmicMedia"))) is AI.FULLY
    assert declared_ai(store(captured, manifest("b", source="composite"))) is AI.MAY


def test_a_parents_parent_counts_in_full_and_a_part_of_a_parent_as_a_part() -> None:
    generated = manifest("c", source="trainedAlgorithmicMedia")
    assert declared_ai(store(manifest("a", b="parentOf"), manifest("b", c="parentOf"), generated)) is AI.FULLY
    assert declared_ai(store(manifest("a", b="parentOf"), manifest("b", source="digitalCreation", c="componentOf"), generated)) is AI.PARTLY


def test_the_one_clip_in_an_export_that_names_no_source_is_what_the_file_was_made_from() -> None:
    captured, generated = manifest("b", source="digitalCapture"), manifest("c", source="trainedAlgorithmicMedia")
    assert declared_ai(store(manifest("a", b="componentOf"), captured)) is AI.CAPTURED
    assert declared_ai(store(manifest("a", c="componentOf"), generated)) is AI.FULLY
    assert declared_ai(store(manifest("a", b="componentOf", c="componentOf"), captured, generated)) is AI.PARTLY


def test_a_captured_part_says_nothing_of_the_whole() -> None:
    assert (
        declared_ai(store(manifest("a", source="digitalCreation", b="componentOf"), manifest("b", source="digitalCapture"))) is AI.UNKNOWN
    )


def test_a_manifest_nothing_refers_to_is_walked_as_a_part() -> None:
    assert declared_ai(store(manifest("a", source="digitalCapture"), manifest("z", source="trainedAlgorithmicMedia"))) is AI.PARTLY


def test_rings_and_diamonds_of_ingredients_end() -> None:
    ring = store(manifest("a", b="parentOf"), manifest("b", a="parentOf"))
    assert declared_ai(ring) is AI.UNKNOWN
    layers = [manifest(f"m{n}{side}", **{f"m{n + 1}a": "parentOf", f"m{n + 1}b": "parentOf"}) for n in range(200) for side in "ab"]
    assert declared_ai(store(manifest("top", m0a="parentOf"), *layers, manifest("m200b", source="composite"))) is AI.MAY


def test_depth_is_no_problem() -> None:
    nested: Any = {"digitalSourceType": IPTC + "composite"}
    for _ in range(100_000):
        nested = [nested]
    try:
        assert declared_ai({"manifests": [{"label": "a", "assertions": {"x": nested}}]}) is AI.MAY
    finally:
        while isinstance(nested, list):  # freed level by level, for Python frees it recursively
            nested = nested.pop()


def test_shapes_that_no_specification_knows_are_passed_over() -> None:
    odd: list[Any] = [
        {},
        {"manifests": None},
        {"manifests": ["x"]},
        {"manifests": [{"assertions": [1]}]},
        {"manifests": [{"label": 3, "assertions": {"c2pa.ingredient": 7}}]},
    ]
    for item in odd:
        assert declared_ai(item) is AI.UNKNOWN
        assert (signals_of(item), recorded_failures(item), signer_of(item), generator_of(item)) == ([], [], None, None)


def test_old_and_new_claims_name_their_generator() -> None:
    assert generator_of(store({"claim": {"claim_generator": "Adobe_Firefly"}})) == "Adobe_Firefly"
    assert generator_of(store({"claim.v2": {"claim_generator_info": {"name": "Sora", "version": "2"}}})) == "Sora 2"
    assert generator_of(store({"claim": {"claim_generator_info": [{"name": "Sora"}]}})) == "Sora"


def test_text_from_a_file_cannot_steer_a_terminal_or_fill_a_page() -> None:
    assert plain("a\x1b[2Jb\u202ec\n") == "a[2Jbc"
    assert len(plain("x" * 10_000)) == 200
    hostile = store(manifest("a\x1b[31m", source="x\x1b]0;owned\x07"))
    assert all(character.isprintable() for signal in signals_of(hostile) for character in signal.where + signal.text)

"""crJSON → history, on stores no signer at hand would write."""

from __future__ import annotations

import json
from typing import Any

import pytest

from monitor.provenance.history import ACTIONS, HISTORY_BYTES, INGREDIENTS, MANIFESTS, Action, History, Ingredient
from monitor.provenance.tree import history_of
from monitor.provenance.types import State
from tests.monitor.provenance.stores import WIDE, checked, hostile, manifest, read, taken


def json_bytes(value: Any) -> int:
    return len(json.dumps(value))


def test_who_when_with_what_and_from_what() -> None:
    certificate = {"subject": {"O": "Adobe Inc.", "CN": "cai-prod"}, "issuer": {"O": "Adobe", "CN": "G3"}}
    stamp = {"timestamp": "2024-09-12T15:58:39+00:00", "certificateInfo": {"subject": {"O": "DigiCert", "CN": "Responder"}}}
    made = {
        "action": "c2pa.created",
        "when": "2024-09-12T15:00:00Z",
        "softwareAgent": {"name": "Firefly", "version": "4"},
        "digitalSourceType": "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia",
        "parameters": {"name": "gradient"},
    }
    found = read(
        manifest(
            "a",
            taken("b", "parentOf"),
            taken(None),
            assertions={"c2pa.actions.v2": {"actions": [made]}},
            signature={"certificateInfo": certificate, "timeStampInfo": stamp},
            **{"claim.v2": {"dc:title": "Export", "claim_generator_info": {"name": "Premiere", "version": "25"}}},
        ),
        manifest("b"),
    )
    first, second = found.manifests
    assert (first.label, first.title, first.signer, first.issuer) == ("a", "Export", "Adobe Inc. / cai-prod", "Adobe / G3")
    assert (first.signed_at, first.time_stamped_by) == ("2024-09-12T15:58:39+00:00", "DigiCert / Responder")
    assert first.generator == "Premiere 25"
    assert first.actions == (Action("c2pa.created", "2024-09-12T15:00:00Z", "Firefly 4", "trainedAlgorithmicMedia", "gradient"),)
    assert first.ingredients == (
        Ingredient("parentOf", "b.jpg", "image/jpeg", names_manifest=True, manifest=2),
        Ingredient("componentOf", "None.jpg", "image/jpeg"),
    )
    assert (second.label, second.ingredients, found.left_out_manifests) == ("b", (), 0)


def test_every_way_to_name_the_software_is_read() -> None:
    claims: list[tuple[dict[str, Any], str]] = [
        ({"claim": {"claim_generator": "Photoshop/25"}}, "Photoshop/25"),
        ({"claim": {"claim_generator": "x/1", "claim_generator_info": [{"name": "X", "version": "1"}, {"name": "lib"}]}}, "X 1, lib"),
        ({"claim.v2": {"claim_generator_info": {"name": "Sora"}}}, "Sora"),
    ]
    for claim, expected in claims:
        assert read({"label": "a", **claim}).manifests[0].generator == expected
    actions = [{"softwareAgent": "Firefly"}, {"softwareAgent": {"name": "Sora"}}, {"softwareAgentIndex": 1}, {"softwareAgentIndex": 7}]
    assertion = {"actions": actions, "softwareAgents": [{"name": "no"}, {"name": "Veo", "version": "3"}]}
    (only,) = read(manifest("a", assertions={"c2pa.actions.v2": assertion})).manifests
    assert [action.agent for action in only.actions] == ["Firefly", "Sora", "Veo 3", None]


def test_actions_of_several_assertions_and_manifests_are_all_kept_in_order() -> None:
    labels = ("c2pa.actions", "c2pa.actions__2", "c2pa.actions__10")
    assertions = {label: {"actions": [{"action": label}]} for label in reversed(labels)}
    first, second = read(manifest("a", taken("b"), assertions=assertions), manifest("b", assertions=assertions)).manifests
    assert [action.name for action in first.actions] == [action.name for action in second.actions] == list(labels)


def test_ten_thousand_ingredients_are_counted_and_the_first_kept_parents_before_parts() -> None:
    found = read(manifest("a", *(taken(None) for _ in range(9_999)), taken("b", "parentOf")), manifest("b"))
    first = found.manifests[0]
    assert len(first.ingredients) == INGREDIENTS
    assert first.left_out_ingredients == 10_000 - INGREDIENTS
    assert first.ingredients[0].manifest == 2


def test_a_manifest_reached_by_two_ways_is_kept_once_and_layers_of_them_take_no_time() -> None:
    found = read(manifest("a", taken("b"), taken("c")), manifest("b", taken("d")), manifest("c", taken("d")), manifest("d"))
    assert [item.label for item in found.manifests] == list("abcd")
    assert [item.manifest for m in found.manifests[1:3] for item in m.ingredients] == [4, 4]
    layers = [manifest(f"m{n}{side}", taken(f"m{n + 1}a"), taken(f"m{n + 1}b")) for n in range(5_000) for side in "ab"]
    deep = read(manifest("top", taken("m0a"), taken("m0b")), *layers)
    assert (len(deep.manifests), deep.left_out_manifests) == (MANIFESTS, 10_001 - MANIFESTS)


def test_rings_end() -> None:
    found = read(manifest("a", taken("b"), taken("a")), manifest("b", taken("a")))
    assert [[item.manifest for item in m.ingredients] for m in found.manifests] == [[2, 1], [1]]


def test_the_nearest_are_kept_first_and_what_nothing_leads_to_comes_last() -> None:
    chain = [manifest(f"m{n}", taken(f"m{n + 1}")) for n in range(10_000)]
    found = read(manifest("a", taken("m0"), taken("near")), manifest("loose"), *chain, manifest("near"))
    assert [item.label for item in found.manifests][:4] == ["a", "m0", "near", "m1"]
    assert "loose" not in [item.label for item in found.manifests]
    assert [item.label for item in read(manifest("a", taken("b")), manifest("loose"), manifest("b")).manifests] == ["a", "b", "loose"]


def test_an_ingredient_whose_manifest_is_not_in_the_file_is_told_from_one_without() -> None:
    (only,) = read(manifest("a", taken("gone"), taken(None))).manifests
    assert [(item.names_manifest, item.manifest) for item in only.ingredients] == [(True, None), (False, None)]


@pytest.mark.parametrize(
    ("results", "state"),
    [
        (checked(success=("signingCredential.trusted",)), State.TRUSTED),
        (checked(failure=("signingCredential.untrusted",)), State.UNTRUSTED),
        (checked(), State.UNTRUSTED),
        ({}, State.UNTRUSTED),
        (checked(("signingCredential.trusted",), ("assertion.dataHash.mismatch",)), State.TAMPERED),
        (checked(failure=("signingCredential.ocsp.revoked",)), State.REVOKED),
        (checked(failure=("assertion.action.malformed",)), State.MALFORMED),
    ],
)
def test_each_manifest_stands_by_itself(results: dict[str, Any], state: State) -> None:
    first, second = read(manifest("a", taken("b"), **checked(success=("signingCredential.trusted",))), manifest("b", **results)).manifests
    assert (first.state, second.state) == (State.TRUSTED, state)


def test_what_the_taker_recorded_is_held_against_the_part_for_the_validator_leaves_it_out() -> None:
    trusted = checked(success=("signingCredential.trusted", "timeStamp.trusted"))
    recorded = taken("b", validationStatus=[{"code": "claimSignature.mismatch"}, {"code": "timeStamp.mismatch"}])
    first, second = read(manifest("a", recorded, **trusted), manifest("b", **trusted)).manifests
    assert first.ingredients[0].recorded == ("claimSignature.mismatch", "timeStamp.mismatch")
    assert (second.state, second.codes) == (State.TAMPERED, ("claimSignature.mismatch",))
    newer = taken(
        "b",
        validationResults={
            "activeManifest": {"failure": [{"code": "signingCredential.untrusted"}], "informational": [{"code": "timeStamp.untrusted"}]}
        },
    )
    silent = read(manifest("a", newer), manifest("b", **checked())).manifests[1]
    assert (silent.state, silent.codes) == (State.UNTRUSTED, ("timeStamp.untrusted",)), "whom the taker trusted is no finding of ours"
    vouched = read(manifest("a", newer), manifest("b", **trusted)).manifests[1]
    assert (vouched.state, vouched.codes) == (State.TRUSTED, ()), "a list loaded now goes before a doubt of then"
    revoked = taken("b", validationStatus=[{"code": "signingCredential.ocsp.revoked"}])
    assert read(manifest("a", revoked), manifest("b", **trusted)).manifests[1].state == State.REVOKED


def test_a_part_cannot_slander_the_whole() -> None:
    trusted = checked(success=("signingCredential.trusted",))
    slander = taken("a", validationStatus=[{"code": "claimSignature.mismatch"}])
    assert read(manifest("a", taken("b"), **trusted), manifest("b", slander)).manifests[0].state == State.TRUSTED


@pytest.mark.parametrize("text", ["", "x" * 10_000, WIDE * 500, "é" * 10_000, "\x1b[31m\u202e<script>", "\\\"'" * 100, "\ud800"])
@pytest.mark.parametrize(("count", "ingredients"), [(1, 200), (100, 50)])
def test_whatever_a_file_holds_its_history_stays_within_its_bytes(text: str, count: int, ingredients: int) -> None:
    found = hostile(text, count=count, ingredients=ingredients)
    assert json_bytes(found.to_json()) <= HISTORY_BYTES
    assert len(found.manifests) + found.left_out_manifests == count
    for item in found.manifests:
        assert len(item.actions) + item.left_out_actions == 100
        assert len(item.ingredients) + item.left_out_ingredients == ingredients
    texts = json.dumps(found.to_json(), ensure_ascii=False)
    assert texts.isprintable()
    assert History.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_one_manifest_cannot_use_up_the_bytes_so_that_the_next_is_hidden() -> None:
    alone = hostile(WIDE * 500, count=1, ingredients=50)
    assert (len(alone.manifests[0].actions), len(alone.manifests[0].ingredients)) == (ACTIONS, INGREDIENTS)
    assert json_bytes(alone.to_json()) < HISTORY_BYTES * 3 / 4
    assert len(hostile(WIDE * 500, count=100, ingredients=50).manifests) > 10


def test_shapes_that_no_specification_knows_are_passed_over() -> None:
    assert history_of({}) == history_of({"manifests": None}) == history_of({"manifests": []}) == History()
    odd: list[Any] = ["x", {"label": 3}, {"label": [], "assertions": [1], "signature": 7, "claim": "c", "validationResults": []}]
    wrong = {"action": 1, "when": [], "softwareAgent": 3, "digitalSourceType": {}, "parameters": "p", "softwareAgentIndex": -1}
    assertions = {"c2pa.actions": {"actions": [wrong, None]}, "c2pa.ingredient__x": 7, "c2pa.ingredient__99999999999999999999": {}}
    odd.append({"label": "a", "assertions": assertions | {"c2pa.ingredient": {"relationship": [], "activeManifest": {"url": 4}}}})
    found = read(*odd)
    assert len(found.manifests) == 4
    assert found.manifests[3].actions == (Action(None), Action(None))
    assert found.manifests[3].ingredients == (Ingredient(None),) * 3


def test_a_history_that_refers_to_nothing_is_refused() -> None:
    value = read(manifest("a", taken("b")), manifest("b")).to_json()
    with pytest.raises(ValueError, match="not there"):
        History.from_json(value | {"manifests": value["manifests"][:1]})
    with pytest.raises(TypeError):
        History.from_json(value | {"colour": "red"})
    with pytest.raises(KeyError):
        History.from_json({})

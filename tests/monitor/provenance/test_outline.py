"""The tree as it is drawn, and its words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from monitor.provenance.history import Action, History, Ingredient, Manifest
from monitor.provenance.outline import (
    DEPTH,
    Node,
    actions,
    facts,
    heading,
    ingredient_words,
    left_out,
    left_out_of,
    outline,
    recorded_words,
    state_words,
)
from monitor.provenance.types import State


def history(*targets: Sequence[int | None], left_out: int = 0) -> History:
    """One manifest for each argument, with one ingredient for each number in it."""
    return History(
        tuple(
            Manifest(f"m{place}", State.UNTRUSTED.value, ingredients=tuple(Ingredient("parentOf", manifest=number) for number in numbers))
            for place, numbers in enumerate(targets, 1)
        ),
        left_out,
    )


def walk(nodes: Sequence[Node], level: int = 1) -> Iterator[tuple[int, int]]:
    for node in nodes:
        yield node.number, level
        yield from walk([branch.node for branch in node.branches if branch.node], level + 1)


def test_a_manifest_reached_twice_is_drawn_once_and_referred_to() -> None:
    (root,) = outline(history([2, 3], [4], [4], []))
    assert list(walk([root])) == [(1, 1), (2, 2), (4, 3), (3, 2)]
    assert root.branches[1].node
    assert root.branches[1].node.branches[0].instead == "see [4]"


def test_rings_end() -> None:
    (root,) = outline(history([2, 1], [1]))
    assert [branch.instead for branch in root.branches] == [None, "see [1]"]


@pytest.mark.parametrize("length", [1, DEPTH, DEPTH + 1, 40])
def test_a_long_chain_goes_on_in_another_tree_and_loses_nothing(length: int) -> None:
    drawn = list(walk(outline(history(*([place + 1] for place in range(1, length)), []))))
    assert sorted(number for number, _ in drawn) == list(range(1, length + 1))
    assert max(level for _, level in drawn) == min(length, DEPTH)


def test_what_nothing_leads_to_has_a_tree_of_its_own() -> None:
    assert [node.number for node in outline(history([], []))] == [1, 2]
    assert outline(History()) == ()


def test_an_ingredient_says_why_nothing_is_beneath_it() -> None:
    without, gone = Ingredient("parentOf"), Ingredient("parentOf", names_manifest=True)
    one = Manifest("a", State.UNTRUSTED.value, ingredients=(without, gone))
    assert [branch.instead for branch in outline(History((one,)))[0].branches] == [
        "has no manifest of its own",
        "its manifest is not in the file",
    ]
    assert outline(History((one,), 3))[0].branches[1].instead == "its manifest is left out here or not in the file"
    assert left_out(History((one,), 3)) == "3 more manifests in the file, not shown"
    assert left_out(History((one,))) is None


def test_names_are_claims_unless_somebody_vouches_for_the_signer() -> None:
    def signed(state: State, *codes: str) -> list[tuple[str, str]]:
        return facts(Manifest("a", state.value, None, "OpenAI", "Truepic", "2026-02-25T02:24:52+00:00", "DigiCert", "Sora", codes))

    assert signed(State.TRUSTED) == [
        ("Signed by", "OpenAI"),
        ("Certified by", "Truepic"),
        ("Time-stamp", "2026-02-25T02:24:52+00:00 by DigiCert"),
        ("Written with", "Sora"),
    ]
    assert signed(State.UNTRUSTED, "signingCredential.untrusted", "timeStamp.untrusted") == [
        ("Names as signer", "OpenAI"),
        ("Names as issuer", "Truepic"),
        ("Time-stamp", "2026-02-25T02:24:52+00:00 by DigiCert, for which no list vouches"),
        ("Says it was written with", "Sora"),
        ("Check", "No loaded trust list vouches for the certificate."),
    ]
    assert ("Check", "The signature does not fit the claim.") in signed(State.TAMPERED, "claimSignature.mismatch")


def test_a_bare_manifest_says_what_it_lacks() -> None:
    assert facts(Manifest("a", State.UNTRUSTED.value)) == [
        ("Names as signer", "nobody"),
        ("Time-stamp", "none, so nothing shows when it was signed"),
        ("Check", "Nothing here vouches for its signer."),
    ]


@pytest.mark.parametrize(
    ("code", "words"), [("timeStamp.mismatch", "does not fit the signature"), ("timeStamp.malformed", "cannot be read")]
)
def test_a_broken_time_stamp_is_no_time(code: str, words: str) -> None:
    found = dict(facts(Manifest("a", State.UNTRUSTED.value, time_stamped_by="DigiCert", codes=(code,))))
    assert found["Time-stamp"] == f"{words}; it names DigiCert"


def test_actions_say_what_from_what_with_what_and_when_and_repeats_are_counted() -> None:
    made = Action("c2pa.created", "2026-01-01T00:00:00Z", "Sora", "trainedAlgorithmicMedia", "a prompt")
    placed, custom = Action("c2pa.placed"), Action("com.example.own_thing", source="newTerm")
    assert actions(Manifest("a", "untrusted", actions=(made, placed, placed, placed, custom, Action(None)))) == [
        ("created", "source trainedAlgorithmicMedia (made by AI)", "with Sora", "at 2026-01-01T00:00:00Z", "“a prompt”"),
        ("placed", "3 times"),
        ("com.example.own_thing", "source newTerm"),
        ("an action without a name",),
    ]


def test_ingredients_in_words() -> None:
    assert ingredient_words(Ingredient("parentOf", "A.jpg", "image/jpeg")) == "Made from (parentOf): A.jpg, image/jpeg"
    assert ingredient_words(Ingredient("componentOf")) == "Contains (componentOf): without a title"
    assert ingredient_words(Ingredient("inputTo", "prompt")) == "Used as input (inputTo): prompt"
    assert ingredient_words(Ingredient(None, "x")) == "Ingredient (no relationship given): x"


def test_what_a_taker_recorded_is_told_unless_it_is_a_matter_of_trust() -> None:
    assert recorded_words(Ingredient("parentOf", recorded=("signingCredential.untrusted", "timeStamp.mismatch"))) is None
    recorded = recorded_words(Ingredient("parentOf", recorded=("claimSignature.mismatch", "timeStamp.mismatch")))
    assert recorded == "Had already failed when it was taken in, its taker recorded: The signature does not fit the claim."


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ((0, 0), None),
        ((1, 0), "1 more action, not shown"),
        ((0, 9_968), "9,968 more ingredients, not shown"),
        ((2, 1), "2 more actions and 1 more ingredient, not shown"),
    ],
)
def test_what_was_left_out_is_counted(counts: tuple[int, int], words: str | None) -> None:
    assert left_out_of(Manifest("a", "untrusted", left_out_actions=counts[0], left_out_ingredients=counts[1])) == words


def test_headings_name_the_file_and_every_state_has_words() -> None:
    (this, other) = outline(history([], []))
    assert (heading(this), heading(other)) == ("This file", "Another manifest in the file")
    assert heading(Node(1, Manifest("a", "trusted", title="clip.mp4"), ())) == "This file: clip.mp4"
    told = {state_words(Manifest("a", state.value)) for state in (State.TRUSTED, State.UNTRUSTED, State.TAMPERED, State.REVOKED)}
    assert len(told) == 4
    assert state_words(Manifest("a", "of a later release")) == "of a later release"

"""Whatever policy is taken: it assesses any facts, and flags no video in which nobody was found."""

from __future__ import annotations

import itertools
import json
import math
from datetime import date
from typing import Any

from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from monitor.base.errors import PolicyError
from monitor.decision.facts import Facts, SignalCode
from monitor.decision.policy import Assessment, Policy, assess, assess_again, assess_nobody, default_policy, parse

SHIPPED = YAML(typ="safe").load(default_policy().text)
NUMBERS = st.floats() | st.floats(-60, 60) | st.integers(-60, 60) | st.sampled_from([0, -0.0, 1e308, "2.5", True, None])
PIECES = st.sampled_from([*(f"{{{name}}}" for name in Facts.__dataclass_fields__), "{{", "}}", "{score:.2f}", "{score!x}", "{}", "{", "}"])
SENTENCES = st.lists(PIECES | st.text(max_size=5), max_size=5).map("".join)
WORDS = st.none() | st.text(max_size=8) | st.sampled_from(["{name}", "{", "}", "\0"])


@st.composite
def texts(draw: st.DrawFn) -> str:
    """The shipped policy with a few settings changed, so that a good part is taken."""
    tree: dict[str, Any] = json.loads(json.dumps(SHIPPED))
    for where in draw(st.lists(st.sampled_from(["prior", "flag_at", "matching", "weight", "text", "all weights"]), max_size=4)):
        match where:
            case "prior" | "flag_at":
                tree[where] = draw(NUMBERS | st.floats(0, 1))
            case "matching":
                tree["matching"][draw(st.sampled_from(list(tree["matching"])))] = draw(NUMBERS)
            case "weight" | "text":
                tree["signals"][draw(st.sampled_from(list(SignalCode)))][where] = draw(NUMBERS if where == "weight" else SENTENCES)
            case _:
                sizes = draw(st.lists(st.floats(0, 50), min_size=len(SignalCode), max_size=len(SignalCode)))
                for weighing, size in zip(tree["signals"].values(), sizes, strict=True):
                    weighing["weight"] = math.copysign(size, weighing["weight"])
    return json.dumps(tree)  # JSON is YAML


FACTS = st.builds(
    Facts,
    name=st.text(max_size=8) | st.just("{name!r:>9}"),
    deceased_on=st.none() | st.dates(),
    score=st.floats(0, 1),
    frames=st.integers(0, 10**6),
    seconds=st.floats(0, 1e6),
    ranges=st.text(max_size=8),
    state=st.sampled_from(["absent", "trusted", "untrusted", "tampered", "revoked", "malformed"]),
    ai=st.sampled_from(["unknown", "fully", "partly", "may", "captured"]),
    metadata_ai=st.sampled_from(["unknown", "fully", "partly", "captured"]),
    signer=WORDS, trust_list=WORDS, account=WORDS, consent=WORDS, metadata_where=WORDS, stripped=WORDS, watermark=WORDS,
    mark_score=st.floats(0, 1),
    recorded=WORDS,
    synthetic=st.none() | st.floats(0, 1),
    probe_basis=WORDS, breach=WORDS,
    z=st.none() | st.floats(-100, 100),
)  # fmt: skip


def taken(text: str, *, of_before: bool) -> Policy | None:
    try:
        policy = parse(text, "drawn", of_before=of_before)
    except PolicyError:
        event("refused")
        return None
    event("taken")
    return policy


@settings(max_examples=100, deadline=None, phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck))
@given(texts(), st.lists(FACTS, min_size=1, max_size=4), st.booleans())
def test_a_policy_that_is_taken_assesses_any_facts_and_never_flags_where_nobody_was_found(
    text: str, many: list[Facts], of_before: bool
) -> None:
    if (policy := taken(text, of_before=of_before)) is None:
        return
    for facts in many:
        for found in (assess(facts, policy), assess_again(facts, policy)):
            assert isinstance(found, Assessment)
            assert 0 <= found.risk <= 1
            assert found.flagged is (found.risk >= policy.flag_at) or found == assess_nobody(policy)
    nobody = assess_nobody(policy)
    assert not nobody.flagged
    assert of_before or nobody.risk < policy.flag_at


EVERY_KIND = tuple(
    Facts("N", died, score, frames, 1.0, "", state, ai, None, None, None, consent, metadata_ai=metadata_ai, stripped=other, watermark=other,
          mark_score=1.0, recorded=recorded, synthetic=None if other is None else 1.0, breach=breach)
    for died, score, frames, state, ai, metadata_ai, (consent, breach), other, recorded in itertools.product(
        (None, date(2020, 1, 1)),
        (0.5, 1.0),
        (1, 8),
        ("absent", "trusted", "tampered", "revoked"),
        ("unknown", "fully", "partly", "may", "captured"),
        ("unknown", "fully", "partly"),
        ((None, None), ("c", None), (None, "b")),
        (None, "x"),
        (None, "r"),
    )
)  # fmt: skip


@settings(max_examples=40, phases=[Phase.explicit, Phase.generate], deadline=None, suppress_health_check=list(HealthCheck))
@given(texts())
def test_a_policy_that_is_refused_for_flagging_nothing_or_everything_does_so(text: str) -> None:
    refusal = refused(text)
    if refusal is None:
        return
    assert refusal.thing.removeprefix("drawn:").replace(":", "").isdigit()
    if "nothing is ever flagged" in refusal.reason or "whoever is found is flagged" in refusal.reason:
        policy = parse(text, "drawn", of_before=True)
        assert {assess(facts, policy).flagged for facts in EVERY_KIND} == {"whoever is found" in refusal.reason}


def refused(text: str) -> PolicyError | None:
    try:
        parse(text, "drawn")
    except PolicyError as error:
        return error
    return None

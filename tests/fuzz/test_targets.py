"""Each target for a moment, with the same inputs each time; `make fuzz` goes on for longer, with others."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.mutate import mutated
from tests.fuzz.targets import TARGETS

EXAMPLES = 100


@pytest.mark.parametrize("name", TARGETS)
def test_seeds(name: str) -> None:
    for content in TARGETS[name].seeds():
        TARGETS[name].run(content)


@pytest.mark.parametrize("name", TARGETS)
def test_whatever_the_bytes(name: str) -> None:
    target = TARGETS[name]
    seeds = target.seeds()

    @settings(max_examples=EXAMPLES, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.binary(max_size=300) | st.integers(0, 2**32).map(lambda seed: mutated(seeds, random.Random(seed))))
    def run(content: bytes) -> None:
        target.run(content)

    run()


def test_mutations_are_the_same_for_the_same_seed_and_differ_from_what_they_were_made_of() -> None:
    seeds = TARGETS["crjson"].seeds()
    made = [mutated(seeds, random.Random(number)) for number in range(50)]
    assert made == [mutated(seeds, random.Random(number)) for number in range(50)]
    assert sum(content not in seeds for content in made) > 40

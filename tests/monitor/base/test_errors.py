"""Every error says whose fault it is, and whether it passes by itself: by its type, and each once."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator

import pytest

import indexes
import monitor
import streams
from monitor.base import errors
from monitor.base.errors import PermanentError, PostFault, SosieError, SosieFault, SourceFault, TransientError, UnforeseenFault

FAULTS = (PostFault, SourceFault, SosieFault)
PASSING = (PermanentError, TransientError)
BASES = {*FAULTS, *PASSING, UnforeseenFault}


def _below(kind: type[SosieError]) -> Iterator[type[SosieError]]:
    for each in kind.__subclasses__():
        yield each
        yield from _below(each)


@pytest.fixture(scope="module")
def kinds() -> list[type[SosieError]]:
    """Every error of the code, wherever it is defined: so every module is imported."""
    for package in (indexes, monitor, streams):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if ".migrations." not in module.name:
                importlib.import_module(module.name)
    return [
        kind
        for kind in dict.fromkeys(_below(SosieError))
        if kind not in BASES and kind.__module__.startswith(("monitor", "indexes", "streams"))
    ]


def test_every_error_is_of_the_post_its_source_or_sosie_and_either_passes_or_does_not(kinds: list[type[SosieError]]) -> None:
    assert len(kinds) > 25
    undecided = {kind.__name__ for kind in kinds if sum(issubclass(kind, fault) for fault in FAULTS) != 1}
    assert undecided == set(), "an error must say whose fault it is: derive it from one of PostFault, SourceFault, SosieFault"
    unclear = {kind.__name__ for kind in kinds if sum(issubclass(kind, each) for each in PASSING) != 1}
    assert unclear == set(), "an error must say whether it passes by itself: derive it from PermanentError or TransientError"


def test_codes_are_of_one_error_each(kinds: list[type[SosieError]]) -> None:
    codes = [kind.code for kind in kinds]
    assert sorted(set(codes)) == sorted(codes)
    assert all(re.fullmatch("[a-z_]{1,60}", code) for code in codes)


def test_the_table_names_every_error_under_its_own_fault(kinds: list[type[SosieError]]) -> None:
    table = (errors.__doc__ or "").split("\n    ")
    named: dict[str, str] = {}
    base = ""
    for line in table:
        if (head := re.match(r"(\w+Fault) ", line)) is not None:
            base = head[1]
        named |= {word: base for word in re.findall(r"\b[A-Z]\w+\b", line) if hasattr(errors, word) and not word.endswith("Fault")}
    for kind in kinds:
        if kind.__module__ in ("monitor.base.errors", "indexes.errors"):
            assert named.get(kind.__name__), f"{kind.__name__} is not in the table of monitor/base/errors.py"
            assert issubclass(kind, getattr(errors, named[kind.__name__])), kind.__name__
            assert issubclass(kind, UnforeseenFault) == (named[kind.__name__] == "UnforeseenFault")

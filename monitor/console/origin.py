"""The history a file tells of itself, for templates: the tree and the words are those that `sosie provenance` prints."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from monitor.provenance.outline import (
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

OPEN_LEVELS = 2
"""Manifests down to this level are open when the page is; those below wait for a click."""

OPEN_ITEMS = 8
"""So many actions or ingredients of one manifest are open; more wait for a click."""

FILTERS: dict[str, Callable[..., Any]] = {
    "actions": actions,
    "facts": facts,
    "heading": heading,
    "ingredient_words": ingredient_words,
    "left_out": left_out,
    "left_out_of": left_out_of,
    "outline": outline,
    "recorded_words": recorded_words,
    "state_words": state_words,
}

GLOBALS = {"OPEN_LEVELS": OPEN_LEVELS, "OPEN_ITEMS": OPEN_ITEMS}

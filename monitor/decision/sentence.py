"""Sentences of a policy: templates whose `{placeholders}` are the fields of `Facts`. Pure.

A template holds plain `{name}` alone, so that whatever the facts are, it becomes a sentence: no format (`{score:.2f}`), no conversion
(`{score!r}`), no attribute or index. Facts come in as words already, numbers rounded, None as "unknown".
"""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from monitor.decision.facts import Facts

_PLACEHOLDERS = tuple(sorted(Facts.__dataclass_fields__))
_WIDEST = 200


def mistake_in(template: str, *, of_before: bool = False) -> tuple[str, str] | None:
    """The first mistake of a template: the piece of it that is wrong, and the reason. None: it has none.

    Earlier releases (`of_before`) let characters that cannot be shown pass, and formats.
    """
    if not of_before and (unseen := next((char for char in template if not (char.isprintable() or char in "\n\t")), None)):
        return unseen, f"the sentence holds {unseen!a}, which cannot be shown"
    try:
        pieces = list(string.Formatter().parse(template))
    except ValueError as error:
        return "{" if "{" in template else "}", f"the sentence is not a template: {error}; write {{{{ and }}}} for braces themselves"
    for _, name, spec, conversion in pieces:
        if name is None:
            continue
        if name not in _PLACEHOLDERS:
            return f"{{{name}", f"{{{name}}} is not known; use {', '.join(_PLACEHOLDERS)}"
        if (spec or conversion) and not of_before:
            written = f"{{{name}{f'!{conversion}' if conversion else ''}{f':{spec}' if spec else ''}}}"
            return f"{{{name}", f"{written} asks for a format; write {{{name}}}, which is rounded already"
    return None


def written(template: str, words: Mapping[str, str]) -> str:
    """The template with its placeholders filled; never raises. Formats, which an earlier release may have stored, count if they fit."""
    try:
        return _Lenient().vformat(template, (), words)
    except ValueError:  # formats within formats
        return template


def words_of(facts: Facts) -> dict[str, str]:
    """The words for each placeholder."""
    words = {name: "unknown" if value is None else str(value) for name, value in asdict(facts).items()}
    if facts.deceased_on is not None:
        words["deceased_on"] = f"{facts.deceased_on.day} {facts.deceased_on:%B %Y}"
    words["score"] = f"{facts.score:.2f}"
    words["mark_score"] = f"{facts.mark_score:.2f}"
    words["recorded"] = facts.recorded or "a trusted credential says that a camera recorded this"
    words["synthetic"] = "unknown" if facts.synthetic is None else f"{facts.synthetic:.2f}"
    words["seconds"] = f"{facts.seconds:.1f}"
    words["signer"] = f"signed by {facts.signer}" if facts.signer else "the signer is not named"
    return words


class _Lenient(string.Formatter):
    """Fills placeholders, and leaves out each format or conversion that does not fit words."""

    def get_field(self, field_name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        return kwargs.get(field_name, "unknown"), field_name

    def convert_field(self, value: Any, conversion: str | None) -> Any:
        return super().convert_field(value, conversion) if conversion in {"s", "r", "a"} else value

    def format_field(self, value: Any, format_spec: str) -> Any:
        width = "".join(filter(str.isdigit, format_spec))[:9]
        try:
            return value if width and int(width) > _WIDEST else format(value, format_spec)
        except ValueError:
            return value

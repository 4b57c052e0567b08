"""What commands, options and settings the source names to people: read from the syntax tree, whatever raises or prints them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[3]
_FOLDERS = ("monitor", "streams", "indexes")
_MAY_NAME = re.compile(r"`|SOSIE_")  # reading the rest would take seconds, in each process that collects tests
_EXPLAINING = {"description", "help"}
"""Keywords whose text says what a thing is, not what to do."""


def named(pattern: str) -> dict[str, list[str]]:
    """What `pattern` finds in texts told to people, and where; `{}` stands for what is filled in."""
    found: dict[str, list[str]] = {}
    for place, text in _told():
        for each in re.findall(pattern, text):
            found.setdefault(each, []).append(place)
    return found


@cache
def _told() -> list[tuple[str, str]]:
    """FILE:LINE and text of everything that the source tells people and that could name something."""
    files = [file for folder in _FOLDERS for file in sorted((ROOT / folder).rglob("*.py"))]
    sources = {file: file.read_text(encoding="utf-8") for file in files}
    return [
        (f"{file.relative_to(ROOT)}:{line}", text)
        for file, source in sources.items()
        if _MAY_NAME.search(source)
        for line, text in texts(ast.parse(source))
        if _MAY_NAME.search(text)
    ]


def texts(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every string, with its line, but docstrings and explanations of options."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue
        if isinstance(node, ast.keyword) and node.arg in _EXPLAINING:
            continue
        if isinstance(node, ast.JoinedStr):
            yield node.lineno, "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
            for part in node.values:
                if not isinstance(part, ast.Constant):
                    yield from texts(part)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value
        else:
            yield from texts(node)

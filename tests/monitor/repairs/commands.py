"""What commands, options and settings the source names to people: read from the syntax tree, whatever raises or prints them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[3]
_FOLDERS = ("monitor", "streams", "indexes")
_EXPLAINING = {"description", "help"}
"""Keywords whose text says what a thing is, not what to do."""


def named(pattern: str) -> dict[str, list[str]]:
    """What `pattern` finds in texts told to people, and where; `{}` stands for what is filled in."""
    found: dict[str, list[str]] = {}
    for folder in _FOLDERS:
        for file in sorted((ROOT / folder).rglob("*.py")):
            for line, text in texts(ast.parse(file.read_text(encoding="utf-8"))):
                for each in re.findall(pattern, text):
                    found.setdefault(each, []).append(f"{file.relative_to(ROOT)}:{line}")
    return found


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

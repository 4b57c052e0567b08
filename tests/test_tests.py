"""Every test can fail: it asserts, by itself or through a helper, and no assertion is true whatever the product does."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
_Function = ast.FunctionDef | ast.AsyncFunctionDef
_ASSERTING = {"raises", "fail", "warns", "expect"}


def parsed() -> dict[str, ast.Module]:
    return {str(path.relative_to(TESTS)): ast.parse(path.read_text(encoding="utf-8")) for path in sorted(TESTS.rglob("*.py"))}


def called(node: ast.AST) -> Iterator[str]:
    for each in ast.walk(node):
        if isinstance(each, ast.Call):
            yield each.func.attr if isinstance(each.func, ast.Attribute) else getattr(each.func, "id", "")


def asserts(node: ast.AST) -> bool:
    return any(isinstance(each, ast.Assert) for each in ast.walk(node)) or any(name in _ASSERTING for name in called(node))


def functions(trees: dict[str, ast.Module]) -> list[tuple[str, _Function]]:
    return [(file, node) for file, tree in trees.items() for node in ast.walk(tree) if isinstance(node, _Function)]


def helpers_that_assert(found: list[tuple[str, _Function]]) -> set[str]:
    """By name, and those that call one of them."""
    known = {node.name for _, node in found if asserts(node)}
    while more := {node.name for _, node in found if node.name not in known and known.intersection(called(node))}:
        known |= more
    return known


def without_assertion(trees: dict[str, ast.Module]) -> list[str]:
    found = functions(trees)
    known = helpers_that_assert(found)
    tests = [
        (file, node) for file, node in found if node.name.startswith("test_") or (file == "fuzz/targets.py" and node.name in fuzzed(trees))
    ]
    return [f"{file}:{node.lineno} {node.name}" for file, node in tests if not asserts(node) and not known.intersection(called(node))]


def fuzzed(trees: dict[str, ast.Module]) -> set[str]:
    calls = [each for each in ast.walk(trees["fuzz/targets.py"]) if isinstance(each, ast.Call) and getattr(each.func, "id", "") == "Target"]
    return {call.args[0].id for call in calls if isinstance(call.args[0], ast.Name)}


def cannot_fail(trees: dict[str, ast.Module]) -> list[str]:
    found = [
        (file, node.lineno, why)
        for file, tree in trees.items()
        for node in ast.walk(tree)
        if (why := _why(node.test) if isinstance(node, ast.Assert) else _too_wide(node)) is not None
    ]
    return [f"{file}:{line} {why}" for file, line, why in found]


def _why(test: ast.expr) -> str | None:
    match test:
        case ast.Constant() | ast.Tuple(elts=[_, *_]):
            return "is a constant"
        case ast.Compare(left=left, comparators=[right]) if ast.dump(left) == ast.dump(right):
            return "is compared with itself"
        case ast.BoolOp(op=ast.Or(), values=values) if any(isinstance(value, ast.Constant) for value in values):
            return "or a constant"
        case ast.BoolOp(op=ast.Or(), values=values) if sum(_is_in(value) for value in values) > 1:
            return "takes one of two texts"
    return None


def _is_in(value: ast.expr) -> bool:
    return isinstance(value, ast.Compare) and isinstance(value.ops[0], ast.In)


def _too_wide(node: ast.AST) -> str | None:
    if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "raises" and node.args:
        return "takes any error" if getattr(node.args[0], "id", "") in {"Exception", "BaseException"} else None
    return None


def test_every_test_and_every_fuzz_target_asserts_something() -> None:
    trees = parsed()
    assert sum(node.name.startswith("test_") for _, node in functions(trees)) > 1000
    assert len(fuzzed(trees)) > 10
    assert without_assertion(trees) == []


def test_no_assertion_holds_whatever_the_product_does() -> None:
    assert cannot_fail(parsed()) == []


@pytest.mark.parametrize(
    "wrong",
    [
        "assert True",
        "assert (1, 2)",
        "assert kept() is kept()",
        "assert x or True",
        "assert 'a' in x or 'b' in x",
        "with pytest.raises(Exception): f()",
    ],
)
def test_the_check_sees_each_kind(wrong: str) -> None:
    trees = {"fuzz/targets.py": ast.parse(f"def test_it():\n    {wrong}")}
    assert len(cannot_fail(trees)) == 1
    assert without_assertion(trees) == []
    assert len(without_assertion({"fuzz/targets.py": ast.parse("def test_it():\n    made()\ndef made():\n    return 1")})) == 1


def test_the_check_sees_a_fuzz_target_without_an_assertion() -> None:
    trees = {"fuzz/targets.py": ast.parse("def _a(content):\n    read(content)\nTARGETS = {'a': Target(_a, seeds)}")}
    assert without_assertion(trees) == ["fuzz/targets.py:1 _a"]


def test_each_long_test_names_a_slice_of_it_that_runs_in_every_run() -> None:
    named, wholly_long, silent = set(), set(), []
    for path in sorted(TESTS.rglob("test_*.py")):
        lines = path.read_text(encoding="utf-8").split("\n")
        file = str(path.relative_to(TESTS.parent))
        wholly_long |= {file for line in lines if line.startswith("pytestmark") and "pytest.mark.long" in line}
        named |= {(file, each) for line in lines if "slice:" in line for each in re.findall(r"tests/[\w/]+\.py", line)}
        says = [number for number, line in enumerate(lines) if "slice:" in line]
        marked = [
            number for number, line in enumerate(lines) if line.startswith(("@pytest.mark.long", "pytestmark")) and "mark.long" in line
        ]
        silent += [f"{file}:{number + 1}" for number in marked if not {number, number - 1} & {*says}]
    assert silent == [], "say what runs of it in `make test`: `# its slice: …`"
    assert len(named) > 10
    assert [(file, each) for file, each in sorted(named) if not (TESTS.parent / each).exists() or each in wholly_long] == []

"""What is imported is declared: a distribution that only comes along with another may go with its next version."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
OURS = {"monitor", "streams", "indexes", "tests", "bench", "tools"}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(requirements: list[str]) -> set[str]:
    return {normal(re.split(r"[\[<>=!~; ]", each, maxsplit=1)[0]) for each in requirements}


def imported(folder: str) -> dict[str, str]:
    """Every top-level package that files of the folder import, wherever in them, and one file that does."""
    found: dict[str, str] = {}
    for file in sorted((ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_bytes())):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names = [node.module]
            else:
                continue
            for name in names:
                found.setdefault(name.partition(".")[0], str(file.relative_to(ROOT)))
    return {name: file for name, file in found.items() if name not in OURS | sys.stdlib_module_names}


SHIPPED = declared(
    [*PYPROJECT["project"]["dependencies"], *(each for extra in PYPROJECT["project"]["optional-dependencies"].values() for each in extra)]
)
DEVELOPING = SHIPPED | declared(PYPROJECT["dependency-groups"]["dev"])


@pytest.mark.parametrize("folder", ["monitor", "streams", "indexes"])
def test_what_is_shipped_declares_what_it_imports(folder: str) -> None:
    assert undeclared(folder, SHIPPED) == {}


@pytest.mark.parametrize("folder", ["tests", "bench", "tools"])
def test_what_is_only_run_here_declares_what_it_imports(folder: str) -> None:
    assert undeclared(folder, DEVELOPING) == {}


def undeclared(folder: str, names: set[str]) -> dict[str, str]:
    made_by = packages_distributions()
    packages = imported(folder)
    assert packages, "nothing was read"
    return {package: file for package, file in packages.items() if not {normal(each) for each in made_by.get(package, [package])} & names}

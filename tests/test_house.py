"""The house as ARCHITECTURE.md draws it: rooms only, each in the map, no file that holds two ideas. Floors and circles: import-linter."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import LOADED_BY_COLLECTION

ROOT = Path(__file__).parents[1]
ROOMS = sorted(path.name for path in (ROOT / "monitor").iterdir() if (path / "__init__.py").exists())


def test_monitor_holds_rooms_and_no_loose_file() -> None:
    assert [path.name for path in (ROOT / "monitor").glob("*.*")] == ["__init__.py"]
    assert 0 < len(ROOMS) <= 12


def test_every_room_is_in_the_map() -> None:
    drawn = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    missing = [room for room in ROOMS if f"monitor/{room}/" not in drawn]
    assert missing == []


def test_every_room_stands_on_a_floor() -> None:
    contracts = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    missing = [room for room in ROOMS if f"monitor.{room}" not in contracts.partition("layers = [")[2].partition("]")[0]]
    assert missing == []


def test_no_file_holds_two_ideas() -> None:
    folders = ("monitor", "streams", "indexes", "bench", "tools", "tests")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    long = {str(path.relative_to(ROOT)): lines for path in files if (lines := path.read_text(encoding="utf-8").count("\n")) > 400}
    assert len(files) > 400
    assert long == {}


def test_no_test_module_loads_torch_before_a_test_needs_it(pytestconfig: pytest.Config) -> None:
    """Every process of a test run imports all of them; torch alone takes seconds and half a gigabyte."""
    loaded = pytestconfig.stash[LOADED_BY_COLLECTION]
    if len([name for name in loaded if name.startswith("tests.") and ".test_" in name]) < 100:
        pytest.skip("FEW TEST MODULES LOADED: what the others import shows only in a run of all tests")
    assert loaded & {"torch", "open_clip", "facenet_pytorch", "onnxruntime"} == set()

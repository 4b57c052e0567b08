from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from monitor.cli.main import COMMANDS
from tests.monitor.household import sosie

NO_COMMANDS = {"__init__", "main", "output", "identity", "demonstration"}


def test_every_file_of_a_command_is_a_command() -> None:
    files = {file.stem for file in Path("monitor/cli").glob("*.py")} - NO_COMMANDS
    assert {command.replace("-", "_") for command in COMMANDS} == files


@pytest.mark.parametrize("command", COMMANDS)
def test_it_says_what_it_does(command: str) -> None:
    ran = sosie(command, "--help")
    assert ran.status == 0
    assert f"sosie {command}" in ran.out
    assert "--help" in ran.out


def test_one_that_does_not_exist_is_an_error() -> None:
    ran = sosie("scna")
    assert ran.status == 2
    assert "No such command 'scna'" in ran.err


@pytest.mark.parametrize("command", ["topics", "settings", "dead-letters"])
def test_a_command_that_looks_at_no_video_loads_nothing_for_it(command: str) -> None:
    """Starting takes a third of the time then."""
    code = (
        "import sys; from monitor.cli import main; sys.argv = ['sosie', sys.argv[1], '--help']\n"
        "try: main()\n"
        "finally: print(sorted({'torch', 'faiss', 'cv2', 'fastapi', 'alembic'} & set(sys.modules)), file=sys.stderr)"
    )
    ran = subprocess.run([sys.executable, "-c", code, command], capture_output=True, text=True, check=True)
    assert ran.stderr.strip() == "[]"

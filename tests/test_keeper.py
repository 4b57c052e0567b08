"""The run's servers outlive a process that crashes, and nothing outlives the run. PostgreSQL stands for both kinds: it starts sooner."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.keeper import stop_keepers

pytestmark = pytest.mark.postgres

RUN = """
import os, sys
from pathlib import Path
from tests.keeper import shared_address
print(shared_address(Path(sys.argv[1]), "postgresql"), flush=True)
sys.stdin.read()
"""


@contextmanager
def run(folder: Path, *, part_of_this: bool = False) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A test process, and the folder of the server it was given. `part_of_this`: as xdist starts one."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTEST_XDIST_WORKER"}
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, str(folder)],
        env=environment | ({"PYTEST_XDIST_WORKER": "gw0"} if part_of_this else {}),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[1],
    )
    try:
        assert process.stdout is not None
        yield process, Path(process.stdout.readline().strip())
    finally:
        process.kill()
        process.communicate()


def keeper(folder: Path) -> psutil.Process:
    return psutil.Process(json.loads((folder / "postgresql.keeper.json").read_text())["pid"])


def test_two_processes_of_a_run_share_one_server_which_ends_with_the_run_however_that_goes(tmp_path: Path) -> None:
    with run(tmp_path) as (first, server), run(tmp_path) as (_, same):
        assert server.is_dir()
        assert same == server
        kept = keeper(tmp_path)
        below = kept.children()
        assert any("postgres" in process.name() for process in below)
        first.kill()  # and nobody fetches its status
        gone, left = psutil.wait_procs([kept, *below], timeout=120)
    assert left == []
    assert len(gone) >= 2
    assert not server.exists()


def test_a_server_outlives_the_process_that_started_it_and_is_stopped_at_the_end_of_the_run(tmp_path: Path) -> None:
    """The process that stands for the run is this one: a crashed worker of xdist is a child that is gone."""
    with run(tmp_path, part_of_this=True) as (worker, server):
        kept = keeper(tmp_path)
        worker.kill()
        worker.wait()
        with run(tmp_path, part_of_this=True) as (_, same):
            assert same == server
            assert kept.is_running()
    stop_keepers(tmp_path)
    _, left = psutil.wait_procs([kept], timeout=120)
    assert left == []
    assert not server.exists()
    stop_keepers(tmp_path)

"""Downloads leave nothing behind, not even those of a process that was killed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from monitor.intake.scratch import clear, scratch_file

HOLD = """
import sys, time
from pathlib import Path
from monitor.intake.scratch import scratch_file
with scratch_file(Path(sys.argv[1])) as path:
    path.write_bytes(b"half a video")
    print("held", flush=True)
    time.sleep(600)
"""


def test_the_file_is_there_while_it_is_used_and_gone_after(tmp_path: Path) -> None:
    folder = tmp_path / "scratch"
    with scratch_file(folder) as path:
        path.write_bytes(b"bytes")
        assert list(folder.iterdir()) == [path]
    assert list(folder.iterdir()) == []


def test_a_failed_download_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), scratch_file(tmp_path):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_cleared_and_what_a_live_one_holds_is_not(tmp_path: Path) -> None:
    processes = [subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    try:
        for process in processes:
            assert process.stdout
            assert process.stdout.readline() == "held\n"
        assert clear(tmp_path) == 0
        processes[0].kill()
        processes[0].wait()
        assert len(list(tmp_path.iterdir())) == 2
        assert clear(tmp_path) == 1
        assert len(list(tmp_path.iterdir())) == 1
        with scratch_file(tmp_path):
            assert clear(tmp_path) == 0
    finally:
        for process in processes:
            process.kill()
            process.wait()
            assert process.stdout
            process.stdout.close()


def test_clearing_a_folder_that_is_not_there_is_nothing(tmp_path: Path) -> None:
    assert clear(tmp_path / "nowhere") == 0

from __future__ import annotations

import multiprocessing
import os
import signal
from pathlib import Path

from tests.once import once

_SPAWN = multiprocessing.get_context("spawn")


def _make(folder: Path) -> None:
    (folder / "whole").write_text(str(os.getpid()))


def _ask(place: Path) -> None:
    once(place, _make)


def _die_at_it(place: Path) -> None:
    def make(folder: Path) -> None:
        (folder / "half").touch()
        os.kill(os.getpid(), signal.SIGKILL)

    once(place, make)


def test_several_processes_at_once_make_it_once(tmp_path: Path) -> None:
    asking = [_SPAWN.Process(target=_ask, args=(tmp_path / "thing",)) for _ in range(3)]
    for process in asking:
        process.start()
    for process in asking:
        process.join()
    assert [process.exitcode for process in asking] == [0, 0, 0]
    made = (tmp_path / "thing" / "whole").read_text()
    assert made in {str(process.pid) for process in asking}
    assert once(tmp_path / "thing", _make) == tmp_path / "thing"
    assert (tmp_path / "thing" / "whole").read_text() == made


def test_what_a_killed_process_left_half_made_is_made_anew(tmp_path: Path) -> None:
    dying = _SPAWN.Process(target=_die_at_it, args=(tmp_path / "thing",))
    dying.start()
    dying.join()
    assert dying.exitcode == -signal.SIGKILL
    assert not (tmp_path / "thing").exists()
    assert [file.name for file in once(tmp_path / "thing", _make).iterdir()] == ["whole"]

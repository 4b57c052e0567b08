"""What asks before it acts, at a real terminal."""

from __future__ import annotations

import os
import pty
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.monitor.household import SCRIPT, SINGER, rows, sosie


def at_a_terminal(*arguments: str, typed: Sequence[str] = ()) -> tuple[int, str]:
    """The exit status of `sosie`, and what stood on the screen; each question (`… : `) is answered by the next of `typed`."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen([str(SCRIPT), *arguments], stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    screen, answers = b"", list(typed)
    while True:
        try:
            screen += os.read(ours, 4096)
        except OSError:  # the other end is closed
            break
        if screen.endswith(b": ") and answers:  # a password typed before it is asked for is thrown away
            os.write(ours, f"{answers.pop(0)}\n".encode())
    os.close(ours)
    return process.wait(60), screen.decode()


@pytest.mark.parametrize(("typed", "removed"), [("n", False), ("y", True)])
def test_a_likeness_is_removed_only_when_somebody_says_yes(furnished: Path, typed: str, removed: bool) -> None:
    status, screen = at_a_terminal("likeness", "remove", SINGER.name, typed=[typed])
    assert f"Remove {SINGER.name}, with 3 references, for good?" in screen
    assert (status, "was removed" in screen, "Nothing was changed." in screen) == ((0, True, False) if removed else (1, False, True))
    assert rows(furnished, "references") == {"references": 3 if removed else 6}


def test_yes_said_in_advance_is_not_asked_again(furnished: Path) -> None:
    status, screen = at_a_terminal("likeness", "remove", SINGER.name, "--yes")
    assert (status, "for good?" in screen, "was removed" in screen) == (0, False, True)


def test_a_password_is_asked_for_twice_and_not_shown(home: Path) -> None:
    status, screen = at_a_terminal("account", "add", "ada", typed=["correct horse battery"] * 2)
    assert (status, "Password for ada" in screen, "may sign in" in screen, "battery" in screen) == (0, True, True, False), screen
    assert sosie("account", "list", "--json").objects[0]["name"] == "ada"

"""What asks before it acts, at a real terminal."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.monitor.household import SCRIPT, SINGER, rows


def at_a_terminal(*command: str | Path, typed: Sequence[str] = ()) -> tuple[int, str]:
    """The exit status of a command, and what stood on the screen; each question (`… : `) is answered by the next of `typed`."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen([*map(str, command)], stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
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


def test_a_likeness_is_not_removed_when_somebody_says_no(furnished: Path) -> None:
    status, screen = at_a_terminal(SCRIPT, "likeness", "remove", SINGER.name, typed=["n"])
    assert f"Remove {SINGER.name}, with 3 references, for good?" in screen
    assert (status, "was removed" in screen, "Nothing was changed." in screen) == (1, False, True)
    assert rows(furnished, "references") == {"references": 6}


@pytest.mark.parametrize(
    ("yes", "typed", "asked", "goes_on"), [(False, ["y"], True, True), (False, [""], True, False), (True, [], False, True)]
)
def test_what_cannot_be_taken_back_is_asked_for_unless_yes_was_said_in_advance(
    yes: bool, typed: list[str], asked: bool, goes_on: bool
) -> None:
    code = f"from monitor.cli.output import go_on; go_on('Really?', yes={yes}); print('it went on')"
    status, screen = at_a_terminal(sys.executable, "-c", code, typed=typed)
    assert ("Really?" in screen, "it went on" in screen) == (asked, goes_on)
    assert (status == 0) == goes_on


def test_a_password_is_asked_for_twice_and_not_shown() -> None:
    code = "from monitor.cli.output import ask_password; print(len(ask_password('Password', twice=True)))"
    status, screen = at_a_terminal(sys.executable, "-c", code, typed=["correct horse battery"] * 2)
    assert (status, "Password: " in screen, "\n21" in screen, "battery" in screen) == (0, True, True, False), screen

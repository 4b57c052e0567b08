"""What asks before it acts, at a real terminal."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import pytest

from tests.monitor.household import SCRIPT, SINGER, rows


def at_a_terminal(*command: str | Path, typed: Sequence[str] = (), errors: IO[bytes] | None = None) -> tuple[int, str]:
    """The exit status of a command, and what stood on the screen; each question (`… : `) is answered by the next of `typed`.

    `errors`: where stderr goes instead.
    """
    ours, theirs = pty.openpty()
    process = subprocess.Popen([*map(str, command)], stdin=theirs, stdout=theirs, stderr=errors or theirs, start_new_session=True)
    os.close(theirs)
    screen, answers = b"", list(typed)
    asked = b":" if errors else b": "  # readline puts the blank on stderr; before it, what is typed for a password would be thrown away
    while True:
        try:
            screen += os.read(ours, 4096)
        except OSError:  # the other end is closed
            break
        if screen.endswith(asked) and answers:
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


def test_the_question_is_seen_where_errors_go_to_a_file(tmp_path: Path) -> None:
    code = "from monitor.cli.output import go_on; go_on('Really?', yes=False); print('it went on')"
    with (tmp_path / "log").open("wb") as log:
        status, screen = at_a_terminal(sys.executable, "-c", code, typed=["n"], errors=log)
    assert (status != 0, "Really?" in screen, "it went on" in screen) == (True, True, False)


def test_the_end_of_input_at_a_question_ends_the_command_as_ctrl_c_does(furnished: Path) -> None:
    status, screen = at_a_terminal(SCRIPT, "likeness", "remove", SINGER.name, typed=["\x04"])
    assert (status, "was removed" in screen, "Traceback" in screen) == (130, False, False), screen


def test_without_a_terminal_nothing_is_asked_whatever_colours_are_wanted() -> None:
    code = "from monitor.cli.output import ask_password, go_on; go_on('Really?', yes=False); print('on'); ask_password('Password')"
    ran = subprocess.run(
        [sys.executable, "-c", code], input="secret\n", capture_output=True, text=True, env=os.environ | {"FORCE_COLOR": "1"}
    )
    assert ran.stdout == "on\n"
    assert "Password: cannot be asked for: there is no terminal. Give it in SOSIE_PASSWORD." in ran.stderr

"""Every command that Sosie names as a next step, run from the broken state it is named in.

A scenario breaks something, reads the command out of what Sosie says, runs it as it stands there (words in capitals stand for what only
the reader knows), and shows that the thing works again. `test_inventory.py` finds all commands that are named, and fails for one without a
scenario.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from tests.monitor.household import Ran, sosie

Test = TypeVar("Test", bound=Callable[..., object])

MENDED: dict[str, list[str]] = {}
"""Commands, as they stand in the source, and the scenarios that follow them."""


def mends(*commands: str) -> Callable[[Test], Test]:
    """Declare that a test breaks something, follows these commands, and finds it mended. `{}` stands for what is filled in."""

    def declared(test: Test) -> Test:
        for command in commands:
            MENDED.setdefault(command, []).append(getattr(test, "__name__", ""))
        return test

    return declared


def told(said: str | Ran, command: str) -> str:
    """`command` as `said` has it, everything filled in; fails where it does not."""
    text = said if isinstance(said, str) else said.out + said.err
    pattern = ".*?".join(re.escape(part) for part in command.split("{}"))
    found = re.search(f"`({pattern})`", text)
    assert found, f"{command!r} is not in {text!r}"
    return found[1]


def follow(said: str | Ran, command: str, *options: str, **words: str | Path) -> Ran:
    """Run a command that `said` names, with `words` in place of those in capitals, and `options` that it leaves to the reader."""
    arguments = shlex.split(told(said, command))[1:]
    return sosie(*(str(words.get(argument.rstrip("…"), argument)) for argument in map(_bare, arguments)), *options)


def worked(ran: Ran) -> Ran:
    """Fails with what it said where it did not work."""
    assert ran.status == 0, ran
    return ran


def _bare(argument: str) -> str:
    """`TEMPLATE.png` as `TEMPLATE`."""
    return re.sub(r"^([A-Z]{3,})\.[a-z]+$", r"\1", argument)

"""No command is named that was not run from where it is named, and none that there is not."""

from __future__ import annotations

import ast
import re
import shlex
from typing import Any

import pytest
import typer

from monitor.base.settings import Settings
from monitor.cli.main import app
from tests.monitor.cli import test_storage
from tests.monitor.repairs import MENDED, test_in_force, test_registry, test_streams
from tests.monitor.repairs.commands import named, texts

COMMANDS = named(r"`(sosie [^`]+)`")
SETTINGS = named(r"\bSOSIE_[A-Z0-9_]+\*?")
OPTIONS = named(r"`(--[a-z-]+)`")


def test_the_inventory_sees_what_is_told_and_nothing_else() -> None:
    source = '"""`sosie a`"""\nX = f"run `sosie b {x}` " "now"\nraise E("t", "r", "`sosie c`")\nO(help="`sosie d`")\n'
    source += 'def f():\n    """`sosie e`"""\n'
    assert [text for _, text in texts(ast.parse(source))] == ["run `sosie b {}` now", "t", "r", "`sosie c`"]
    assert len(COMMANDS) > 25


def test_every_command_that_is_named_is_followed_by_a_scenario() -> None:
    assert {test_in_force, test_registry, test_storage, test_streams}, "their scenarios are declared by being imported"
    missing = {command: where for command, where in COMMANDS.items() if command not in MENDED}
    assert missing == {}, "declare a scenario with `mends` that breaks something and follows the command out of what is said"


def test_no_scenario_is_of_a_command_that_is_not_named_any_more() -> None:
    assert {command: tests for command, tests in MENDED.items() if command not in COMMANDS} == {}


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_a_command_that_is_named_is_one_and_is_complete(command: str) -> None:
    """Parsed by the command line itself, without being run: every word, option and required argument."""
    at: Any = typer.main.get_command(app)
    arguments = shlex.split(re.sub(r"(?<=\S){}", "", command.replace("--kind {}", "--kind own")).replace("{}", "x"))[1:]
    while inside := _inside(at):
        word = arguments.pop(0)
        assert word in inside, f"{command}: there is no {word!r}; named in {COMMANDS[command]}"
        at = inside[word]
    assert at.name != "sosie", "else nothing was looked up"
    at.make_context(at.name, arguments)


@pytest.mark.parametrize("setting", sorted(SETTINGS))
def test_a_setting_that_is_named_is_one(setting: str) -> None:
    known = {f"SOSIE_{name.upper()}" for name in Settings.model_fields}
    prefix = setting.rstrip("*")
    group = setting != prefix and any(name.startswith(prefix) for name in known)
    assert group or setting in known | {"SOSIE_", "SOSIE_TEST_"}, SETTINGS[setting]


def test_an_option_that_is_named_is_one() -> None:
    known = {option for command in _commands(typer.main.get_command(app)) for each in command.params for option in each.opts}
    assert {option: where for option, where in OPTIONS.items() if option not in known} == {}


def _commands(command: Any) -> list[Any]:
    return [command, *(each for one in _inside(command).values() for each in _commands(one))]


def _inside(command: Any) -> dict[str, Any]:
    """The commands of a group, by name; those of the root are imported when they are asked for."""
    if not hasattr(command, "list_commands"):
        return {}
    context = typer.Context(command)
    return {name: command.get_command(context, name) for name in command.list_commands(context)}

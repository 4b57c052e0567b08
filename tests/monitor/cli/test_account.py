from __future__ import annotations

from pathlib import Path

import pytest

from tests.monitor.household import sosie

SECRET = "correct horse battery"


def test_accounts_are_made_listed_given_passwords_and_disabled(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "There is no account yet" in sosie("account", "list").out
    monkeypatch.setenv("SOSIE_PASSWORD", SECRET)
    assert sosie("account", "add", "Ada", "--role", "admin").out == "Account ada may sign in as admin.\n"
    assert sosie("account", "add", "bo").status == 0
    taken = sosie("account", "add", "ADA")
    assert (taken.status, "exists already" in taken.err) == (1, True)
    monkeypatch.setenv("SOSIE_PASSWORD", SECRET * 2)
    assert sosie("account", "password", "bo").status == 0
    assert sosie("account", "disable", "bo").status == 0
    listed = {each["name"]: (each["role"], each["state"]) for each in sosie("account", "list", "--json").objects}
    assert listed == {"ada": ("admin", "enabled"), "bo": ("reviewer", "disabled")}
    assert SECRET not in sosie("account", "list").out


def test_a_short_password_and_an_unknown_name_are_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOSIE_PASSWORD", "short")
    ran = sosie("account", "add", "ada")
    assert (ran.status, "shorter than 12" in ran.err, "short" + "\n" in ran.err) == (1, True, False)
    assert "does not exist" in sosie("account", "disable", "nobody").err


def test_without_a_terminal_the_setting_that_takes_the_password_is_named(home: Path) -> None:
    for ran in (sosie("account", "add", "ada"), sosie("policy", "activate", "1", "--as", "ada")):
        assert (ran.status, "there is no terminal. Give it in SOSIE_PASSWORD" in ran.err) == (1, True), ran.err

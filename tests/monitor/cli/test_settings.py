"""`sosie settings`, and settings that are wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitor.base.settings import Settings
from tests.monitor.household import finished, script, sosie


def test_every_setting_is_listed_with_its_value(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOSIE_MAX_HOURS", "1.5")
    listed = sosie("settings").out
    for name in Settings.model_fields:
        assert f"SOSIE_{name.upper()} " in listed
    (line,) = [line for line in listed.splitlines() if line.startswith("SOSIE_MAX_HOURS")]
    assert "1.5" in line
    assert str(home / "sosie.toml") in listed


def test_no_password_is_printed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOSIE_DATABASE_URL", "postgresql+psycopg://sosie:hunter2@db.example/sosie")
    ran = sosie("settings")
    assert ran.status == 0
    assert "hunter2" not in ran.out + ran.err
    assert "postgresql+psycopg://sosie:***@db.example/sosie" in ran.out


def test_the_kafka_password_is_not_printed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOSIE_KAFKA_SECURITY", "sasl_ssl")
    monkeypatch.setenv("SOSIE_KAFKA_USERNAME", "sosie")
    monkeypatch.setenv("SOSIE_KAFKA_PASSWORD", "hunter2")
    ran = sosie("settings")
    assert ran.status == 0
    assert "hunter2" not in ran.out + ran.err
    (line,) = [line for line in ran.out.splitlines() if line.startswith("SOSIE_KAFKA_PASSWORD")]
    assert "****" in line


def test_a_password_in_a_url_that_cannot_be_used_is_not_printed_either(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOSIE_DATABASE_URL", "mysql://sosie:hunter2@db.example/sosie")
    ran = sosie("settings")
    assert ran.status == 1
    assert "SOSIE_DATABASE_URL: the value from the environment is not usable: mysql is not supported" in ran.err
    assert "hunter2" not in ran.out + ran.err


def test_an_unknown_variable_is_named_by_the_real_script(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOSIE_MAX_HOUR", "2")
    ran = finished(script("settings"))
    assert ran.status == 1
    assert "SOSIE_MAX_HOURS" in ran.out, "they are listed all the same: the error says so"
    assert ran.err == (
        "sosie: SOSIE_MAX_HOUR: is not a setting (found in the environment). "
        "Did you mean SOSIE_MAX_HOURS; `sosie settings` lists all of them.\n"
    )


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("max_hour = 2\n", "max_hour: is not a setting (found in {file}). Did you mean max_hours"),
        ("max_hours = 0\n", "SOSIE_MAX_HOURS: the value 0 from {file} is not usable: Input should be greater than 0"),
        ("max_hours = = 2\n", "{file}: cannot be read: Invalid value (at line 1, column 13)"),
        ('face_encoder = "/nowhere/w600k.onnx"\n', "SOSIE_FACE_ENCODER: the value '/nowhere/w600k.onnx' from {file} is not usable"),
    ],
)
def test_a_wrong_file_is_an_error_with_its_place_and_stops_every_command(home: Path, toml: str, said: str) -> None:
    home.mkdir()
    (home / "sosie.toml").write_text(toml)
    for command in (["settings"], ["scan", "clip.mp4"], ["likeness", "list"]):
        ran = sosie(*command)
        assert ran.status == 1
        assert ("SOSIE_MAX_HOURS" in ran.out) if command == ["settings"] else ran.out == ""
        assert said.format(file=home / "sosie.toml") in ran.err
    assert [file.name for file in home.iterdir()] == ["sosie.toml"]


def test_a_home_that_cannot_be_made_is_an_error_that_names_it(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("not a folder")
    for place in (tmp_path / "file", tmp_path / "file" / "home", Path("/proc/sosie")):
        monkeypatch.setenv("SOSIE_HOME", str(place))
        ran = sosie("likeness", "list")
        assert ran.status == 1
        assert str(place) in ran.err


def test_the_shipped_policy_is_printed_and_can_be_used_as_it_is(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = sosie("policy", "show").out
    (tmp_path / "mine.yaml").write_text(shipped)
    monkeypatch.setenv("SOSIE_POLICY", str(tmp_path / "mine.yaml"))
    assert sosie("policy", "show").out == shipped

from __future__ import annotations

from pathlib import Path

import pytest

from monitor.base.errors import ConfigError
from monitor.base.settings import load


def test_defaults_put_everything_under_the_home(tmp_path: Path) -> None:
    settings = load({"SOSIE_HOME": str(tmp_path)})
    assert settings.home == tmp_path
    assert settings.effective_database_url == f"sqlite:///{tmp_path / 'sosie.sqlite3'}"
    assert settings.encoder == "bundled"


def test_variables_win_over_the_file_and_options_over_both(tmp_path: Path) -> None:
    (tmp_path / "sosie.toml").write_text('threads = 3\nencoder = "file-says"\nlease_s = 60\n')
    settings = load({"SOSIE_HOME": str(tmp_path), "SOSIE_ENCODER": "variable-says", "SOSIE_LEASE_S": "70"}, lease_s=80)
    assert (settings.threads, settings.encoder, settings.lease_s) == (3, "variable-says", 80)


def test_several_trust_lists_are_separated_like_a_path(tmp_path: Path) -> None:
    for name in ("a.pem", "b.pem"):
        (tmp_path / name).touch()
    settings = load({"SOSIE_HOME": str(tmp_path), "SOSIE_TRUST_ANCHORS": f"{tmp_path / 'a.pem'}:{tmp_path / 'b.pem'}"})
    assert [path.name for path in settings.trust_anchors] == ["a.pem", "b.pem"]


def test_the_real_environment_is_read_the_same_way_and_only_when_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.pem").touch()
    monkeypatch.setenv("SOSIE_HOME", str(tmp_path))
    monkeypatch.setenv("SOSIE_TRUST_ANCHORS", str(tmp_path / "a.pem"))
    monkeypatch.setenv("SOSIE_THREADS", "7")
    assert (load().threads, load().trust_anchors) == (7, (tmp_path / "a.pem",))
    assert load({}, home=tmp_path).threads == 2, "a demo must not pick up the settings of a real registry"


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("SOSIE_THREADS", "zero", "integer"),
        ("SOSIE_THREADS", "0", "greater than or equal to 1"),
        ("SOSIE_POLICY", "/nowhere/policy.yaml", "no such file"),
        ("SOSIE_DATABASE_URL", "mysql://u@h/x", "mysql is not supported"),
        ("SOSIE_DATABASE_URL", "what", "not a database URL"),
        ("SOSIE_FACE_ENCODER", "/nowhere.onnx", "no such file"),
        ("SOSIE_FACE_DETECTOR", "/nowhere.onnx", "no such file"),
        ("SOSIE_COHORT", "/nowhere", "no such file or directory"),
        ("SOSIE_TRUST_ANCHORS", "/nowhere.pem", "no such file"),
        ("SOSIE_LOG_LEVEL", "loud", "'debug', 'info'"),
        ("SOSIE_KAFKA_BROKERS", "localhost", "'localhost' is not HOST:PORT"),
        ("SOSIE_KAFKA_BROKERS", "one:9092,two", "'two' is not HOST:PORT"),
        ("SOSIE_KAFKA_BROKERS", "one:9092,", "'' is not HOST:PORT"),
        ("SOSIE_KAFKA_BROKERS", "one:99999", "'one:99999' is not HOST:PORT"),
        ("SOSIE_KAFKA_BROKERS", "kafka://one:9092", "'kafka://one:9092' is not HOST:PORT"),
        ("SOSIE_KAFKA_PREFIX", "two words", "pattern"),
        ("SOSIE_KAFKA_SECURITY", "tls", "'plaintext', 'ssl'"),
        ("SOSIE_KAFKA_MECHANISM", "GSSAPI", "'SCRAM-SHA-512'"),
        ("SOSIE_KAFKA_CA", "/nowhere/ca.pem", "no such file"),
        ("SOSIE_KAFKA_SESSION_S", "0.5", "greater than or equal to 1"),
        ("SOSIE_SERVE_NAMES", "queue.example.org,https://queue.example.org", "no host name"),
        ("SOSIE_SERVE_NAMES", "queue.example.org:443", "without scheme and port"),
        ("SOSIE_SERVE_NAMES", "*", "no host name"),
        ("SOSIE_SERVE_PROXIES", "10.0.0.1/8", "host bits set"),
        ("SOSIE_SERVE_PROXIES", "proxy.example", "does not appear to be"),
        ("SOSIE_SERVE_ROOT_PATH", "sosie", "not a path"),
        ("SOSIE_SERVE_ROOT_PATH", "/a/../b", "not a path"),
        ("SOSIE_SERVE_COOKIES", "never", "'auto' or 'secure'"),
        ("SOSIE_METRICS_CLIENTS", "0.0.0.0/33", "does not appear to be"),
        ("SOSIE_MIGRATE", "no", "'auto' or 'never'"),
    ],
)
def test_a_bad_value_is_named_with_its_place(tmp_path: Path, name: str, value: str, reason: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load({"SOSIE_HOME": str(tmp_path), name: value})
    assert caught.value.thing == name
    assert reason in caught.value.reason
    assert "the environment" in caught.value.reason
    assert caught.value.next_step


def test_a_bad_value_in_the_file_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "sosie.toml").write_text("threads = 0\n")
    with pytest.raises(ConfigError, match=r"sosie\.toml"):
        load({"SOSIE_HOME": str(tmp_path)})


@pytest.mark.parametrize(
    ("environment", "toml", "thing", "hint"),
    [
        ({"SOSIE_ENCODR": "x"}, "", "SOSIE_ENCODR", "SOSIE_ENCODER"),
        ({"SOSIE_WHATEVER_ELSE": "x"}, "", "SOSIE_WHATEVER_ELSE", "Remove it"),
        ({}, "polcy = 'x'\n", "polcy", "policy"),
    ],
)
def test_an_unknown_key_is_an_error_that_names_it(tmp_path: Path, environment: dict[str, str], toml: str, thing: str, hint: str) -> None:
    (tmp_path / "sosie.toml").write_text(toml)
    with pytest.raises(ConfigError) as caught:
        load({"SOSIE_HOME": str(tmp_path), **environment})
    assert caught.value.thing == thing
    assert hint in caught.value.next_step


@pytest.mark.parametrize("content", [b"threads = \n", b"\xff\xfe"])
def test_a_file_that_is_not_toml(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "sosie.toml").write_bytes(content)
    with pytest.raises(ConfigError, match="cannot be read"):
        load({"SOSIE_HOME": str(tmp_path)})


def test_a_password_in_the_database_url_is_never_shown(tmp_path: Path) -> None:
    url = "mysql://user:hunter2@host/db"
    with pytest.raises(ConfigError) as caught:
        load({"SOSIE_HOME": str(tmp_path), "SOSIE_DATABASE_URL": url})
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(load({"SOSIE_HOME": str(tmp_path), "SOSIE_DATABASE_URL": "postgresql+psycopg://u:hunter2@h/d"}))


def test_brokers_are_taken_as_people_write_them(tmp_path: Path) -> None:
    settings = load({"SOSIE_HOME": str(tmp_path), "SOSIE_KAFKA_BROKERS": "one.example:9092, [::1]:9093"})
    assert settings.kafka_brokers == "one.example:9092,[::1]:9093"


def test_several_values_are_separated_by_commas_and_lists_in_the_file(tmp_path: Path) -> None:
    given = {"SOSIE_SERVE_NAMES": "Queue.Example.org, *.example.net,[::1]", "SOSIE_SERVE_PROXIES": "10.0.0.7, 10.1.0.0/16,fd00::/8"}
    settings = load({"SOSIE_HOME": str(tmp_path), **given})
    assert settings.serve_names == ("queue.example.org", "*.example.net", "::1")
    assert [str(each) for each in settings.serve_proxies] == ["10.0.0.7/32", "10.1.0.0/16", "fd00::/8"]
    (tmp_path / "sosie.toml").write_text('serve_names = ["queue.example.org"]\nserve_root_path = "/sosie/"\n')
    settings = load({"SOSIE_HOME": str(tmp_path)})
    assert (settings.serve_names, settings.serve_root_path) == (("queue.example.org",), "/sosie")


def test_a_token_that_is_too_short_is_not_shown(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="SOSIE_METRICS_TOKEN") as caught:
        load({"SOSIE_HOME": str(tmp_path), "SOSIE_METRICS_TOKEN": "hunter2"})
    assert "hunter2" not in str(caught.value)
    assert "long enough for it" not in repr(load({"SOSIE_HOME": str(tmp_path), "SOSIE_METRICS_TOKEN": "long enough for it"}))


def test_no_brokers_are_no_error(tmp_path: Path) -> None:
    assert load({"SOSIE_HOME": str(tmp_path)}).kafka_brokers is None


@pytest.mark.parametrize("security", ["sasl_ssl", "sasl_plaintext"])
@pytest.mark.parametrize("given", [{}, {"SOSIE_KAFKA_USERNAME": "sosie"}, {"SOSIE_KAFKA_PASSWORD": "hunter2"}])
def test_sasl_needs_a_user_and_a_password(tmp_path: Path, security: str, given: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="kafka_username and kafka_password are needed with sasl") as caught:
        load({"SOSIE_HOME": str(tmp_path), "SOSIE_KAFKA_SECURITY": security, **given})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("alone", ["SOSIE_KAFKA_CERTIFICATE", "SOSIE_KAFKA_KEY"])
def test_a_certificate_and_its_key_belong_together(tmp_path: Path, alone: str) -> None:
    (tmp_path / "one.pem").touch()
    with pytest.raises(ConfigError, match="kafka_certificate and kafka_key belong together"):
        load({"SOSIE_HOME": str(tmp_path), alone: str(tmp_path / "one.pem")})


def test_the_kafka_password_is_never_shown(tmp_path: Path) -> None:
    given = {"SOSIE_HOME": str(tmp_path), "SOSIE_KAFKA_USERNAME": "sosie", "SOSIE_KAFKA_PASSWORD": "hunter2"}
    settings = load(given | {"SOSIE_KAFKA_SECURITY": "sasl_ssl"})
    assert "hunter2" not in f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"
    assert settings.kafka_password is not None
    assert settings.kafka_password.get_secret_value() == "hunter2"


def test_a_password_among_the_brokers_is_refused_and_not_shown(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="SOSIE_KAFKA_PASSWORD") as caught:
        load({"SOSIE_HOME": str(tmp_path), "SOSIE_KAFKA_BROKERS": "sosie:hunter2@one.example:9092"})
    assert "hunter2" not in str(caught.value)


def test_a_password_of_the_wrong_kind_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / "sosie.toml").write_text("kafka_password = 4711\n")
    with pytest.raises(ConfigError) as caught:
        load({"SOSIE_HOME": str(tmp_path)})
    assert caught.value.thing == "SOSIE_KAFKA_PASSWORD"
    assert "4711" not in str(caught.value)

"""The signing key and the session cookie."""

from __future__ import annotations

import stat
from multiprocessing import get_context
from pathlib import Path

import pytest

from monitor.base.errors import ConfigError
from monitor.console.auth import SECRET_FILE, Sessions, load_secret
from tests.monitor.console.desk import Clock


def test_the_key_is_made_once_and_private(tmp_path: Path) -> None:
    secret = load_secret(tmp_path / "home")
    file = tmp_path / "home" / SECRET_FILE
    assert len(secret) >= 32
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert load_secret(tmp_path / "home") == secret
    assert list((tmp_path / "home").iterdir()) == [file]


def test_processes_that_start_at_once_agree_on_one_key(tmp_path: Path) -> None:
    with get_context("fork").Pool(4) as pool:
        assert len(set(pool.map(load_secret, [tmp_path] * 16))) == 1


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    load_secret(tmp_path)
    (tmp_path / SECRET_FILE).chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        load_secret(tmp_path)


def test_a_cut_key_is_refused(tmp_path: Path) -> None:
    load_secret(tmp_path)
    (tmp_path / SECRET_FILE).write_bytes(b"short")
    with pytest.raises(ConfigError, match="too short"):
        load_secret(tmp_path)


def test_a_cookie_of_another_key_or_shape_is_nobody() -> None:
    ours, theirs = Sessions(b"a" * 64, Clock()), Sessions(b"b" * 64, Clock())
    assert ours.read(None) is None
    assert ours.read("") is None
    assert ours.read("é.x") is None
    assert ours.read(theirs._signer.dumps(["id", "nonce", 99999999999, "mark"])) is None
    assert ours.read(ours._signer.dumps(["id", "nonce", 99999999999, "mark"])) is not None

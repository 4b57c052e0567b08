from __future__ import annotations

import base64
from pathlib import Path

import pytest

from monitor.base import settings
from monitor.base.errors import ConfigError
from monitor.base.storage_key import KEY_FILE, StorageKey, load_storage_key

KEY, OTHER = StorageKey(bytes(range(32))), StorageKey(bytes(range(1, 33)))
SECRET = b"the key of one day, 32 bytes ..."


def test_what_was_wrapped_comes_back_for_its_name_and_its_key_only() -> None:
    wrapped = KEY.wrap(SECRET, "fingerprints/2030-01-01/key")
    assert SECRET not in wrapped
    assert KEY.unwrap(wrapped, "fingerprints/2030-01-01/key") == SECRET
    assert KEY.unwrap(wrapped, "fingerprints/2030-01-02/key") is None
    assert OTHER.unwrap(wrapped, "fingerprints/2030-01-01/key") is None
    assert StorageKey(OTHER.key, older=(KEY,)).unwrap(wrapped, "fingerprints/2030-01-01/key") == SECRET
    assert len({KEY.wrap(SECRET, "a") for _ in range(3)}) == 3, "a nonce is used once"


def test_no_byte_of_what_was_wrapped_can_be_changed() -> None:
    wrapped = KEY.wrap(SECRET, "a")
    for i in range(len(wrapped)):
        assert KEY.unwrap(wrapped[:i] + bytes([wrapped[i] ^ 1]) + wrapped[i + 1 :], "a") is None
    for cut in (0, 5, 20, 30, len(wrapped) - 1):
        assert KEY.unwrap(wrapped[:cut], "a") is None


def test_it_shows_nothing_of_itself() -> None:
    assert repr(KEY) == "StorageKey(older=())"
    assert KEY.key not in KEY.wrap(SECRET, "a")


def test_a_home_makes_its_own_once_and_a_bucket_asks_for_one(tmp_path: Path) -> None:
    home = settings.load({}, home=tmp_path / "home")
    made = load_storage_key(home, shared=False)
    assert (tmp_path / "home" / KEY_FILE).stat().st_mode & 0o077 == 0
    assert load_storage_key(home, shared=False) == made
    with pytest.raises(ConfigError, match="SOSIE_STORAGE_KEY_FILE: is not set"):
        load_storage_key(home, shared=True)


def test_the_key_that_is_set_wraps_and_that_of_the_home_still_unwraps(tmp_path: Path) -> None:
    own = load_storage_key(settings.load({}, home=tmp_path), shared=False)
    file = tmp_path / "set.key"
    file.write_text(f"{base64.b64encode(OTHER.key).decode()}\n")
    for given in ({"SOSIE_STORAGE_KEY_FILE": str(file)}, {"SOSIE_STORAGE_KEY": base64.b64encode(OTHER.key).decode()}):
        key = load_storage_key(settings.load(given, home=tmp_path), shared=True)
        assert key.key == OTHER.key
        assert key.unwrap(own.wrap(SECRET, "a"), "a") == SECRET


@pytest.mark.parametrize("content", [b"", b"too short", base64.b64encode(bytes(31)), base64.b64encode(bytes(33)), bytes(32)])
def test_a_file_without_a_key_is_refused_and_says_how_to_make_one(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.key").write_bytes(content)
    with pytest.raises(ConfigError, match="openssl rand -base64 32"):
        load_storage_key(settings.load({"SOSIE_STORAGE_KEY_FILE": str(tmp_path / "bad.key")}, home=tmp_path), shared=True)

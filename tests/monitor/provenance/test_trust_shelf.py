from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from monitor.base.errors import ConfigError, NotFound, RequestRefused
from monitor.cast.credentials import Studio
from monitor.provenance.trust import TrustLists
from monitor.provenance.trust_files import Kind
from monitor.provenance.trust_shelf import TrustShelf
from tests.monitor.provenance.making import trusting
from tests.monitor.review.helpers import together


@pytest.fixture
def shelf(tmp_path: Path) -> TrustShelf:
    return TrustShelf(tmp_path / "home", TrustLists())


def listed(folder: Path, name: str, content: bytes | None = None) -> Path:
    file = folder / name
    file.write_bytes(Studio(name).anchor_pem if content is None else content)
    return file


def test_without_a_list_there_is_nobody_to_trust(shelf: TrustShelf) -> None:
    assert shelf.listed() == ()
    assert shelf.current() == TrustLists()


def test_another_process_sees_a_change_and_the_version_is_that_of_the_content(shelf: TrustShelf, tmp_path: Path) -> None:
    other = TrustShelf(tmp_path / "home", TrustLists())
    before = other.current().version
    file = listed(tmp_path, "a.pem")
    (added,) = shelf.update([file])
    assert (added.kind, added.name, added.sha256) == (Kind.OWN, "a.pem", hashlib.sha256(file.read_bytes()).hexdigest())
    assert other.current().version != before
    shelf.remove("a.pem")
    assert other.current().version == before
    with pytest.raises(NotFound, match=r"'a\.pem': is not in the bundle"):
        shelf.remove("a.pem")


def test_a_newer_official_list_takes_the_place_of_the_older(shelf: TrustShelf, tmp_path: Path) -> None:
    for name in ("january.pem", "june.pem"):
        shelf.update([listed(tmp_path, name, b"Subject\tCN=X\n" + Studio(name).anchor_pem)])
    shelf.update([listed(tmp_path, "own.pem")])
    assert [(each.kind, each.name) for each in shelf.listed()] == [(Kind.OFFICIAL, "C2PA trust list"), (Kind.OWN, "own.pem")]
    assert "june.pem" in shelf.current().lists[0].certificates[0].subject.rfc4514_string()


def test_one_bad_file_of_several_changes_nothing(shelf: TrustShelf, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"bad\.pem"):
        shelf.update([listed(tmp_path, "good.pem"), listed(tmp_path, "bad.pem", b"nothing")])
    assert shelf.listed() == ()


def test_a_pinned_digest_must_fit(shelf: TrustShelf, tmp_path: Path) -> None:
    file = listed(tmp_path, "a.pem")
    with pytest.raises(RequestRefused, match="not the one given"):
        shelf.update([file], sha256="00" * 32)
    assert shelf.listed() == ()
    shelf.update([file], sha256=hashlib.sha256(file.read_bytes()).hexdigest().upper(), name="Ours")
    assert shelf.current().lists[0].name == "Ours"


@pytest.mark.parametrize("damage", ["changed", "missing"])
def test_a_list_that_is_not_what_was_put_in_force_is_refused(shelf: TrustShelf, tmp_path: Path, damage: str) -> None:
    (added,) = shelf.update([listed(tmp_path, "a.pem")])
    file = tmp_path / "home" / "trust" / added.sha256
    file.unlink()
    if damage == "changed":
        file.write_bytes(Studio("Mallory").anchor_pem)
    with pytest.raises(ConfigError, match="missing or was changed"):
        TrustShelf(tmp_path / "home", TrustLists()).current()


def test_a_list_may_not_share_its_name_with_one_of_the_settings(tmp_path: Path) -> None:
    shelf = TrustShelf(tmp_path / "home", trusting(tmp_path, a=Studio("A")))
    with pytest.raises(ConfigError, match="two trust lists have this name"):
        shelf.update([listed(tmp_path, "a.pem")])
    assert shelf.listed() == ()


def test_updates_at_the_same_time_are_all_kept(shelf: TrustShelf, tmp_path: Path) -> None:
    files = [listed(tmp_path, f"{n}.pem") for n in range(4)]
    together([lambda file=file: shelf.update([file]) for file in files])
    assert {each.name for each in shelf.listed()} == {file.name for file in files}


def test_a_bundle_that_is_none_is_named(shelf: TrustShelf, tmp_path: Path) -> None:
    (tmp_path / "home" / "trust").mkdir(parents=True)
    (tmp_path / "home" / "trust" / "bundle.json").write_text('{"files": [{"kind": "rumour"}]}')
    with pytest.raises(ConfigError, match=r"bundle\.json: is no trust bundle"):
        shelf.listed()

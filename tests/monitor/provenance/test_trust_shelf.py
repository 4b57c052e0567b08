"""Which lists are in force: added, replaced when asked, removed, taken over; never silently, and from a damaged state too."""

from __future__ import annotations

import hashlib
import json
import logging
import shlex
from collections.abc import Sequence
from pathlib import Path

import pytest

from monitor.base import audit
from monitor.base.database import Store
from monitor.base.errors import ConfigError, InForceUnreadable, NotFound, RequestRefused
from monitor.cast.credentials import Studio
from monitor.provenance.trust import TrustLists
from monitor.provenance.trust_files import Kind, TrustFile, bundle
from monitor.provenance.trust_shelf import TrustShelf
from tests.monitor.damage import damage
from tests.monitor.provenance.making import trusting
from tests.monitor.review.helpers import together

FROZEN = b"## This interim trust list is now frozen.\n"


@pytest.fixture
def shelf(store: Store, tmp_path: Path) -> TrustShelf:
    return TrustShelf(store, TrustLists(), tmp_path / "home")


def listed(folder: Path, name: str, content: bytes | None = None) -> Path:
    file = folder / name
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(Studio(name.replace("/", " ")).anchor_pem if content is None else content)
    return file


def names(shelf: TrustShelf) -> list[str]:
    return [each.name for each in shelf.listed()]


def test_without_a_list_there_is_nobody_to_trust(shelf: TrustShelf) -> None:
    assert shelf.listed() == ()
    assert shelf.current() == TrustLists()


def test_another_machine_sees_a_change_and_the_version_is_that_of_the_content(shelf: TrustShelf, store: Store, tmp_path: Path) -> None:
    other = TrustShelf(store, TrustLists(), tmp_path / "another home")
    before = other.current().version
    file = listed(tmp_path, "a.pem")
    (added,) = shelf.update([file], actor="ada")
    assert (added.kind, added.name, added.sha256) == (Kind.OWN, "a.pem", hashlib.sha256(file.read_bytes()).hexdigest())
    assert added.added_by == "ada"
    assert other.current().version == bundle([TrustFile(Kind.OWN, "a.pem", file.read_bytes())], TrustLists()).version != before
    assert shelf.update([file]) == [], "it is in force already"
    shelf.remove("a.pem")
    assert other.current().version == before
    with pytest.raises(NotFound, match=r"'a\.pem': is not in force"):
        shelf.remove("a.pem")
    with store.session(read_only=True) as session:
        events = [(event.action, event.subject_id, event.detail["lists"]) for event in audit.latest(session)]
    assert [(action, lists) for action, _, lists in events] == [("trust.removed", ["a.pem"]), ("trust.updated", ["a.pem"])]
    assert events[0][1] == before


def test_a_newer_official_list_takes_the_place_of_the_older_when_that_is_asked_for(shelf: TrustShelf, tmp_path: Path) -> None:
    january, june = (listed(tmp_path, name, b"Subject\tCN=X\n" + Studio(name).anchor_pem) for name in ("january.pem", "june.pem"))
    shelf.update([january])
    digest = hashlib.sha256(january.read_bytes()).hexdigest()[:12]
    with pytest.raises(RequestRefused, match=rf"'C2PA trust list' of 20..-..-.. \(SHA-256 {digest}…\): is in force, and would be replaced"):
        shelf.update([listed(tmp_path, "own.pem"), june])
    assert names(shelf) == ["C2PA trust list"], "all or none"
    assert "january.pem" in shelf.current().lists[0].certificates[0].subject.rfc4514_string()
    shelf.update([june], replace=True)
    shelf.update([listed(tmp_path, "own.pem")])
    assert [(each.kind, each.name) for each in shelf.listed()] == [(Kind.OFFICIAL, "C2PA trust list"), (Kind.OWN, "own.pem")]
    assert "june.pem" in shelf.current().lists[0].certificates[0].subject.rfc4514_string()


def test_two_lists_of_a_kind_are_both_in_force_each_under_its_own_name(shelf: TrustShelf, tmp_path: Path) -> None:
    one, two, three = (listed(tmp_path, f"{n}.pem", FROZEN + Studio(n).anchor_pem) for n in ("one", "two", "three"))
    shelf.update([one, two])
    assert names(shelf) == ["interim trust list (frozen): one.pem", "interim trust list (frozen): two.pem"]
    with pytest.raises(RequestRefused, match="A name or a SHA-256"):
        shelf.update([one, three], name="Third")
    shelf.update([three])
    assert len(shelf.current().lists) == 3
    shelf.update([two], name="Also the second")
    assert len(names(shelf)) == 4


def test_two_files_of_one_name_in_one_command_are_refused_by_both_their_paths(shelf: TrustShelf, tmp_path: Path) -> None:
    one, two = listed(tmp_path, "north/a.pem"), listed(tmp_path, "south/a.pem")
    with pytest.raises(RequestRefused, match=rf"{one} and {two}: would both be called 'a\.pem'.*`--name`"):
        shelf.update([one, two])
    assert shelf.listed() == ()
    shelf.update([one], name="North")
    shelf.update([two], name="South")
    assert names(shelf) == ["North", "South"]


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


@pytest.mark.parametrize("mend", ["the same", "a newer", "remove"])
def test_a_damaged_list_is_not_used_and_can_be_replaced_or_removed_unread(
    shelf: TrustShelf, store: Store, tmp_path: Path, mend: str
) -> None:
    file = listed(tmp_path, "our list.pem")
    shelf.update([file, listed(tmp_path, "b.pem")])
    before = shelf.current()
    assert damage(store, "trust", "our list.pem") == 1
    with pytest.raises(InForceUnreadable, match=r"Trust list 'our list\.pem': what the database holds is not") as caught:
        TrustShelf(store, TrustLists(), tmp_path).current()
    commands = caught.value.next_step.split("`")[1::2]
    assert commands == [
        "sosie trust update FILE --kind own --name 'our list.pem' --replace",
        "sosie trust remove 'our list.pem'",
    ]
    assert shlex.split(commands[1])[-1] == "our list.pem"
    damaged, whole = sorted(shelf.listed(), key=lambda each: each.damage is None)
    assert (damaged.name, whole.name, whole.damage) == ("our list.pem", "b.pem", None)
    assert "sosie trust remove" in (damaged.damage or "")
    if mend == "the same":
        shelf.update([file])
        assert shelf.current() == before
    elif mend == "a newer":
        shelf.update([listed(tmp_path / "new", "our list.pem")], replace=True)
        assert shelf.current().version != before.version
    else:
        shelf.remove("our list.pem")
        assert [item.name for item in shelf.current().lists] == ["b.pem"]


def test_a_list_of_a_newer_release_is_waited_for_or_removed(shelf: TrustShelf, store: Store, tmp_path: Path) -> None:
    with shelf._shelf.changing(actor="a newer release") as change:
        change.put("a", b"x", {"kind": "constellation"})
    with pytest.raises(InForceUnreadable, match="of a kind that this release does not know"):
        shelf.current()
    shelf.update([listed(tmp_path, "b.pem")])
    assert [each.damage is None for each in shelf.listed()] == [False, True]
    shelf.remove("a")
    assert len(shelf.current().lists) == 1


def test_a_list_may_not_share_its_name_with_one_of_the_settings(store: Store, tmp_path: Path) -> None:
    there = trusting(tmp_path, a=Studio("A"))
    shelf = TrustShelf(store, there, tmp_path / "home")
    with pytest.raises(ConfigError, match="two trust lists have this name"):
        shelf.update([listed(tmp_path, "a.pem")])
    assert shelf.listed() == ()
    TrustShelf(store, TrustLists(), tmp_path).update([listed(tmp_path, "a.pem")])  # by a machine without that setting
    with pytest.raises(InForceUnreadable, match=r"Rename the file that the setting names, or `sosie trust remove a\.pem`"):
        shelf.current()
    shelf.remove("a.pem")
    assert shelf.current() == there


def test_updates_at_the_same_time_are_all_kept(shelf: TrustShelf, tmp_path: Path) -> None:
    files = [listed(tmp_path, f"{n}.pem") for n in range(4)]
    together([lambda file=file: shelf.update([file]) for file in files])
    assert names(shelf) == [file.name for file in files]


@pytest.mark.parametrize(
    ("kinds", "own", "lacks"),
    [
        ([Kind.INTERIM], TrustLists(), True),
        ([Kind.INTERIM_ALLOWED, Kind.OFFICIAL], TrustLists(), True),
        ([Kind.INTERIM, Kind.USAGES], TrustLists(), False),
        ([Kind.INTERIM], TrustLists(ekus="1.2.3"), False),
        ([Kind.OFFICIAL, Kind.OWN], TrustLists(), False),
    ],
)
def test_an_interim_list_without_its_usages_is_noticed(
    store: Store, tmp_path: Path, kinds: Sequence[Kind], own: TrustLists, lacks: bool
) -> None:
    contents = {Kind.INTERIM_ALLOWED: Studio("A").certificate_pem, Kind.USAGES: b"1.2.3.4\n"}
    shelf = TrustShelf(store, own, tmp_path)
    for kind in kinds:
        shelf.update([listed(tmp_path, f"{kind}.pem", contents.get(kind))], kind=kind)
    assert shelf.lacks_usages() is lacks


def of_before(home: Path, **lists: bytes) -> None:
    """HOME/trust as release 0.1 left it."""
    files = []
    (home / "trust").mkdir(parents=True)
    for name, content in lists.items():
        sha256 = hashlib.sha256(content).hexdigest()
        (home / "trust" / sha256).write_bytes(content)
        files.append({"kind": "own", "name": name, "sha256": sha256, "added_at": "2026-01-02"})
    (home / "trust" / "bundle.json").write_text(json.dumps({"files": files}))


def test_the_lists_of_release_0_1_are_taken_over_with_their_version_and_the_folder_stays(store: Store, tmp_path: Path) -> None:
    content = Studio("Before").anchor_pem
    of_before(tmp_path, ours=content)
    here, there = (TrustShelf(store, TrustLists(), home) for home in (tmp_path, tmp_path / "other"))
    assert here.current().version == bundle([TrustFile(Kind.OWN, "ours", content)], TrustLists()).version
    assert there.current() == here.current()
    (taken,) = there.listed()
    assert (taken.added_at[:10], taken.added_by) == ("2026-01-02", "release 0.1")
    assert len(list((tmp_path / "trust").iterdir())) == 2
    here.remove("ours")
    assert TrustShelf(store, TrustLists(), tmp_path).current() == TrustLists()


def test_a_second_machine_that_differs_is_told_the_command(store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first, second = tmp_path / "1", tmp_path / "2"
    of_before(first, ours=Studio("A").anchor_pem)
    of_before(second, theirs=Studio("B").anchor_pem)
    TrustShelf(store, TrustLists(), first).current()
    with caplog.at_level(logging.WARNING):
        assert [each.name for each in TrustShelf(store, TrustLists(), second).current().lists] == ["ours"]
    (said,) = caplog.messages
    command = shlex.split(said.split("`")[1].replace("$SOSIE_HOME", str(second)))
    assert command[:3] == ["sosie", "trust", "update"]
    TrustShelf(store, TrustLists(), second).update([Path(command[3])], kind=Kind(command[5]), name=command[7])
    assert {each.name for each in TrustShelf(store, TrustLists(), first).current().lists} == {"ours", "theirs"}


def test_what_was_damaged_in_the_folder_is_taken_over_as_damaged(store: Store, tmp_path: Path) -> None:
    of_before(tmp_path, ours=Studio("A").anchor_pem)
    (lost,) = (file for file in (tmp_path / "trust").iterdir() if file.suffix != ".json")
    lost.unlink()
    shelf = TrustShelf(store, TrustLists(), tmp_path)
    with pytest.raises(InForceUnreadable, match="'ours'"):
        shelf.current()
    shelf.remove("ours")
    assert shelf.current() == TrustLists()


def test_a_bundle_of_release_0_1_that_is_none_is_named_and_an_update_stands_in_its_place(store: Store, tmp_path: Path) -> None:
    (tmp_path / "trust").mkdir()
    (tmp_path / "trust" / "bundle.json").write_text('{"files": [{"kind": "rumour"}]}')
    shelf = TrustShelf(store, TrustLists(), tmp_path)
    with pytest.raises(InForceUnreadable, match=r"bundle\.json: is of release 0\.1 and cannot be taken over.*`sosie trust update FILE…`"):
        shelf.current()
    shelf.update([listed(tmp_path, "a.pem")])
    assert names(shelf) == ["a.pem"]

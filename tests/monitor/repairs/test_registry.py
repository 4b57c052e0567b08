"""Likenesses, indexes, models, settings, accounts and packs: every next step that is told, followed until it works."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from monitor.base import settings
from monitor.base.errors import NotAVideo, NotFound
from monitor.intake.sniff import require_video
from monitor.registry import references
from monitor.review import videos
from monitor.scan.workshop import Workshop
from tests.monitor.cli.test_index import flip
from tests.monitor.cli.test_serve import get, served, stopped
from tests.monitor.household import ACTOR, SINGER, picture, sosie
from tests.monitor.repairs import follow, mends, told, worked
from tests.monitor.vision.encoders import write_encoder

REBUILD = "sosie index rebuild"


def folder_of_the_index() -> str:
    """The id of the space in use."""
    with Workshop(settings.load()) as workshop:
        return workshop.models.face_spaces[0].id


def searching() -> str:
    """What a search says of the index: nothing, where it works."""
    ran = sosie("index", "show")
    return "" if ran.status == 0 else ran.err


@mends(REBUILD)
def test_an_index_with_a_flipped_bit_is_rebuilt(furnished: Path) -> None:
    (vectors,) = (furnished / "index").rglob("vectors.npy")
    flip(vectors)
    worked(follow(searching(), REBUILD))
    assert searching() == ""
    worked(sosie("index", "verify"))


@mends(REBUILD, "sosie model use ENCODER", "sosie model list")
def test_another_model_embeds_the_references_or_is_left_again(furnished: Path, tmp_path: Path) -> None:
    ours = furnished / "index" / folder_of_the_index()
    other = write_encoder(tmp_path / "other.safetensors")
    (furnished / "sosie.toml").write_text(f'encoder = "{other}"\n')
    worked(follow(searching(), REBUILD))
    assert searching() == ""

    theirs = furnished / "index" / folder_of_the_index()
    assert theirs != ours
    for mend in (REBUILD, "sosie model use ENCODER"):
        shutil.rmtree(theirs)
        shutil.copytree(ours, theirs)  # as by a restored backup
        worked(follow(searching(), mend, ENCODER="bundled"))
        assert searching() == ""

    other.write_bytes(other.read_bytes()[:-1000])
    refused = sosie("model", "use", other)
    assert refused.status == 1
    assert "bundled" in worked(follow(refused, "sosie model list")).out
    worked(sosie("model", "use", "bundled"))


@mends("sosie likeness list")
def test_a_likeness_that_is_not_registered_is_looked_up(furnished: Path) -> None:
    for broken in (sosie("likeness", "show", "Nobody"), sosie("likeness", "remove", f"{SINGER.name}x")):
        assert SINGER.name in worked(follow(broken, "sosie likeness list")).out
    with Workshop(settings.load()) as workshop, workshop.store.session(read_only=True) as session, pytest.raises(NotFound) as caught:
        references.get_reference(session, "none")
    worked(follow(str(caught.value), "sosie likeness list"))
    worked(sosie("likeness", "show", SINGER.name))


@mends("sosie case list --state all")
def test_a_case_that_does_not_exist_is_looked_up(furnished: Path, clips: Path) -> None:
    worked(sosie("scan", clips / "singer.mp4"))
    for broken in (sosie("case", "show", "none"), sosie("case", "reopen", "none", "--reason", "a letter")):
        (case,) = worked(follow(broken, "sosie case list --state all", "--json")).objects
        worked(sosie("case", "show", case["id"]))


@mends("sosie likeness add NAME PICTURE")
def test_a_picture_is_no_video_and_can_be_registered(furnished: Path, tmp_path: Path) -> None:
    portrait = picture(tmp_path / "actor.png", ACTOR.person)
    with pytest.raises(NotAVideo) as caught:
        require_video(portrait, str(portrait))
    worked(follow(str(caught.value), "sosie likeness add NAME PICTURE", NAME=ACTOR.name, PICTURE=portrait))
    assert ACTOR.name in sosie("likeness", "list").out


@mends("sosie consent list")
def test_a_consent_that_does_not_exist_is_looked_up(furnished: Path) -> None:
    shown = worked(follow(sosie("consent", "revoke", "none"), "sosie consent list")).out
    (consent,) = sosie("consent", "list", "--json").objects
    assert consent["id"] in shown
    worked(sosie("consent", "revoke", consent["id"]))


@mends("sosie scan FILE")
def test_a_video_that_was_never_scanned_is_scanned(furnished: Path, clips: Path) -> None:
    with Workshop(settings.load()) as workshop, workshop.store.session(read_only=True) as session, pytest.raises(NotFound) as caught:
        videos.get_video(session, "ab" * 32)
    (scanned,) = worked(follow(str(caught.value), "sosie scan FILE", "--json", FILE=clips / "stranger.mp4")).objects
    with Workshop(settings.load()) as workshop, workshop.store.session(read_only=True) as session:
        assert videos.get_video(session, scanned["sha256"])


@mends("sosie settings")
@pytest.mark.parametrize("place", ["environment", "file"])
def test_a_setting_that_is_none_is_looked_up(home: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    if place == "environment":
        monkeypatch.setenv("SOSIE_NONSENSE", "1")
    else:
        home.mkdir()
        (home / "sosie.toml").write_text("nonsense = 1\n")
    broken = sosie("trust", "show")
    assert broken.status == 1
    listed = follow(broken, "sosie settings")
    assert "SOSIE_DATABASE_URL" in listed.out
    assert ("nonsense" in listed.err.lower(), listed.status) == (True, 1)
    monkeypatch.delenv("SOSIE_NONSENSE", raising=False)
    (home / "sosie.toml").unlink(missing_ok=True)
    worked(sosie("trust", "show"))


@mends("sosie serve")
def test_the_first_account_is_made_by_serving(home: Path) -> None:
    told(sosie("account", "list"), "sosie serve")
    with served() as (process, address, _):
        assert get(f"{address}/health/live").status_code == 200, "it is up: what stops it now is the server's own end"
        assert stopped(process).status == 0
    assert "admin" in sosie("account", "list").out


@mends("sosie evidence key --out FOLDER")
def test_a_key_is_made_where_there_is_none(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packing = ("evidence", "pack", "case", "--out", str(tmp_path / "a.zip"))
    broken = sosie(*packing)
    assert "SOSIE_EVIDENCE_KEY" in broken.err
    said = worked(follow(broken, "sosie evidence key --out FOLDER", FOLDER=tmp_path / "keys")).out
    for word in said.split():
        name, _, value = word.rstrip(".").partition("=")
        if value:
            monkeypatch.setenv(name, value)
    assert "SOSIE_EVIDENCE" not in sosie(*packing).err, "what is missing now is the case"

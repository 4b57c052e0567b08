"""`sosie likeness`: who is protected, and by which pictures."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from monitor.cast.drawing import portrait
from monitor.cast.film import film
from monitor.cast.people import Person
from monitor.cast.shot import Shot
from tests.monitor.household import ACTOR, SINGER, files, picture, rows, sosie

TABLES = ("likenesses", "references", "reference_vectors")


@pytest.fixture
def portrait_file(tmp_path: Path) -> Path:
    return picture(tmp_path / "actor.png", ACTOR.person)


def test_a_new_likeness_is_listed_and_shown_with_its_facts(furnished: Path, portrait_file: Path) -> None:
    ran = sosie(
        "likeness", "add", ACTOR.name, portrait_file, "--deceased", "2011-11-02", "--holder", "Quillfether Estate", "--territory", "EU"
    )
    assert ran.status == 0
    assert ran.out == f"{ACTOR.name}: actor.png added\n"
    listed = {found["name"]: found for found in sosie("likeness", "list", "--json").objects}
    assert set(listed[ACTOR.name]) == {"id", "name", "deceased", "holder", "territory", "references"}
    assert listed[ACTOR.name] | {"id": ""} == {
        "id": "",
        "name": ACTOR.name,
        "deceased": "2011-11-02",
        "holder": "Quillfether Estate",
        "territory": "EU",
        "references": 1,
    }
    assert listed[SINGER.name]["references"] == 3
    shown = sosie("likeness", "show", ACTOR.name.lower()).out
    for fact in (ACTOR.name, "deceased 2011-11-02", "Quillfether Estate", "territory: EU", "actor.png"):
        assert fact in shown


def test_the_same_picture_again_changes_nothing(furnished: Path, portrait_file: Path) -> None:
    sosie("likeness", "add", ACTOR.name, portrait_file)
    before = rows(furnished, *TABLES, "audit_events"), files(furnished), sosie("index", "show").out
    again = sosie("likeness", "add", ACTOR.name, portrait_file)
    assert again.status == 0
    assert "was there already; nothing changed" in again.out
    assert (rows(furnished, *TABLES, "audit_events"), files(furnished), sosie("index", "show").out) == before


def test_a_video_of_the_person_alone_gives_several_references(furnished: Path, tmp_path: Path) -> None:
    film(tmp_path / "actor.mp4", [ACTOR.person], seconds=4, seed=5, fps=8)
    ran = sosie("likeness", "add", ACTOR.name, tmp_path / "actor.mp4")
    assert ran.status == 0
    assert 1 <= len(ran.out.splitlines()) <= 5
    assert all("actor.mp4 at" in line and line.endswith("added") for line in ran.out.splitlines())
    assert rows(furnished, "references") == {"references": 6 + len(ran.out.splitlines())}


def _no_face(path: Path, person: Person) -> None:
    Image.fromarray(np.full((300, 300, 3), 90, np.uint8)).save(path)


def _several_faces(path: Path, person: Person) -> None:
    Image.fromarray(np.concatenate([portrait(person, Shot()), portrait(SINGER.person, Shot())], axis=1)).save(path)


def _too_small(path: Path, person: Person) -> None:
    picture(path, person, size=(84, 84))


def _blurred(path: Path, person: Person) -> None:
    Image.fromarray(cv2.GaussianBlur(portrait(person, Shot()), (0, 0), 5)).save(path)


@pytest.mark.parametrize(
    ("make", "reason", "next_step"),
    [
        (_no_face, "no face was found", "seen from the front"),
        (_several_faces, "there are 2 faces in it", "Cut the picture to the one person"),
        (_too_small, "the face is too small", "full resolution"),
        (_blurred, "the face is too blurred", "Give a sharper picture"),
    ],
)
def test_an_unusable_picture_is_refused_with_the_reason_and_the_next_step(
    furnished: Path, tmp_path: Path, make: object, reason: str, next_step: str
) -> None:
    assert callable(make)
    path = tmp_path / "unusable.png"
    make(path, ACTOR.person)
    before = rows(furnished, *TABLES, "audit_events"), files(furnished)
    ran = sosie("likeness", "add", ACTOR.name, path)
    assert ran.status == 1
    assert f"{path}: {reason}" in ran.err
    assert next_step in ran.err
    assert f"{ACTOR.name}: nothing was stored" in ran.err
    assert (rows(furnished, *TABLES, "audit_events"), files(furnished)) == before


def test_of_several_pictures_the_usable_ones_are_kept_and_the_others_named(furnished: Path, portrait_file: Path, tmp_path: Path) -> None:
    _no_face(tmp_path / "wall.png", ACTOR.person)
    ran = sosie("likeness", "add", ACTOR.name, tmp_path / "wall.png", portrait_file, tmp_path / "missing.png")
    assert ran.status == 1
    assert "actor.png added" in ran.out
    assert "wall.png: no face was found" in ran.err
    assert "missing.png: no such file. Check the path." in ran.err
    assert rows(furnished, "likenesses", "references") == {"likenesses": 3, "references": 7}


@pytest.mark.parametrize("content", [b"", b"just words", b"\x89PNG\r\n\x1a\n broken"])
def test_what_is_no_picture_is_refused(furnished: Path, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "thing.png").write_bytes(content)
    ran = sosie("likeness", "add", ACTOR.name, tmp_path / "thing.png")
    assert ran.status == 1
    assert f"{tmp_path / 'thing.png'}: " in ran.err
    assert rows(furnished, "likenesses") == {"likenesses": 2}


def test_a_removed_likeness_is_not_found_in_the_next_scan_and_its_pictures_are_gone(furnished: Path, clips: Path) -> None:
    assert sosie("scan", clips / "singer.mp4", "--json").objects[0]["matches"]
    pictures = set((furnished / "references").iterdir())
    ran = sosie("likeness", "remove", SINGER.name)
    assert ran.status == 0
    assert ran.out.startswith(f"{SINGER.name} was removed, with 3 pictures and 1 snapshots of the index.\nIndex ")
    assert len(pictures - set((furnished / "references").iterdir())) == 3
    assert sosie("scan", clips / "singer.mp4", "--json").objects[0]["matches"] == []
    assert rows(furnished, "cases", "references", "reference_vectors") == {"cases": 1, "references": 3, "reference_vectors": 3}
    assert sosie("index", "verify").status == 0


@pytest.mark.parametrize("command", ["show", "remove"])
def test_an_unknown_name_is_an_error_with_the_nearest_one(furnished: Path, command: str) -> None:
    ran = sosie("likeness", command, "Otilie Marowind")
    assert ran.status == 1
    assert (
        ran.err == f"sosie: Likeness 'Otilie Marowind': is not registered. Did you mean {SINGER.name}? `sosie likeness list` shows all.\n"
    )


def test_without_likenesses_the_list_says_how_to_add_one(home: Path) -> None:
    assert sosie("likeness", "list").out == "No likeness is registered. Add one: sosie likeness add NAME PICTURE…\n"


def test_the_table_keeps_its_words_whole_in_a_pipe(furnished: Path, portrait_file: Path) -> None:
    holder = "The Society for the Protection of the Likenesses of Performers of the Silver Screen and Stage"
    sosie("likeness", "add", ACTOR.name, portrait_file, "--holder", holder)
    assert holder in sosie("likeness", "list").out

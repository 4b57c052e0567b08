"""Enrolment: what becomes of a picture between a user's disk and the index."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import delete

from monitor.base.errors import NotFound, ReferenceRefused, SosieError
from monitor.cast.drawing import portrait
from monitor.cast.film import film
from monitor.cast.roster import STRANGERS
from monitor.cast.shot import Shot
from monitor.registry import likenesses, references
from monitor.registry.enrolment import Prepared
from monitor.registry.references import Reference, ReferenceVector
from monitor.scan.workshop import Workshop
from tests.monitor.household import ACTOR, SINGER, files, picture, rows


def singer_id(workshop: Workshop) -> str:
    with workshop.store.session(read_only=True) as session:
        return likenesses.get_likeness(session, SINGER.name).id


def test_a_picture_is_prepared_with_one_unit_vector_per_space_and_stores_nothing(workshop: Workshop, tmp_path: Path) -> None:
    home = workshop.settings.home
    before = files(home), rows(home, "references", "reference_vectors")
    (prepared,) = workshop.enrolment.prepare(picture(tmp_path / "actor.png", ACTOR.person))
    assert prepared.source == "actor.png"
    assert [vectors.shape for vectors in prepared.vectors] == [(1, space.dim) for space in workshop.models.face_spaces]
    assert np.linalg.norm(prepared.vectors[0]) == pytest.approx(1.0, abs=1e-5)
    x0, y0, x1, y1 = prepared.face_box
    assert 0 <= x0 < x1 <= 360
    assert 0 <= y0 < y1 <= 360
    assert (files(home), rows(home, "references", "reference_vectors")) == before


def keep(workshop: Workshop, likeness_id: str, prepared: Prepared) -> tuple[Reference, bool]:
    with workshop.store.session() as session:
        return workshop.enrolment.keep(session, likeness_id, prepared, actor="test")


def test_the_kept_copy_carries_nothing_of_the_files_metadata(workshop: Workshop, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010E] = "taken at home, by her sister"
    Image.fromarray(portrait(ACTOR.person, Shot())).save(tmp_path / "actor.jpg", exif=exif, quality=95)
    assert b"sister" in (tmp_path / "actor.jpg").read_bytes()
    (prepared,) = workshop.enrolment.prepare(tmp_path / "actor.jpg")
    reference, created = keep(workshop, singer_id(workshop), prepared)
    assert created
    kept = (workshop.settings.home / reference.file).read_bytes()
    assert b"sister" not in kept
    with Image.open(io.BytesIO(kept)) as copy:
        assert copy.format == "JPEG"
        assert copy.size == (360, 360)
        assert not copy.getexif()


def test_keeping_the_same_picture_again_changes_nothing(workshop: Workshop, tmp_path: Path) -> None:
    (prepared,) = workshop.enrolment.prepare(picture(tmp_path / "actor.png", ACTOR.person))
    first, _ = keep(workshop, singer_id(workshop), prepared)
    _, version = workshop.gallery.current()
    before = files(workshop.settings.home)
    second, created = keep(workshop, singer_id(workshop), prepared)
    assert (second.id, created) == (first.id, False)
    assert workshop.gallery.current()[1] == version
    assert files(workshop.settings.home) == before


def test_one_picture_may_stand_for_two_likenesses_and_outlives_the_first(workshop: Workshop, tmp_path: Path) -> None:
    (prepared,) = workshop.enrolment.prepare(picture(tmp_path / "actor.png", ACTOR.person))
    now = datetime.now(UTC)
    with workshop.store.session() as session:
        ids = [likenesses.add_likeness(session, name, actor="test", now=now)[0].id for name in ("One", "Other")]
    kept = [keep(workshop, likeness, prepared)[0] for likeness in ids]
    assert kept[0].file == kept[1].file
    with workshop.store.session() as session:
        assert likenesses.remove_likeness(session, ids[0], actor="test", now=now) == ()
        assert references.get_reference(session, kept[1].id)


def test_a_video_gives_a_few_frames_spread_over_it(workshop: Workshop, tmp_path: Path) -> None:
    film(tmp_path / "actor.mp4", [ACTOR.person], seconds=6, seed=5, fps=6)
    prepared = workshop.enrolment.prepare(tmp_path / "actor.mp4")
    assert 2 <= len(prepared) <= 5
    assert len({item.digest for item in prepared}) == len(prepared)
    times = [float(item.source.removeprefix("actor.mp4 at ").removesuffix(" s")) for item in prepared]
    assert times == sorted(times)
    assert times[-1] - times[0] > 2


def test_a_video_of_nobody_and_one_of_two_people_are_refused(workshop: Workshop, tmp_path: Path) -> None:
    film(tmp_path / "room.mp4", [], seconds=1, seed=1, fps=4)
    film(tmp_path / "duo.mp4", [ACTOR.person, STRANGERS[1].person], seconds=1, seed=3, fps=4)
    for name in ("room.mp4", "duo.mp4"):
        with pytest.raises(ReferenceRefused) as refused:
            workshop.enrolment.prepare(tmp_path / name)
        assert str(refused.value).startswith(f"{tmp_path / name}: no frame of the video shows exactly one clear face.")
        assert "in which the person is alone" in str(refused.value)


def test_what_is_not_there_is_not_found(workshop: Workshop, tmp_path: Path) -> None:
    for path in (tmp_path / "missing.png", tmp_path):
        with pytest.raises(NotFound):
            workshop.enrolment.prepare(path)


def test_rebuild_embeds_what_lacks_vectors_and_only_that(workshop: Workshop) -> None:
    (index,), version = workshop.gallery.current()
    assert workshop.enrolment.rebuild() == 0
    with workshop.store.session() as session:
        lost = list(index.references)[:2]
        session.execute(delete(ReferenceVector).where(ReferenceVector.reference_id.in_(lost)))
    assert workshop.enrolment.rebuild() == 2
    workshop.gallery.rebuild()
    (again,), _ = workshop.gallery.current()
    assert again.references == index.references
    assert version


def test_rebuild_names_the_picture_that_is_gone(workshop: Workshop) -> None:
    with workshop.store.session() as session:
        reference = references.references(session, singer_id(workshop))[0]
        session.execute(delete(ReferenceVector).where(ReferenceVector.reference_id == reference.id))
    (workshop.settings.home / reference.file).unlink()
    with pytest.raises(SosieError) as refused:
        workshop.enrolment.rebuild()
    assert str(refused.value).startswith(f"{reference.file}: is not in {workshop.settings.home} any more.")

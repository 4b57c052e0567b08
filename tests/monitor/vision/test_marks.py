"""The templates that are kept: what is taken, what is refused, and what their version promises."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from sqlalchemy import select

from monitor.base.database import Store
from monitor.base.errors import InForceUnreadable, NotFound, RequestRefused, SosieError, UnreadableMedia
from monitor.base.in_force import InForceItem
from monitor.intake.sandbox import Sandbox
from monitor.vision.marks import NO_MARKS, NOTHING, Watermarks, version_of
from tests.monitor.damage import damage
from tests.monitor.vision.marks import made_mark, other_mark, write_mark


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(workers=1, timeout_s=30, memory_bytes=2 * 1024**3) as made:
        yield made


@pytest.fixture
def kept(store: Store, tmp_path: Path, sandbox: Sandbox) -> Watermarks:
    return Watermarks(store, lambda: sandbox, tmp_path / "home")


@pytest.fixture
def png(tmp_path: Path) -> Path:
    return write_mark(tmp_path / "quill.png")


def test_a_home_without_marks_looks_for_none_and_starts_no_process(store: Store, tmp_path: Path) -> None:
    def none() -> Sandbox:
        raise AssertionError("nothing is to be decoded")

    kept = Watermarks(store, none, tmp_path)
    assert kept.kept() == ()
    assert kept.current() == NOTHING
    assert kept.current().version == NO_MARKS
    assert not (tmp_path / "watermarks").exists()


def test_what_is_added_is_looked_for_by_this_and_any_other_machine(
    kept: Watermarks, png: Path, tmp_path: Path, store: Store, sandbox: Sandbox
) -> None:
    other = Watermarks(store, lambda: sandbox, tmp_path / "another home")
    assert other.current() == NOTHING
    mark, new = kept.add("quill", png, "Quill")
    assert (mark.name, mark.generator, mark.added_by, new) == ("quill", "Quill", "command line", True)
    for each in (kept, other):
        (template,) = each.current().templates
        assert (template.name, template.generator) == ("quill", "Quill")
        assert template.luma.dtype == np.float32
    first = kept.current()
    assert kept.current() is first, "decoded once"


def test_adding_it_again_changes_nothing_and_another_picture_replaces_it(kept: Watermarks, png: Path, tmp_path: Path) -> None:
    first, _ = kept.add("quill", png, "Quill")
    version = kept.current().version
    assert kept.add("quill", png, "Quill") == (first, False)
    assert kept.current().version == version
    second, new = kept.add("quill", write_mark(tmp_path / "b.png", other_mark()), "Quill")
    assert new
    assert kept.kept() == (second,)
    assert second.sha256 != first.sha256


def test_the_version_changes_with_templates_names_and_generators_and_comes_back_with_them(kept: Watermarks, png: Path) -> None:
    versions = [kept.current().version]
    kept.add("quill", png, "Quill")
    versions.append(kept.current().version)
    kept.add("quill", png, "Quill 2")
    versions.append(kept.current().version)
    kept.add("feather", png, "Quill 2")
    versions.append(kept.current().version)
    assert len(set(versions)) == 4
    kept.remove("feather")
    assert kept.current().version == versions[2]
    kept.remove("quill")
    assert kept.current() == NOTHING


def test_removing_what_is_not_kept_says_so(kept: Watermarks) -> None:
    with pytest.raises(NotFound, match=r"Watermark 'quill': is not kept\. `sosie watermark list`"):
        kept.remove("quill")


def test_a_picture_loses_its_metadata(kept: Watermarks, store: Store, tmp_path: Path) -> None:
    told = PngInfo()
    told.add_text("Author", "somebody private")
    Image.fromarray(made_mark()).save(tmp_path / "a.png", pnginfo=told)
    assert b"somebody private" in (tmp_path / "a.png").read_bytes()
    mark, _ = kept.add("quill", tmp_path / "a.png")
    with store.session(read_only=True) as session:
        (stored,) = session.scalars(select(InForceItem.content)).all()
    assert hashlib.sha256(stored).hexdigest() == mark.sha256
    assert b"somebody private" not in stored
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(stored))), made_mark())


@pytest.mark.parametrize(
    ("picture", "reason"),
    [
        (np.zeros((40, 40, 4), np.uint8), "is wholly transparent"),
        (np.full((40, 40, 3), 90, np.uint8), "shows nothing: all of it has nearly the same brightness"),
        (np.random.default_rng(1).integers(0, 255, (6, 40, 3), np.uint8), "shows a mark of 40x6 pixels"),
    ],
)
def test_a_picture_that_shows_no_mark_is_refused_and_nothing_is_kept(
    kept: Watermarks, tmp_path: Path, picture: np.ndarray, reason: str
) -> None:
    file = write_mark(tmp_path / "bad.png", picture)
    with pytest.raises(RequestRefused) as refused:
        kept.add("bad", file)
    assert str(refused.value).startswith(f"{file}: {reason}")
    assert "Give a picture of nothing but the mark" in str(refused.value)
    assert kept.kept() == ()


def test_what_is_no_picture_is_refused(kept: Watermarks, tmp_path: Path) -> None:
    (tmp_path / "words.png").write_text("words")
    with pytest.raises(UnreadableMedia, match="is no picture"):
        kept.add("words", tmp_path / "words.png")
    with pytest.raises(NotFound):
        kept.add("words", tmp_path / "missing.png")
    assert kept.kept() == ()


@pytest.mark.parametrize("name", ["", " quill", "a\nb", "x" * 81])
def test_a_name_that_would_not_stand_on_one_line_is_refused(kept: Watermarks, png: Path, name: str) -> None:
    with pytest.raises(RequestRefused, match="The name"):
        kept.add(name, png)
    with pytest.raises(RequestRefused, match="The generator"):
        kept.add("quill", png, name)


@pytest.mark.parametrize("mend", ["the same", "another", "remove"])
def test_a_template_whose_bytes_changed_is_not_used_and_can_be_replaced_or_removed_unread(
    kept: Watermarks, png: Path, tmp_path: Path, store: Store, sandbox: Sandbox, mend: str
) -> None:
    kept.add("my quill", png)
    damage(store, "watermark")
    with pytest.raises(InForceUnreadable, match="what the database holds is not what was put in force") as caught:
        Watermarks(store, lambda: sandbox, tmp_path / "home").current()
    assert caught.value.next_step.split("`")[1::2] == ["sosie watermark add 'my quill' TEMPLATE.png", "sosie watermark remove 'my quill'"]
    assert [mark.damage is None for mark in kept.kept()] == [False]
    if mend == "remove":
        kept.remove("my quill")
    else:
        assert kept.add("my quill", png if mend == "the same" else write_mark(tmp_path / "b.png", other_mark()))[1]
    assert len(kept.current().templates) == (mend != "remove")


def of_before(home: Path, png: Path) -> None:
    """HOME/watermarks as release 0.1 left it."""
    (home / "watermarks").mkdir(parents=True)
    data = png.read_bytes()
    sha256 = hashlib.sha256(data).hexdigest()
    (home / "watermarks" / f"{sha256}.png").write_bytes(data)
    mark = {"name": "quill", "generator": "Quill", "sha256": sha256, "added_at": "2026-01-02"}
    (home / "watermarks" / "manifest.json").write_text(json.dumps({"marks": [mark]}))


def test_the_marks_of_release_0_1_are_taken_over_with_their_version(store: Store, png: Path, tmp_path: Path, sandbox: Sandbox) -> None:
    of_before(tmp_path / "old", png)
    taken = Watermarks(store, lambda: sandbox, tmp_path / "old")
    assert [template.name for template in taken.current().templates] == ["quill"]
    assert taken.current().version == version_of(taken.kept())
    assert [(mark.generator, mark.added_at[:10], mark.added_by) for mark in taken.kept()] == [("Quill", "2026-01-02", "release 0.1")]
    assert Watermarks(store, lambda: sandbox, tmp_path / "another").current().version == taken.current().version


def test_a_manifest_of_release_0_1_that_is_none_is_an_error_until_a_mark_is_added(
    store: Store, png: Path, tmp_path: Path, sandbox: Sandbox
) -> None:
    (tmp_path / "home" / "watermarks").mkdir(parents=True)
    file = tmp_path / "home" / "watermarks" / "manifest.json"
    for text in ("", "[]", json.dumps({"marks": [{"name": "x"}]})):
        file.write_text(text)
        with pytest.raises(InForceUnreadable, match=r"manifest\.json: is of release 0\.1 and cannot be taken over"):
            Watermarks(store, lambda: sandbox, tmp_path / "home").kept()
    Watermarks(store, lambda: sandbox, tmp_path / "home").add("quill", png)
    assert len(Watermarks(store, lambda: sandbox, tmp_path / "home").current().templates) == 1


def test_several_that_add_at_once_lose_nothing(store: Store, tmp_path: Path, sandbox: Sandbox, png: Path) -> None:
    def add(number: int) -> None:
        Watermarks(store, lambda: sandbox, tmp_path / "home").add(f"mark {number}", png)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, range(8)))
    assert len(Watermarks(store, lambda: sandbox, tmp_path / "home").kept()) == 8


def test_errors_are_sosies_own(kept: Watermarks, tmp_path: Path) -> None:
    with pytest.raises(SosieError):
        kept.add("folder", tmp_path)

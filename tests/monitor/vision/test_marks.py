"""The templates that are kept: what is taken, what is refused, and what their version promises."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from monitor.base.errors import ConfigError, NotFound, RequestRefused, SosieError, UnreadableMedia
from monitor.intake.sandbox import Sandbox
from monitor.vision.marks import NO_MARKS, NOTHING, Watermarks
from tests.monitor.vision.marks import made_mark, other_mark, write_mark


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(workers=1, timeout_s=30, memory_bytes=2 * 1024**3) as made:
        yield made


@pytest.fixture
def kept(tmp_path: Path, sandbox: Sandbox) -> Watermarks:
    return Watermarks(tmp_path / "home", lambda: sandbox)


@pytest.fixture
def png(tmp_path: Path) -> Path:
    return write_mark(tmp_path / "quill.png")


def test_a_home_without_marks_looks_for_none_and_starts_no_process(tmp_path: Path) -> None:
    def none() -> Sandbox:
        raise AssertionError("nothing is to be decoded")

    kept = Watermarks(tmp_path, none)
    assert kept.kept() == ()
    assert kept.current() == NOTHING
    assert kept.current().version == NO_MARKS
    assert not (tmp_path / "watermarks").exists()


def test_what_is_added_is_looked_for_by_this_and_any_other_process(kept: Watermarks, png: Path, tmp_path: Path, sandbox: Sandbox) -> None:
    mark, new = kept.add("quill", png, "Quill")
    assert (mark.name, mark.generator, new) == ("quill", "Quill", True)
    for each in (kept, Watermarks(tmp_path / "home", lambda: sandbox)):
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
    assert [path.name for path in (tmp_path / "home" / "watermarks").glob("*.png")] == [f"{second.sha256}.png"]


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


def test_a_picture_loses_its_metadata(kept: Watermarks, tmp_path: Path) -> None:
    told = PngInfo()
    told.add_text("Author", "somebody private")
    Image.fromarray(made_mark()).save(tmp_path / "a.png", pnginfo=told)
    assert b"somebody private" in (tmp_path / "a.png").read_bytes()
    mark, _ = kept.add("quill", tmp_path / "a.png")
    stored = (tmp_path / "home" / "watermarks" / f"{mark.sha256}.png").read_bytes()
    assert b"somebody private" not in stored
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "home" / "watermarks" / f"{mark.sha256}.png")), made_mark())


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


def test_a_template_whose_bytes_changed_is_not_used(kept: Watermarks, png: Path, tmp_path: Path, sandbox: Sandbox) -> None:
    mark, _ = kept.add("quill", png)
    file = tmp_path / "home" / "watermarks" / f"{mark.sha256}.png"
    for spoil in (lambda: write_mark(file, other_mark()), file.unlink):
        spoil()
        with pytest.raises(ConfigError, match="is missing or was changed"):
            Watermarks(tmp_path / "home", lambda: sandbox).current()


def test_a_manifest_that_is_none_is_an_error_that_names_it(kept: Watermarks, png: Path, tmp_path: Path) -> None:
    kept.add("quill", png)
    file = tmp_path / "home" / "watermarks" / "manifest.json"
    for text in ("", "[]", json.dumps({"marks": [{"name": "x"}]})):
        file.write_text(text)
        with pytest.raises(ConfigError, match="is no manifest of watermarks"):
            kept.kept()


def test_several_that_add_at_once_lose_nothing(tmp_path: Path, sandbox: Sandbox, png: Path) -> None:
    def add(number: int) -> None:
        Watermarks(tmp_path / "home", lambda: sandbox).add(f"mark {number}", png)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, range(8)))
    assert len(Watermarks(tmp_path / "home", lambda: sandbox).kept()) == 8


def test_errors_are_sosies_own(kept: Watermarks, tmp_path: Path) -> None:
    with pytest.raises(SosieError):
        kept.add("folder", tmp_path)

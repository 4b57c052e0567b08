"""Which files a message may name."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitor.base.errors import FetchRefused
from monitor.intake.local import allowed_source


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder that events may name, beside one that they may not."""
    for name in ("uploads", "uploads-private", "private"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "clip.mp4").touch()
    return tmp_path / "uploads"


@pytest.mark.parametrize("uri", ["https://videos.example/a%2e%2e/clip.mp4?x=1#y", "http://a/", "ftp://a/b", "s3://a/b"])
def test_what_is_no_file_is_left_for_fetch_to_judge(folder: Path, uri: str) -> None:
    assert allowed_source(uri, None) == uri
    assert allowed_source(uri, folder) == uri


def test_a_file_below_the_folder_is_allowed_as_its_path(folder: Path) -> None:
    clip = folder / "a b é #1?.mp4"
    clip.touch()
    (folder / "deep").mkdir()
    assert allowed_source(clip.as_uri(), folder) == str(clip)
    for uri in (f"file://localhost{folder}/clip.mp4", f"FILE://{folder}/clip.mp4", f"file://{folder}/deep/../clip.mp4"):
        assert allowed_source(uri, folder) == str(folder / "clip.mp4")


def test_a_file_that_is_not_there_is_left_for_fetch_to_tell(folder: Path) -> None:
    assert allowed_source(f"file://{folder}/missing.mp4", folder) == str(folder / "missing.mp4")


def test_the_folder_may_be_a_link_and_given_relatively(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    Path("link").symlink_to(folder)
    for named in (Path("link"), Path("uploads"), Path("private/../uploads")):
        assert allowed_source(f"file://{folder}/clip.mp4", named) == str(folder / "clip.mp4")
    assert allowed_source(f"file://{folder.parent}/link/clip.mp4", folder) == str(folder / "clip.mp4")


@pytest.mark.parametrize("uri", ["file:///etc/passwd", "file:///", "file:", "FILE:///etc/passwd", "file:clip.mp4", "file://"])
def test_without_a_folder_no_file_may_be_named(uri: str) -> None:
    with pytest.raises(FetchRefused, match="SOSIE_WORKER_FILES"):
        allowed_source(uri, None)


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "{parent}/private/clip.mp4",
        "{parent}/uploads-private/clip.mp4",
        "{parent}/uploads/../private/clip.mp4",
        "{parent}/uploads/%2e%2e/private/clip.mp4",
        "{parent}/uploads/%2E%2E%2Fprivate%2Fclip.mp4",
        "{parent}/uploads/.%2e/private/clip.mp4",
        "{parent}/uploads/linked.mp4",
        "{parent}/uploads/linked/clip.mp4",
        "{parent}",
        "/",
        "/%2fetc/passwd",
    ],
)
def test_a_path_that_leads_out_of_the_folder_is_refused(folder: Path, path: str) -> None:
    (folder / "linked.mp4").symlink_to(folder.parent / "private" / "clip.mp4")
    (folder / "linked").symlink_to(folder.parent / "private")
    with pytest.raises(FetchRefused, match="leads out of SOSIE_WORKER_FILES"):
        allowed_source("file://" + path.format(parent=folder.parent), folder)


@pytest.mark.parametrize("host", ["elsewhere", "127.0.0.1", "localhost:80", "user@localhost", "[::1]"])
def test_a_file_of_another_host_is_refused(folder: Path, host: str) -> None:
    with pytest.raises(FetchRefused, match="names another host"):
        allowed_source(f"file://{host}{folder}/clip.mp4", folder)


@pytest.mark.parametrize("tail", ["a%00b.mp4", "loop/clip.mp4"])
def test_a_path_that_is_none_is_refused(folder: Path, tail: str) -> None:
    (folder / "loop").symlink_to(folder / "loop")
    with pytest.raises(FetchRefused, match="not a well-formed path"):
        allowed_source(f"file://{folder}/{tail}", folder)


@pytest.mark.parametrize("uri", ["file://[", "file://[::1/x", "file://a]b/"])
def test_an_address_that_is_none_is_refused(folder: Path, uri: str) -> None:
    with pytest.raises(FetchRefused, match="not a well-formed"):
        allowed_source(uri, folder)


def test_a_name_longer_than_any_is_judged_like_others(folder: Path) -> None:
    long = f"{folder}/{'a' * 5000}"
    assert allowed_source(f"file://{long}", folder) == long
    with pytest.raises(FetchRefused, match="leads out"):
        allowed_source(f"file://{folder}/{'../' * 2000}etc", folder)


def test_what_is_refused_names_no_path_of_the_message(folder: Path) -> None:
    with pytest.raises(FetchRefused) as refused:
        allowed_source("file:///home/somebody/secret.mp4", folder)
    assert "somebody" not in str(refused.value)

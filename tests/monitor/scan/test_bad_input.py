"""Bad input to `sosie scan`: each gets its error and its code, and costs its neighbours and what is stored nothing."""

from __future__ import annotations

import re
import signal
import sqlite3
import subprocess
import threading
import tracemalloc
import wave
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.monitor.household import ACTOR, SINGER, Household, Ran, files, long_film, picture, rows, sosie
from tests.monitor.intake.servers import OK, drip, file_server, raw_server
from tests.monitor.vision import footage

Scanned = tuple[Ran, dict[str, dict[str, Any]]]


@pytest.fixture(scope="module")
def local(household: Household, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scanned]:
    """One scan of everything that is wrong on a disk, with a good video before, between and after."""
    folder = tmp_path_factory.mktemp("bad")
    (folder / "empty.mp4").touch()
    (folder / "text.mp4").write_text("It is a truth universally acknowledged\n" * 50)
    (folder / "folder-of-nothing").mkdir()
    (folder / "folder-of-nothing" / "notes.txt").write_text("none")
    _sound(folder / "sound.wav")
    picture(folder / "picture.png", SINGER.person)
    (folder / "picture.mp4").write_bytes((folder / "picture.png").read_bytes())
    (folder / "video.txt").write_bytes((household.clips / "stranger.mp4").read_bytes())
    (folder / "cut.mp4").write_bytes((household.clips / "singer.mp4").read_bytes()[:2000])
    footage.film(folder / "one-frame.mp4", 1)
    singer, athlete = household.clips / "singer.mp4", household.clips / "athlete.mp4"
    sources: list[str | Path] = [singer, *sorted(folder.iterdir()), folder / "missing.mp4", "http://127.0.0.1:9/clip.mp4", athlete]
    with pytest.MonkeyPatch.context() as patch:
        home = _environment(patch, household, folder / "home")
        ran = sosie("scan", *sources, "--json")
        yield ran, {Path(found["source"]).name: found for found in ran.objects}
        assert rows(home, "likenesses", "references") == {"likenesses": 2, "references": 6}


@pytest.fixture(scope="module")
def remote(household: Household, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scanned]:
    """One scan of servers that misbehave, and of a good one; loopback is allowed, as on an intranet."""
    folder = tmp_path_factory.mktemp("remote")
    clip = (household.clips / "stranger.mp4").read_bytes()
    answer = OK + b"Content-Length: %d\r\n\r\n" % len(clip) + clip
    slow = OK + b"Content-Length: 50000\r\n\r\n"
    with (
        pytest.MonkeyPatch.context() as patch,
        file_server() as files,
        raw_server(answer) as good,
        raw_server(slow, drip(b"x", 0.05)) as dripping,
    ):
        home = _environment(patch, household, folder / "home")
        patch.setenv("SOSIE_FETCH_ALLOW_PRIVATE", "true")
        patch.setenv("SOSIE_FETCH_TIMEOUT_S", "3")
        patch.setenv("SOSIE_FETCH_MAX_BYTES", "60000")
        names = {
            "good": good,
            "drip": dripping,
            "redirect": files.url("/to?http://169.254.169.254/latest/meta-data/"),
            "gone": files.url("/status/404"),
            "broken": files.url("/status/503"),
            "loop": files.url("/loop"),
            "large": files.url("/clip"),
        }
        ran = sosie("scan", *names.values(), "--json")
        yield ran, dict(zip(names, ran.objects, strict=True))
        assert list((home / "scratch").iterdir()) == []


@pytest.mark.parametrize(
    ("name", "code", "reason", "next_step"),
    [
        ("missing.mp4", "not_found", "no such file", "Check the path"),
        ("folder-of-nothing", "not_a_video", "holds no video (1 files looked into)", "Give a folder with videos"),
        ("sound.wav", "not_a_video", "sound file", "Sosie looks at faces, not at voices"),
        ("picture.png", "not_a_video", "PNG picture", "sosie likeness add"),
        ("picture.mp4", "not_a_video", "PNG picture", "sosie likeness add"),
        ("empty.mp4", "not_a_video", "empty", "again"),
        ("text.mp4", "not_a_video", "text file", "Give"),
        ("cut.mp4", "unreadable_media", "", "again"),
        ("clip.mp4", "blocked_address", "127.0.0.1 is a loopback address", "SOSIE_FETCH_ALLOW_PRIVATE"),
    ],
)
def test_what_cannot_be_scanned_says_why_and_what_to_do(local: Scanned, name: str, code: str, reason: str, next_step: str) -> None:
    _, found = local
    assert set(found[name]) == {"source", "error"}
    _says(found[name], code, name, reason, next_step)


@pytest.mark.parametrize("name", ["singer.mp4", "athlete.mp4", "one-frame.mp4", "video.txt"])
def test_what_is_a_video_is_scanned_whatever_its_name_length_and_neighbours(local: Scanned, name: str) -> None:
    _, found = local
    assert "assessment" in found[name], found[name]


def test_a_scan_with_failures_exits_with_2_and_reports_every_source_once(local: Scanned) -> None:
    ran, found = local
    assert ran.status == 2
    assert len(ran.objects) == len(found) == 13
    assert "Traceback" not in ran.err


@pytest.mark.parametrize(
    ("name", "code", "reason", "next_step"),
    [
        ("drip", "fetch_failed", "did not arrive within 3 s", "SOSIE_FETCH_TIMEOUT_S"),
        ("redirect", "blocked_address", "169.254.169.254 is a cloud's metadata service", "Give a public address"),
        ("gone", "fetch_refused", "the server answers 404", "Check the address"),
        ("broken", "fetch_failed", "the server answers 503", "Try again later"),
        ("loop", "fetch_refused", "redirects more than 5 times", "Give the final address"),
        ("large", "too_large", "102400 bytes, 60000 are allowed", "SOSIE_FETCH_MAX_BYTES"),
    ],
)
def test_servers_that_misbehave_cost_only_their_own_video(remote: Scanned, name: str, code: str, reason: str, next_step: str) -> None:
    ran, found = remote
    assert ran.status == 2
    assert "assessment" in found["good"], found["good"]
    _says(found[name], code, "http://", reason, next_step)


def test_a_folder_of_nothing_but_words_is_an_error_of_its_own(home: Path, tmp_path: Path) -> None:
    (tmp_path / "papers").mkdir()
    (tmp_path / "papers" / "notes.txt").write_text("none")
    ran = sosie("scan", tmp_path / "papers")
    assert ran.status == 2
    assert "papers: the folder holds no video (1 files looked into). Give a folder with videos" in ran.err


@pytest.mark.parametrize("pictures", [60, pytest.param(540, marks=pytest.mark.long)])
def test_three_hours_are_scanned_within_bounded_memory(furnished: Path, clips: Path, tmp_path: Path, pictures: int) -> None:
    length_s = pictures * 20
    film = long_film(tmp_path / "hours.mp4", length_s, change_every_s=20, scale=2)
    sosie("scan", clips / "stranger.mp4")  # what is loaded only once is loaded now
    tracemalloc.start()
    try:
        (found,) = sosie("scan", film, "--json").objects
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 540 * 128 * 72 * 3  # less than the different pictures of the longest would take together
    print(f"{pictures} pictures, {peak_bytes:,} bytes, they are {pictures * 128 * 72 * 3:,}")
    # less than its different pictures would take together
    assert found["duration"] == pytest.approx(length_s, abs=2)
    assert "truncated_at" not in found


def test_more_than_max_hours_says_how_far_it_was_scanned(
    furnished: Path, clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = long_film(tmp_path / "an-hour.mp4", 3600, change_every_s=60)
    assert "truncated_at" not in sosie("scan", film, "--json").objects[0]
    monkeypatch.setenv("SOSIE_MAX_HOURS", "0.1")
    (found,) = sosie("scan", film, "--json").objects
    assert found["truncated_at"] == pytest.approx(360, abs=2)
    assert "Only the first 6:00.0 were scanned (SOSIE_MAX_HOURS)" in sosie("scan", film).out
    monkeypatch.setenv("SOSIE_MAX_HOURS", "4")
    assert "truncated_at" not in sosie("scan", film, "--json").objects[0]


def test_a_policy_with_an_unknown_signal_is_named_with_its_line(
    furnished: Path, clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = sosie("policy", "show").out
    line = next(number for number, text in enumerate(shipped.splitlines(), 1) if text.startswith("  tampered:"))
    policy = tmp_path / "policy.yaml"
    policy.write_text(re.sub("^  tampered:", "  vibes:", shipped, flags=re.MULTILINE))
    monkeypatch.setenv("SOSIE_POLICY", str(policy))
    ran = sosie("scan", clips / "singer.mp4")
    assert ran.status == 1
    assert ran.out == ""
    assert f"{policy}:{line}:3: vibes is not a signal. Signals are: face_match" in ran.err
    assert rows(furnished, "posts") == {"posts": 0}
    monkeypatch.delenv("SOSIE_POLICY")
    assert sosie("scan", clips / "singer.mp4").status == 0


def test_a_locked_database_costs_the_scan_and_loses_nothing(furnished: Path, clips: Path) -> None:
    before = rows(furnished, "likenesses", "references", "posts")
    with closing(sqlite3.connect(furnished / "sosie.sqlite3", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        ran = sosie("scan", "--json", clips / "singer.mp4")
    assert (ran.status, ran.out) == (1, ""), "no fault of the video's"
    assert f"{furnished / 'sosie.sqlite3'}: another process has locked it. Try again;" in ran.err
    assert rows(furnished, "likenesses", "references", "posts") == before
    assert sosie("scan", clips / "singer.mp4").status == 0


def test_a_full_disk_loses_nothing_and_the_command_works_again_once_there_is_room(
    household: Household, clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _small_disk(tmp_path / "disk") as disk:
        home = _environment(monkeypatch, household, disk / "home")
        actor = picture(tmp_path / "actor.png", ACTOR.person)
        assert sosie("scan", clips / "stranger.mp4").status == 0
        before = rows(home, "likenesses", "references", "posts", "cases"), files(home)
        with (disk / "filler").open("wb", buffering=0) as filler, suppress(OSError):
            while filler.write(bytes(4096)):
                pass

        scanned = sosie("scan", clips / "singer.mp4", "--json")
        added = sosie("likeness", "add", ACTOR.name, actor)
        assert scanned.status in (1, 2)  # whatever is met first: the database's own files, or the evidence
        assert added.status == 1
        for said in (scanned.err + scanned.out, added.err):
            assert str(home) in said
            assert re.search("the disk is full|no space is left on the disk", said)
            assert "Free some space and try again" in said
            assert "Traceback" not in said

        (disk / "filler").unlink()
        kept = files(home)
        assert {name: kept.get(name) for name in before[1]} == before[1]
        assert rows(home, "references", "posts", "cases") == {name: before[0][name] for name in ("references", "posts", "cases")}
        assert sosie("likeness", "add", ACTOR.name, actor).status == 0
        assert sosie("scan", clips / "singer.mp4", "--json").objects[0]["assessment"]["flagged"]
        assert sosie("index", "verify").status == 0


@pytest.mark.parametrize(
    ("sent", "code", "reason"),
    [
        (signal.SIGKILL, "decoder_died", "its worker was ended by SIGKILL"),
        (signal.SIGSTOP, "decoder_timeout", "it was not decoded within 4 s, and its worker was killed"),
    ],
)
def test_a_worker_that_dies_or_hangs_costs_its_video_and_nothing_else(
    furnished: Path, clips: Path, long_video: Path, monkeypatch: pytest.MonkeyPatch, sent: signal.Signals, code: str, reason: str
) -> None:
    monkeypatch.setenv("SOSIE_DECODE_TIMEOUT_S", "4")
    with _every_worker_on(long_video, sent):
        ran = sosie("scan", clips / "singer.mp4", long_video, clips / "stranger.mp4", "--json")
    assert ran.status == 2
    before, struck, after = ran.objects
    assert before["assessment"]["flagged"]
    _says(struck, code, str(long_video), reason, "If the file is genuine, raise SOSIE_DECODE_")
    assert not after["assessment"]["flagged"]
    assert rows(furnished, "videos", "posts", "cases") == {"videos": 2, "posts": 2, "cases": 1}
    assert _workers_on(long_video) == []


def _says(found: dict[str, Any], code: str, thing: str, reason: str, next_step: str) -> None:
    assert found["error"]["code"] == code
    text = found["error"]["text"]
    assert thing in text
    assert reason in text
    assert next_step in text
    assert text.endswith(".")


def _environment(patch: pytest.MonkeyPatch, household: Household, home: Path) -> Path:
    patch.setenv("SOSIE_HOME", str(home))
    patch.setenv("SOSIE_THREADS", "1")
    return household.copy_home(home)


def _sound(path: Path) -> None:
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(16000))


@contextmanager
def _small_disk(place: Path) -> Iterator[Path]:
    """A file system of a few MiB; skips, loudly, where none may be mounted."""
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(place)], capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"A FULL DISK IS NOT COVERED BY THIS RUN: no file system can be mounted here ({mounted.stderr.strip()}); run as root")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@contextmanager
def _every_worker_on(video: Path, sent: signal.Signals) -> Iterator[None]:
    """Send a signal to each worker of this process that has the video open."""
    over = threading.Event()

    def strike() -> None:
        while not over.wait(0.005):
            for worker in _workers_on(video):
                worker.send_signal(sent)

    thread = threading.Thread(target=strike)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _workers_on(video: Path) -> list[psutil.Process]:
    found = []
    for child in psutil.Process().children():
        with suppress(psutil.Error):
            if any(Path(file.path) == video for file in child.open_files()):
                found.append(child)
    return found

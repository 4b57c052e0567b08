"""`sosie scan`: what a user, a script and a spreadsheet get of it."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from html.parser import HTMLParser
from pathlib import Path

import psutil
import pytest

from tests.monitor.household import ATHLETE, SINGER, finished, rows, script, sosie

TABLES = ("videos", "posts", "cases", "case_posts", "assessments")


def test_a_deepfake_of_a_protected_person_opens_a_case_and_says_why(furnished: Path, clips: Path) -> None:
    ran = sosie("scan", clips / "singer.mp4")
    assert ran.status == 0
    assert "FLAGGED" in ran.out
    assert f"Match: {SINGER.name}" in ran.out
    assert "opened" in ran.out
    assert f"{SINGER.name} died on 14 March 2019" in ran.out
    assert rows(furnished, *TABLES) == dict.fromkeys(TABLES, 1)


def test_a_stranger_is_clear_and_opens_nothing(furnished: Path, clips: Path) -> None:
    ran = sosie("scan", clips / "stranger.mp4")
    assert ran.status == 0
    assert "clear" in ran.out
    assert "No protected likeness was found." in ran.out
    assert rows(furnished, *TABLES) == {"videos": 1, "posts": 1, "cases": 0, "case_posts": 0, "assessments": 1}


def test_json_has_the_promised_fields(furnished: Path, clips: Path) -> None:
    (found,) = sosie("scan", clips / "singer.mp4", "--json").objects
    assert set(found) == {"source", "sha256", "duration", "provenance", "watermarks", "matches", "assessment", "seconds"}
    assert found["source"] == str(clips / "singer.mp4")
    assert re.fullmatch("[0-9a-f]{64}", found["sha256"])
    assert found["duration"] == 3.0
    assert set(found["provenance"]) == {"state", "trust_list", "ai", "signals"}
    (match,) = found["matches"]
    assert set(match) == {"likeness", "score", "frames", "ranges"}
    assert all(0 <= start < end <= 3.0 for start, end in match["ranges"])
    assessment = found["assessment"]
    assert set(assessment) == {"risk", "flagged", "reasons", "policy", "index", "model", "watermarks", "probe"}
    assert assessment["flagged"]
    assert {"face_match", "deceased_no_capture"} <= {reason["code"] for reason in assessment["reasons"]}
    assert all(set(reason) == {"code", "weight", "text"} for reason in assessment["reasons"])


def test_the_same_file_twice_is_one_case_with_two_posts(furnished: Path, clips: Path, tmp_path: Path) -> None:
    copy = tmp_path / "reposted.mp4"
    copy.write_bytes((clips / "singer.mp4").read_bytes())
    first = sosie("scan", clips / "singer.mp4")
    second = sosie("scan", copy)
    assert "opened" in first.out
    assert "joined" in second.out
    assert rows(furnished, *TABLES) == {"videos": 1, "posts": 2, "cases": 1, "case_posts": 2, "assessments": 2}


def test_a_known_post_is_judged_anew_with_what_is_on_record_of_it(furnished: Path, clips: Path) -> None:
    singer = clips / "singer.mp4"
    assert sosie("scan", singer, "--post", "first", "--account", "@somebody").status == 0
    assert sosie("likeness", "remove", SINGER.name).status == 0
    again = sosie("scan", singer, "--post", "first")
    assert "No protected likeness was found." in again.out
    assert rows(furnished, "posts", "superseded_assessments") == {"posts": 1, "superseded_assessments": 1}
    with closing(sqlite3.connect(furnished / "sosie.sqlite3")) as database:
        assert database.execute("SELECT count(*) FROM assessments WHERE flagged").fetchone() == (0,), "no old flag stands"
        assert database.execute("SELECT account FROM posts").fetchall() == [("@somebody",)]

    told = sosie("scan", singer, "--post", "first", "--account", "@other")
    assert (told.status, "is known, and what is on record of it counts" in told.err) == (1, True)
    two = sosie("scan", singer, clips / "stranger.mp4", "--post", "first")
    assert (two.status, "one post's identity, and 2 videos are given" in two.err) == (1, True)
    other = sosie("scan", clips / "stranger.mp4", "--post", "first")
    assert (other.status, "is known with other bytes" in other.err) == (2, True)


def test_the_licensed_account_is_cleared_and_no_other(furnished: Path, clips: Path) -> None:
    assert ATHLETE.licensee
    licensed = sosie("scan", clips / "athlete.mp4", "--account", ATHLETE.licensee, "--json").objects[0]
    other = sosie("scan", clips / "athlete.mp4", "--account", "@somebody", "--json").objects[0]
    assert licensed["matches"][0]["likeness"] == other["matches"][0]["likeness"]
    assert "consent" in {reason["code"] for reason in licensed["assessment"]["reasons"]}
    assert "consent" not in {reason["code"] for reason in other["assessment"]["reasons"]}
    assert licensed["assessment"]["risk"] < other["assessment"]["risk"]


def test_a_folder_is_its_videos_whatever_their_names(furnished: Path, clips: Path, tmp_path: Path) -> None:
    folder = tmp_path / "uploads"
    (folder / "deeper").mkdir(parents=True)
    (folder / "deeper" / "clip.txt").write_bytes((clips / "stranger.mp4").read_bytes())
    (folder / "notes.mp4").write_text("shopping list")
    ran = sosie("scan", folder, "--json")
    assert ran.status == 0
    assert [found["source"] for found in ran.objects] == [str(folder / "deeper" / "clip.txt")]
    assert "1 videos; 1 other files left out" in ran.err


def test_the_time_of_a_post_is_utc_wherever_the_machine_stands(furnished: Path, clips: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sosie("consent", "grant", SINGER.name, "@tribute", "--from", "2026-01-01", "--until", "2026-02-01")
    scan = ("scan", clips / "singer.mp4", "--account", "@tribute", "--json", "--posted-at")
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")  # 14 hours ahead
    time.tzset()
    try:
        last, over = (sosie(*scan, moment).objects[0] for moment in ("2026-01-31T23:59:59", "2026-02-01"))
    finally:
        monkeypatch.delenv("TZ")
        time.tzset()
    assert (last["assessment"]["flagged"], over["assessment"]["flagged"]) == (False, True)


def test_the_report_needs_nothing_but_itself(furnished: Path, clips: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    ran = sosie("scan", clips / "singer.mp4", clips / "stranger.mp4", tmp_path / "missing.mp4", "--report", report)
    assert ran.status == 2
    page = _Page(report.read_text(encoding="utf-8"))
    assert page.addresses
    assert all(address.startswith(("data:image/jpeg;base64,", "#")) for address in page.addresses)
    assert SINGER.name in page.text
    assert "died on 14 March 2019" in page.text
    assert "missing.mp4" in page.text
    assert "no such file" in page.text
    assert len([address for address in page.addresses if address.startswith("data:image/jpeg")]) >= 2  # a still, its reference


def test_a_report_that_cannot_be_written_says_so_and_the_scan_counts(furnished: Path, clips: Path, tmp_path: Path) -> None:
    ran = sosie("scan", clips / "singer.mp4", "--report", tmp_path / "report.html" / "inside.html" / "a")
    assert ran.status == 0
    (tmp_path / "taken").write_text("a file")
    ran = sosie("scan", clips / "singer.mp4", "--report", tmp_path / "taken" / "report.html")
    assert ran.status == 1
    assert "the report cannot be written" in ran.err
    assert "Name a file in a folder that exists" in ran.err
    assert rows(furnished, "cases", "case_posts") == {"cases": 1, "case_posts": 2}


@pytest.fixture
def read_only_fingerprints(furnished: Path) -> Iterator[Path]:
    folder = furnished / "fingerprints"
    folder.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("READ-ONLY HOME NOT TESTED: mounting one needs root")
    yield furnished
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_fault_of_our_own_stops_the_scan_and_blames_no_video(read_only_fingerprints: Path, clips: Path) -> None:
    ran = sosie("scan", clips / "singer.mp4", clips / "stranger.mp4", "--json")
    assert ran.status == 1
    assert ran.out == ""
    assert "Read-only file system" in ran.err
    assert "Mount it for writing again" in ran.err
    assert "singer.mp4" not in ran.err
    assert rows(read_only_fingerprints, *TABLES) == dict.fromkeys(TABLES, 0)


def test_misuse_is_status_2_with_usage() -> None:
    ran = sosie("scan")
    assert ran.status == 2
    assert "Usage" in ran.err


def test_ctrl_c_ends_the_scan_its_workers_and_keeps_what_is_done(furnished: Path, clips: Path, long_video: Path) -> None:
    process = script("scan", clips / "singer.mp4", long_video, "--json", start_new_session=True)
    assert process.stdout
    assert "singer.mp4" in process.stdout.readline()
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: the workers get it too
    ran = finished(process)
    assert ran.status == 130
    assert "interrupted; what was stored stays" in ran.err
    assert "Traceback" not in ran.err
    assert "two-hours.mp4" not in ran.out
    _gone, left = psutil.wait_procs(_session(process.pid), timeout=30)
    assert left == []
    assert rows(furnished, "videos", "cases", "posts") == {"videos": 1, "cases": 1, "posts": 1}


def _session(leader: int) -> list[psutil.Process]:
    listing = subprocess.run(["ps", "-o", "pid=", "-s", str(leader)], capture_output=True, text=True, check=False)
    return [psutil.Process(int(pid)) for pid in listing.stdout.split() if psutil.pid_exists(int(pid))]


class _Page(HTMLParser):
    """The addresses a page would load, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.addresses: list[str] = re.findall(r"url\(\s*['\"]?([^)'\"]+)", html)
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag != "script"
        self.addresses += [value or "" for name, value in attrs if name in {"src", "href", "srcset", "data", "action", "poster"}]

    def handle_data(self, data: str) -> None:
        self.text += data

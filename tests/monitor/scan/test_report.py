"""The scan report: complete, self-contained, safe with hostile text, written whole or not at all."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from monitor.base.errors import ConfigError
from monitor.scan.report import render, write_report

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
JPEG = b"\xff\xd8still\xff\xd9"
HOSTILE = "\"><script>alert(1)</script><img src=x onerror=alert(2)>'.mp4"


def scanned(source: str = "clip.mp4", *, risk: float = 0.97, flagged: bool = True, name: str = "Ada Moreau") -> dict[str, Any]:
    return {
        "source": source,
        "sha256": "ab" * 32,
        "duration": 63.25,
        "provenance": {"state": "absent", "trust_list": None, "ai": "unknown", "signals": [], "sentences": ["It carries no manifest."]},
        "matches": [
            {
                "likeness": "l1",
                "name": name,
                "score": 0.91,
                "ranges": [[1.0, 4.5]],
                "frames": 4,
                "moments": [{"time_s": 61.04, "score": 0.91, "still_jpeg": JPEG, "reference_jpeg": JPEG, "box": [0.1, 0.2, 0.4, 0.6]}],
            }
        ],
        "assessment": {
            "risk": risk,
            "flagged": flagged,
            "reasons": [{"code": "face_match", "weight": -2.25, "text": "A reason."}],
            "policy": "1",
            "index": "7",
            "model": "m",
        },
        "seconds": 1.5,
    }


class Tags(HTMLParser):
    """Collects elements and attributes as a browser would see them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_it_says_who_when_why_and_under_which_versions() -> None:
    text = Tags(render([scanned()], now=NOW)).text
    for expected in (
        "clip.mp4",
        "Ada Moreau",
        "01:01.0",
        "00:01.0–00:04.5",
        "97",
        "−2.2",
        "A reason.",
        "It carries no manifest.",
        "ab" * 32,
    ):
        assert expected in text


def test_text_from_outside_is_never_markup() -> None:
    result = scanned(HOSTILE, name=HOSTILE)
    result["assessment"]["reasons"][0]["text"] = HOSTILE
    result["provenance"]["sentences"] = [HOSTILE]
    page = Tags(render([result, {"source": HOSTILE, "error": {"code": HOSTILE, "text": HOSTILE}}], now=NOW))
    assert "script" not in page.names
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert page.text.count(HOSTILE) == 8


def test_nothing_is_loaded_from_anywhere() -> None:
    page = Tags(render([scanned()], now=NOW))
    addresses = [value for name, value in page.attributes if name in ("src", "href", "action", "data", "poster")]
    assert len(addresses) == 2
    assert all(address.startswith("data:image/jpeg;base64,") for address in addresses)
    assert "link" not in page.names


def test_flagged_come_first_by_risk_and_failures_are_listed_with_their_reason() -> None:
    html = render(
        [
            {"source": "broken.mp4", "error": {"code": "unreadable_media", "text": "No frame can be decoded."}},
            scanned("calm.mp4", risk=0.02, flagged=False),
            scanned("second.mp4", risk=0.8),
            scanned("first.mp4", risk=0.99),
        ],
        now=NOW,
    )
    places = [html.index(name) for name in ("first.mp4", "second.mp4", "calm.mp4", "broken.mp4")]
    assert places == sorted(places)
    assert "No frame can be decoded." in html
    assert "unreadable_media" in html
    assert re.search(r"3 videos scanned, 2 flagged.*1 could not be scanned", html, re.DOTALL)


def test_a_moment_without_pictures_and_a_video_without_duration_are_shown() -> None:
    result = scanned()
    result["duration"] = None
    result["matches"][0]["moments"][0] |= {"still_jpeg": None, "reference_jpeg": None, "box": None}
    assert "01:01.0" in render([result], now=NOW)


def test_no_result_at_all_is_said() -> None:
    assert "No video was scanned." in render([], now=NOW)


def test_a_name_that_is_not_valid_unicode_can_be_written(tmp_path: Path) -> None:
    write_report(tmp_path / "report.html", [scanned("caf\udce9.mp4")], now=NOW)
    assert b"caf?.mp4" in (tmp_path / "report.html").read_bytes()


def test_it_replaces_the_older_report_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("older")
    write_report(path, [scanned()], now=NOW)
    assert "Ada Moreau" in path.read_text(encoding="utf-8")
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_folder_is_made(tmp_path: Path) -> None:
    path = tmp_path / "new" / "report.html"
    write_report(path, [scanned()], now=NOW)
    assert path.read_text().startswith("<!doctype html>")


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "report.html"
    with pytest.raises(ConfigError, match="cannot be written") as caught:
        write_report(path, [scanned()], now=NOW)
    assert str(path) in str(caught.value)


def test_a_failed_write_keeps_the_older_report(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.mkdir()  # a directory cannot be replaced by a file
    with pytest.raises(ConfigError):
        write_report(path, [scanned()], now=NOW)
    assert list(tmp_path.iterdir()) == [path]

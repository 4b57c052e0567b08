"""Visible marks on the case page and in the API: in words, and without power over the page."""

from __future__ import annotations

import html
from typing import Any

import pytest
from fastapi.testclient import TestClient

from monitor.review import cases, videos
from monitor.vision.watermark import Sighting
from tests.monitor.console.desk import Desk

MARK = Sighting("quill", "Quill", 0.934, ((0.0, 2.5), (4.0, 12.0)), 4.5, (0.1, 0.2, 0.3, 0.25))


@pytest.fixture
def ana(desk: Desk) -> TestClient:
    return desk.person("ana")


def marked(desk: Desk, marks: list[dict[str, Any]] | None) -> str:
    case_id = desk.case(desk.likeness())
    with desk.store.session() as session:
        videos.get_video(session, cases.get_case(session, case_id).video_sha256).marks = marks
    return case_id


def test_the_case_page_says_whose_mark_is_seen_how_surely_and_when(desk: Desk, ana: TestClient) -> None:
    page = " ".join(html.unescape(ana.get(f"/cases/{marked(desk, [MARK.to_json()])}").text).split())
    assert "the visible mark of <b>Quill</b> is seen (score 0.93)" in page
    assert "00:00.0" in page
    assert "00:04.0" in page
    assert "Marks can be added as well as removed." in page


def test_the_api_gives_them_with_time_and_place(desk: Desk, ana: TestClient) -> None:
    unnamed = Sighting("feather", None, 0.61, ((1.0, 2.0),), 1.0, (0.5, 0.5, 0.6, 0.6))
    case_id = marked(desk, [MARK.to_json(), unnamed.to_json()])
    told = ana.get(f"/api/cases/{case_id}").json()["watermarks"]
    assert told[0] == {
        "name": "quill",
        "generator": "Quill",
        "score": 0.934,
        "ranges": [[0.0, 2.5], [4.0, 12.0]],
        "at_s": 4.5,
        "box": [0.1, 0.2, 0.3, 0.25],
    }
    assert tuple(Sighting.from_json(mark) for mark in told) == (MARK, unnamed)


@pytest.mark.parametrize("marks", [None, [], [{"name": "from the future"}]])
def test_a_video_without_marks_or_with_those_of_another_release_shows_none(desk: Desk, ana: TestClient, marks: Any) -> None:
    case_id = marked(desk, marks)
    page = ana.get(f"/cases/{case_id}")
    assert page.status_code == 200
    assert "visible mark" not in page.text
    assert ana.get(f"/api/cases/{case_id}").json()["watermarks"] == []


def test_a_name_has_no_power_over_the_page(desk: Desk, ana: TestClient) -> None:
    hostile = "<script>alert('x')</script>"
    page = ana.get(f"/cases/{marked(desk, [MARK.to_json() | {'generator': hostile}])}").text
    assert hostile not in page
    assert "&lt;script&gt;alert" in page


def test_the_description_says_what_a_mark_is(ana: TestClient) -> None:
    schemas = ana.get("/api/openapi.json").json()["components"]["schemas"]
    assert "may be forged" in schemas["CaseDetail"]["properties"]["watermarks"]["description"]
    assert set(schemas["MarkOut"]["required"]) == {"name", "generator", "score", "ranges", "at_s", "box"}

"""The JSON API: the same rules as the pages, errors a program can read."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from monitor.review.cases import Moment
from tests.monitor.console.desk import Desk, csrf


class Script:
    """A signed-in client that sends its CSRF token."""

    def __init__(self, client: TestClient) -> None:
        self.client = client
        self.headers = {"X-CSRF-Token": csrf(client)}

    def get(self, path: str) -> Any:
        return self.client.get(f"/api{path}")

    def post(self, path: str, body: object = None) -> Any:
        return self.client.post(f"/api{path}", json=body, headers=self.headers)


@pytest.fixture
def ana(desk: Desk) -> Script:
    return Script(desk.person("ana"))


def problem(answer: Any, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert (body["status"], body["code"]) == (status, code)
    assert body["type"] == f"urn:sosie:problem:{code}"
    return body


def test_claim_renew_verdict_and_audit(desk: Desk, ana: Script) -> None:
    likeness = desk.likeness()
    case_id = desk.case(likeness, moments=[Moment(1.5, 0.9, desk.reference(likeness), "evidence/c/0.jpg")])
    lease = ana.post("/cases/next").json()
    assert lease == {"case_id": case_id, "token": 1, "expires_at": "2026-11-22T09:15:00Z"}
    desk.clock.advance(60)
    assert ana.post(f"/cases/{case_id}/renew", {"token": 1}).json()["expires_at"] == "2026-11-22T09:16:00Z"
    assert ana.get(f"/cases/{case_id}").json()["claimed_by"] == "ana"
    verdict = {"token": 1, "verdict": "deepfake", "reason": "Lips do not follow the words."}
    first = ana.post(f"/cases/{case_id}/verdict", verdict)
    assert first.status_code == 200
    assert ana.post(f"/cases/{case_id}/verdict", verdict).json() == first.json(), "sending it twice decides once"
    case = ana.get(f"/cases/{case_id}").json()
    assert (case["state"], case["verdict"], case["claimed_by"]) == ("decided", "deepfake", None)
    assert [event["action"] for event in case["audit"]] == ["case.opened", "case.claimed", "case.decided"]
    assert case["likeness"] == {"id": likeness.id, "name": "Ada Moreau", "deceased_on": "1994-03-11"}
    assert ana.client.get(case["moments"][0]["reference"]).headers["content-type"] == "image/jpeg"
    assert case["versions"]["index"] == "i7"


def test_the_list_is_ordered_filtered_and_paged(desk: Desk, ana: Script) -> None:
    likeness = desk.likeness()
    expected = [desk.case(likeness, risk=risk) for risk in (0.9, 0.8, 0.7)]
    first = ana.get("/cases?limit=2").json()
    second = ana.get(f"/cases?limit=2&after={first['next']}").json()
    assert [item["id"] for item in first["items"] + second["items"]] == expected
    assert second["next"] is None
    assert (first["open"], first["claimed"], first["decided"]) == (3, 0, 0)
    assert ana.get("/cases?state=decided").json()["items"] == []


def test_nothing_free_is_no_content(ana: Script) -> None:
    answer = ana.post("/cases/next")
    assert (answer.status_code, answer.content) == (204, b"")


def test_release_then_the_token_is_worthless(desk: Desk, ana: Script) -> None:
    case_id = desk.case(desk.likeness())
    ana.post(f"/cases/{case_id}/claim")
    assert ana.post(f"/cases/{case_id}/release", {"token": 1}).status_code == 204
    problem(ana.post(f"/cases/{case_id}/renew", {"token": 1}), 409, "lease_lost")


def test_conflicts_and_refusals_are_problems_with_the_next_step(desk: Desk, ana: Script) -> None:
    case_id = desk.case(desk.likeness())
    ben = Script(desk.person("ben"))
    ben.post(f"/cases/{case_id}/claim")
    assert "ben has claimed it" in problem(ana.post(f"/cases/{case_id}/claim"), 409, "lease_held")["detail"]
    problem(ana.post(f"/cases/{case_id}/verdict", {"token": 1, "verdict": "news", "reason": "x"}), 409, "lease_lost")
    problem(ana.get("/cases/none"), 404, "not_found")
    problem(ana.get("/nowhere"), 404, "not_found")
    problem(ana.get("/cases?after=nonsense"), 422, "request_refused")
    problem(ben.post(f"/cases/{case_id}/verdict", {"token": 1, "verdict": "news", "reason": "  "}), 422, "request_refused")


def test_a_bad_body_names_its_fields_and_does_not_repeat_the_text(desk: Desk, ana: Script) -> None:
    case_id = desk.case(desk.likeness())
    body = problem(ana.post(f"/cases/{case_id}/verdict", {"token": 1, "verdict": "guilty-as-hell", "reason": ""}), 422, "bad_request")
    assert {error["pointer"] for error in body["errors"]} == {"/body/verdict", "/body/reason"}
    assert "guilty-as-hell" not in str(body)


def test_strangers_and_scripts_without_the_token_get_problems(desk: Desk, ana: Script) -> None:
    problem(desk.stranger().get("/api/cases"), 401, "not_signed_in")
    problem(ana.client.post("/api/cases/next"), 403, "forbidden")


def test_the_description_covers_every_verb_and_the_docs_page_lists_them_without_scripts(ana: Script) -> None:
    description = ana.get("/openapi.json").json()
    assert description["openapi"].startswith("3.1")
    assert set(description["paths"]) == {
        "/api/me",
        "/api/cases",
        "/api/cases/next",
        "/api/cases/{case_id}",
        "/api/cases/{case_id}/claim",
        "/api/cases/{case_id}/renew",
        "/api/cases/{case_id}/release",
        "/api/cases/{case_id}/verdict",
    }
    page = ana.get("/docs").text
    for path in description["paths"]:
        assert path in page
    assert page.count("<script") == page.count('<script src="/static/console.js"') == 1

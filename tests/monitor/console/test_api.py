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
        "/api/cases/{case_id}/reopen",
    }
    page = ana.get("/docs").text
    for path in description["paths"]:
        assert path in page
    assert page.count("<script") == page.count('<script src="/static/console.js"') == 1


def decided(ana: Script, case_id: str, verdict: str, **more: object) -> Any:
    token = ana.post(f"/cases/{case_id}/claim").json()["token"]
    return ana.post(f"/cases/{case_id}/verdict", {"token": token, "verdict": verdict, "reason": "As the holder wrote.", **more})


def test_a_decided_case_is_reopened_with_a_reason_once(desk: Desk, ana: Script) -> None:
    case_id = desk.case(desk.likeness(), due_in_s=3600)
    problem(ana.post(f"/cases/{case_id}/reopen", {"reason": "again"}), 422, "request_refused")
    decided(ana, case_id, "parody")
    problem(ana.post(f"/cases/{case_id}/reopen", {"reason": ""}), 422, "bad_request")
    problem(ana.post(f"/cases/{case_id}/reopen", {"reason": "  "}), 422, "request_refused")
    problem(ana.post("/cases/unknown/reopen", {"reason": "again"}), 404, "not_found")
    problem(ana.client.post(f"/api/cases/{case_id}/reopen", json={"reason": "again"}), 403, "forbidden")
    desk.clock.advance(7200)
    reopened = ana.post(f"/cases/{case_id}/reopen", {"reason": "The account appeals."})
    assert reopened.status_code == 200, reopened.text
    case = reopened.json()
    assert (case["state"], case["verdict"], case["reopened_at"], case["due_at"]) == (
        "open", None, "2026-11-22T11:00:00Z", "2026-11-22T12:00:00Z",
    )  # fmt: skip
    detail = ana.get(f"/cases/{case_id}").json()
    assert detail["audit"][-1]["detail"] == {"verdict": "parody", "cause": "reviewer", "reason": "The account appeals."}
    assert [(each["verdict"], each["posts"]) for each in detail["verdicts"]] == [("parody", ["post-1"])]
    problem(ana.post(f"/cases/{case_id}/reopen", {"reason": "again"}), 422, "request_refused")


def test_what_a_verdict_covers_and_what_brings_a_case_back_are_told(desk: Desk, ana: Script) -> None:
    likeness = desk.likeness()
    case_id = desk.case(likeness)
    decided(ana, case_id, "deepfake")
    desk.another(case_id, "again-1", account="@pirate", risk=0.95)
    case = ana.get(f"/cases/{case_id}").json()
    covered = {post["id"]: post["covered_by"] and post["covered_by"]["verdict"] for post in case["posts"]}
    assert covered == {"post-1": None, "again-1": "deepfake"}
    other = desk.case(likeness)
    decided(ana, other, "licensed")
    desk.another(other, "again-2", account="@pirate", risk=0.95)
    case = ana.get(f"/cases/{other}").json()
    assert (case["state"], [post["covered_by"] for post in case["posts"]]) == ("open", [None, None])
    back = next(event for event in case["audit"] if event["action"] == "case.reopened")
    assert back["detail"] == {"verdict": "licensed", "cause": "post", "post": "again-2", "differs": ["account", "risk"]}


def test_a_verdict_about_the_use_is_given_on_what_was_read(desk: Desk, ana: Script) -> None:
    case_id = desk.case(desk.likeness())
    seen = ana.get(f"/cases/{case_id}").json()["events"]
    desk.another(case_id, "post-2", account="@pirate")
    refused = problem(decided(ana, case_id, "licensed", seen=seen), 422, "request_refused")
    assert "another post joined it while you looked: another account posted it" in refused["detail"]
    again = ana.get(f"/cases/{case_id}").json()
    assert again["state"] == "open"
    assert decided(ana, case_id, "licensed", seen=again["events"]).json()["posts"] == ["post-1", "post-2"]


def test_a_scan_that_finds_nobody_any_more_is_told_and_closes_nothing(desk: Desk, ana: Script) -> None:
    case_id = desk.case(desk.likeness())
    desk.rescan(case_id, "post-1", risk=None)
    case = ana.get(f"/cases/{case_id}").json()
    [post] = case["posts"]
    assert (case["state"], post["risk"], post["flagged"], post["flag_lost_at"]) == ("open", None, False, "2026-11-22T09:00:00Z")
    desk.rescan(case_id, "post-1", risk=0.9)
    [post] = ana.get(f"/cases/{case_id}").json()["posts"]
    assert (post["risk"], post["flagged"], post["flag_lost_at"]) == (0.9, True, None)

"""The reviewer's way through queue and case, and what a late or wrong write gets."""

from __future__ import annotations

import html
import re
import sqlite3
from datetime import date

import pytest
from fastapi.testclient import TestClient

from monitor.registry import likenesses
from monitor.review import cases, videos
from monitor.review.cases import Moment
from tests.monitor.console.desk import Desk, csrf_of, picture

HOSTILE = "<script>alert('x')</script>"


@pytest.fixture
def ana(desk: Desk) -> TestClient:
    return desk.person("ana")


def post(client: TestClient, path: str, **data: object):
    page = client.get("/queue").text
    return client.post(path, data={"csrf_token": csrf_of(page), **data})


def cases_shown(page: str) -> list[str]:
    return re.findall(r'class="open" href="/cases/([0-9a-f]+)"', page)


def typed(page: str) -> tuple[str, str]:
    """What stands in the verdict form: (checked verdict, reason)."""
    checked = re.search(r'name="verdict" value="(\w+)" required checked', page)
    reason = re.search(r'<textarea id="reason"[^>]*>(.*?)</textarea>', page, re.DOTALL)
    return (checked[1] if checked else "", html.unescape(reason[1]) if reason else "")


def test_the_queue_is_sorted_by_risk_and_filtered(desk: Desk, ana: TestClient) -> None:
    ada, ben = desk.likeness("Ada Moreau"), desk.likeness("Ben Ruiz", deceased_on=None)
    low, high, other = desk.case(ada, risk=0.6), desk.case(ada, risk=0.99), desk.case(ben, risk=0.8)
    page = ana.get("/queue").text
    assert cases_shown(page) == [high, other, low]
    assert "Deceased 11 March 1994" in page
    assert "Living" in page
    assert "The face matches." in page
    assert cases_shown(ana.get(f"/queue?likeness={ben.id}").text) == [other]
    assert cases_shown(ana.get("/queue?state=decided").text) == []
    assert ana.get("/queue?state=nonsense").status_code == 422


def test_the_queue_goes_on_over_pages_without_loss(desk: Desk, ana: TestClient) -> None:
    likeness = desk.likeness()
    expected = [desk.case(likeness, risk=0.99 - number / 1000) for number in range(60)]
    first = ana.get("/queue").text
    following = html.unescape(re.search(r'rel="next" href="([^"]+)"', first)[1])
    second = ana.get(following).text
    assert cases_shown(first) + cases_shown(second) == expected
    assert 'rel="next"' not in second
    assert ana.get("/queue?after=nonsense").status_code == 422


def test_a_case_shows_who_why_pictures_origin_posts_versions_and_history(desk: Desk, ana: TestClient) -> None:
    likeness = desk.likeness()
    reference = desk.reference(likeness)
    moments = [Moment(3.04, 0.71, reference, "evidence/c/0.jpg"), Moment(64.25, 0.93, reference, "evidence/c/1.jpg")]
    page = ana.get(f"/cases/{desk.case(likeness, moments=moments)}").text
    for text in ("Ada Moreau", "Died 11 March 1994", "Moreau Estate", "The face matches.", "+2.5", "−1.2", "00:03.0", "01:04.2", "0.93"):
        assert text in page, text
    for text in ("carries no C2PA manifest", "@someone", "1,234", "A caption", "i7", "m1", "Opened by scan at risk 90."):
        assert text in page, text
    assert page.index("stills/1") < page.index("stills/0"), "the clearest moment comes first"


def test_the_face_is_outlined_and_cut_out_beside_the_reference(desk: Desk, ana: TestClient) -> None:
    likeness = desk.likeness()
    picture(desk.home / "evidence" / "c" / "0.jpg", (200, 100))
    moment = Moment(1.0, 0.9, desk.reference(likeness), "evidence/c/0.jpg", (0.4, 0.4, 0.5, 0.6))
    page = ana.get(f"/cases/{desk.case(likeness, moments=[moment])}").text
    assert '<rect class="over" x="80.0" y="40.0" width="20.0" height="20.0"/>' in page
    assert 'viewBox="70.0 30.0 40.0 40.0"' in page


def test_text_from_posts_and_reasons_is_never_markup(desk: Desk, ana: TestClient) -> None:
    reasons = [{"code": HOSTILE, "weight": 1.0, "text": HOSTILE}]
    case_id = desk.case(desk.likeness(HOSTILE), reasons=reasons, caption=HOSTILE, source="javascript:alert(1)")
    for page in (ana.get("/queue").text, ana.get(f"/cases/{case_id}").text):
        assert HOSTILE not in page
        assert html.escape(HOSTILE, quote=False) in html.unescape(page).replace(HOSTILE, html.escape(HOSTILE, quote=False))
        assert 'href="javascript:' not in page


def test_a_case_of_a_removed_likeness_can_still_be_read(desk: Desk, ana: TestClient) -> None:
    likeness = desk.likeness()
    case_id = desk.case(likeness, moments=[Moment(1.0, 0.9, desk.reference(likeness), None)])
    with desk.store.session() as session:
        likenesses.remove_likeness(session, likeness.id, actor="test", now=desk.clock())
    page = ana.get(f"/cases/{case_id}")
    assert page.status_code == 200
    assert "Likeness removed" in page.text


def test_a_case_whose_provenance_another_version_wrote_can_still_be_read(desk: Desk, ana: TestClient) -> None:
    case_id = desk.case(desk.likeness())
    with desk.store.session() as session:
        videos.get_video(session, cases.get_case(session, case_id).video_sha256).provenance = {"state": "from the future"}
    answer = ana.get(f"/cases/{case_id}")
    assert answer.status_code == 200
    assert "Scan the video again." in answer.text


def test_claim_verdict_and_history(desk: Desk, ana: TestClient) -> None:
    case_id = desk.case(desk.likeness())
    assert 'name="verdict"' not in ana.get(f"/cases/{case_id}").text
    assert post(ana, f"/cases/{case_id}/claim").headers["location"] == f"/cases/{case_id}"
    answer = post(ana, f"/cases/{case_id}/verdict", token=desk.token(case_id), verdict="parody", reason="A sketch <b>show</b>")
    assert answer.status_code == 303
    page = ana.get(answer.headers["location"]).text
    assert "Your verdict is recorded." in page
    assert "Decided by ana: Parody or satire." in page
    assert "A sketch &lt;b&gt;show&lt;/b&gt;" in page
    assert cases_shown(ana.get("/queue").text) == []
    assert cases_shown(ana.get("/queue?state=decided").text) == [case_id]


def test_claim_next_takes_the_riskiest_free_case_then_says_that_nothing_is_left(desk: Desk, ana: TestClient) -> None:
    likeness = desk.likeness()
    low, high = desk.case(likeness, risk=0.6), desk.case(likeness, risk=0.9)
    assert post(ana, "/queue/next").headers["location"] == f"/cases/{high}"
    assert post(desk.person("ben"), "/queue/next").headers["location"] == f"/cases/{low}"
    answer = post(ana, "/queue/next")
    assert "Nothing is waiting" in ana.get(answer.headers["location"]).text


def test_record_and_claim_next(desk: Desk, ana: TestClient) -> None:
    likeness = desk.likeness()
    first, second = desk.case(likeness, risk=0.9), desk.case(likeness, risk=0.8)
    post(ana, f"/cases/{first}/claim")
    answer = post(ana, f"/cases/{first}/verdict", token=1, verdict="news", reason="A report", then="next")
    assert answer.headers["location"] == f"/cases/{second}"
    assert "Yours for" in ana.get(f"/cases/{second}").text


def test_a_case_somebody_else_holds_cannot_be_claimed(desk: Desk, ana: TestClient) -> None:
    case_id = desk.case(desk.likeness())
    post(desk.person("ben"), f"/cases/{case_id}/claim")
    answer = post(ana, f"/cases/{case_id}/claim")
    assert answer.status_code == 409
    assert "ben has claimed it" in answer.text
    assert 'name="token"' not in answer.text


def test_a_late_verdict_changes_nothing_and_keeps_what_was_typed(desk: Desk, ana: TestClient) -> None:
    case_id = desk.case(desk.likeness())
    post(ana, f"/cases/{case_id}/claim")
    late = desk.token(case_id)
    desk.clock.advance(desk.settings.lease_s)
    reason = 'I saw "it" </textarea><b>twice</b>'
    answer = post(ana, f"/cases/{case_id}/verdict", token=late, verdict="deepfake", reason=reason)
    assert answer.status_code == 409
    assert "Your claim on this case has ended" in answer.text
    assert typed(answer.text) == ("deepfake", reason)
    assert desk.state(case_id) == "open"

    again = post(ana, f"/cases/{case_id}/claim", verdict="deepfake", reason=reason)
    assert again.status_code == 200
    assert typed(again.text) == ("deepfake", reason)
    assert post(ana, f"/cases/{case_id}/verdict", token=desk.token(case_id), verdict="deepfake", reason=reason).status_code == 303


def test_an_older_token_of_ones_own_is_refused(desk: Desk, ana: TestClient) -> None:
    case_id = desk.case(desk.likeness())
    post(ana, f"/cases/{case_id}/claim")
    desk.clock.advance(desk.settings.lease_s)
    post(ana, f"/cases/{case_id}/claim")
    assert post(ana, f"/cases/{case_id}/verdict", token=1, verdict="deepfake", reason="x").status_code == 409
    assert post(ana, f"/cases/{case_id}/release", token=1).status_code == 409
    assert post(ana, f"/cases/{case_id}/renew", token=1, reason="half a sentence").status_code == 409
    assert desk.state(case_id) == "open"


def test_a_verdict_that_came_second_is_told_so_and_its_text_shown(desk: Desk, ana: TestClient) -> None:
    case_id = desk.case(desk.likeness())
    post(ana, f"/cases/{case_id}/claim")
    desk.clock.advance(desk.settings.lease_s)
    ben = desk.person("ben")
    post(ben, f"/cases/{case_id}/claim")
    post(ben, f"/cases/{case_id}/verdict", token=2, verdict="authentic", reason="Real")
    answer = post(ana, f"/cases/{case_id}/verdict", token=1, verdict="deepfake", reason="My long text")
    assert answer.status_code == 409
    assert "decided meanwhile" in answer.text
    assert "My long text" in answer.text


@pytest.mark.parametrize(
    ("verdict", "reason", "said"), [("", "text", "Choose a verdict."), ("news", "  ", "Say why."), ("", "", "Choose a verdict.")]
)
def test_an_incomplete_verdict_is_not_recorded_and_keeps_the_rest(
    desk: Desk, ana: TestClient, verdict: str, reason: str, said: str
) -> None:
    case_id = desk.case(desk.likeness())
    post(ana, f"/cases/{case_id}/claim")
    answer = post(ana, f"/cases/{case_id}/verdict", token=1, verdict=verdict, reason=reason)
    assert answer.status_code == 422
    assert said in answer.text
    assert typed(answer.text) == (verdict, reason)
    assert desk.state(case_id) == "open"


def test_a_verdict_outside_the_vocabulary_is_refused(desk: Desk, ana: TestClient) -> None:
    case_id = desk.case(desk.likeness())
    post(ana, f"/cases/{case_id}/claim")
    assert post(ana, f"/cases/{case_id}/verdict", token=1, verdict="guilty", reason="x").status_code == 422
    assert desk.state(case_id) == "open"


def test_renewing_by_form_keeps_what_was_typed_and_extends_the_claim(desk: Desk, ana: TestClient) -> None:
    case_id = desk.case(desk.likeness())
    post(ana, f"/cases/{case_id}/claim")
    desk.clock.advance(desk.settings.lease_s - 1)
    assert typed(post(ana, f"/cases/{case_id}/renew", token=1, verdict="news", reason="half").text) == ("news", "half")
    desk.clock.advance(desk.settings.lease_s - 1)
    assert post(ana, f"/cases/{case_id}/verdict", token=1, verdict="news", reason="whole").status_code == 303


def test_release_gives_the_case_back(desk: Desk, ana: TestClient) -> None:
    case_id = desk.case(desk.likeness())
    post(ana, f"/cases/{case_id}/claim")
    assert "gave the case back" in ana.get(post(ana, f"/cases/{case_id}/release", token=1).headers["location"]).text
    assert post(desk.person("ben"), "/queue/next").headers["location"] == f"/cases/{case_id}"


def test_pages_that_do_not_exist_are_kind(ana: TestClient) -> None:
    for path in ("/nowhere", "/cases/none", "/cases/none/stills/0"):
        answer = ana.get(path)
        assert answer.status_code == 404
        assert "Go to the queue" in answer.text


def test_a_busy_database_is_said_with_when_to_try_again(desk: Desk, ana: TestClient) -> None:
    case_id = desk.case(desk.likeness())
    token = csrf_of(ana.get("/queue").text)
    with sqlite3.connect(desk.home / "sosie.sqlite3", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        answer = ana.post(f"/cases/{case_id}/claim", data={"csrf_token": token})
        other.execute("ROLLBACK")
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert "Something Sosie needs is busy or away" in answer.text
    assert "another process has locked it" in answer.text


def test_stills_and_references_are_served_and_replaced_by_a_drawing_when_gone(desk: Desk, ana: TestClient) -> None:
    likeness = desk.likeness()
    reference = desk.reference(likeness)
    picture(desk.home / "evidence" / "c" / "0.jpg")
    moments = [
        Moment(1.0, 0.9, reference, "evidence/c/0.jpg"),
        Moment(2.0, 0.8, reference, "evidence/c/gone.jpg"),
        Moment(3.0, 0.7, None, None),
    ]
    case_id = desk.case(likeness, moments=moments)
    for path in (f"/cases/{case_id}/stills/0", f"/references/{reference}"):
        answer = ana.get(path)
        assert answer.headers["content-type"] == "image/jpeg"
        assert answer.content.startswith(b"\xff\xd8")
        assert answer.headers["cache-control"] == "no-store"
    for path in (f"/cases/{case_id}/stills/1", f"/cases/{case_id}/stills/2", "/references/none"):
        answer = ana.get(path)
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "image/svg+xml"
        assert b"This picture is gone" in answer.content
    assert ana.get(f"/cases/{case_id}/stills/3").headers["content-type"].startswith("text/html")
    assert ana.get(f"/cases/{case_id}/stills/-1").status_code == 404


@pytest.mark.parametrize(
    "name", ["secret.key", "evidence/../secret.key", "../outside.jpg", "/etc/hostname", "evidence/link.jpg", "references/r.jpg"]
)
def test_a_name_in_the_database_cannot_lead_out_of_the_evidence(desk: Desk, ana: TestClient, name: str) -> None:
    picture(desk.home.parent / "outside.jpg")
    picture(desk.home / "references" / "r.jpg")
    (desk.home / "evidence").mkdir()
    (desk.home / "evidence" / "link.jpg").symlink_to(desk.home / "secret.key")
    case_id = desk.case(desk.likeness(), moments=[Moment(1.0, 0.9, None, name)])
    answer = ana.get(f"/cases/{case_id}/stills/0")
    assert answer.status_code == 404
    assert b"This picture is gone" in answer.content
    assert ana.get(f"/cases/{case_id}").status_code == 200


def test_the_day_of_death_is_a_date_not_a_time(desk: Desk, ana: TestClient) -> None:
    desk.case(desk.likeness("Cleo Hart", deceased_on=date(2001, 1, 2)))
    assert "Deceased 2 January 2001" in ana.get("/queue").text


def test_the_queue_says_when_each_case_is_due_and_what_is_late(desk: Desk, ana: TestClient) -> None:
    ada = desk.likeness()
    soon, late = desk.case(ada, due_in_s=5 * 3600), desk.case(ada, due_in_s=-2 * 3600)
    page = ana.get("/queue").text
    assert ">in 5 h</time>" in page
    assert 'class="late">2 h late</time>' in page
    assert "1 overdue" in page
    assert "due <b>in 5 h</b>" in ana.get(f"/cases/{soon}").text
    assert "priority 5" in ana.get(f"/cases/{late}").text


def test_a_queue_can_be_chosen_and_its_next_case_claimed(desk: Desk, ana: TestClient) -> None:
    ada = desk.likeness()
    main, estates = desk.case(ada, priority=1), desk.case(ada, queue="estates")
    assert cases_shown(ana.get("/queue").text) == [main, estates]
    assert cases_shown(ana.get("/queue?queue=estates").text) == [estates]
    assert post(ana, "/queue/next", queue="estates").headers["location"] == f"/cases/{estates}"
    answer = ana.get("/api/cases?queue=estates").json()
    assert [(item["id"], item["queue"], item["priority"], item["due_at"]) for item in answer["items"]] == [(estates, "estates", 5, None)]


def decide(client: TestClient, desk: Desk, case_id: str, verdict: str) -> None:
    post(client, f"/cases/{case_id}/claim")
    given = post(client, f"/cases/{case_id}/verdict", token=desk.token(case_id), verdict=verdict, reason="As the holder wrote.", seen=1)
    assert given.status_code == 303, given.text


def test_a_decided_case_is_reopened_with_a_reason_and_says_so(desk: Desk, ana: TestClient) -> None:
    case_id = desk.case(desk.likeness())
    decide(ana, desk, case_id, "parody")
    assert 'href="#reopening"' in ana.get(f"/cases/{case_id}").text
    without = post(ana, f"/cases/{case_id}/reopen", reason="  ")
    assert (without.status_code, "Say why the case should be looked at again." in without.text) == (422, True)
    assert desk.state(case_id) == "decided"
    assert (
        post(ana, f"/cases/{case_id}/reopen", reason="The account <b>appeals</b>").headers["location"] == f"/cases/{case_id}?said=reopened"
    )
    page = ana.get(f"/cases/{case_id}?said=reopened").text
    for said in (
        "The case is in the queue again.",
        "This case came back.",
        "Reopened by ana; the verdict was Parody or satire.",
        "<q>The account &lt;b&gt;appeals&lt;/b&gt;</q>",
        "Earlier verdict",
        "<q>As the holder wrote.</q>",
    ):
        assert said in page
    assert 'id="reopening"' not in page
    assert 'class="mark">Reopened<' in ana.get("/queue").text
    late = post(ana, f"/cases/{case_id}/reopen", reason="again")
    assert (late.status_code, "is open already" in late.text) == (422, True)


def test_a_case_says_which_posts_a_verdict_covers_and_which_brought_it_back(desk: Desk, ana: TestClient) -> None:
    likeness = desk.likeness()
    covered, back = desk.case(likeness), desk.case(likeness)
    decide(ana, desk, covered, "archive")
    desk.another(covered, "post-7", account="@pirate")
    page = ana.get(f"/cases/{covered}").text
    assert page.count(">Covered<") == 1
    assert "by the verdict of 22 Nov 2026, 09:00 UTC: Archive footage" in page
    assert "the verdict covers it: Archive footage." in page, "in the history as well"
    decide(ana, desk, back, "licensed")
    desk.another(back, "post-8", account="@pirate", risk=0.99)
    page = ana.get(f"/cases/{back}").text
    why = "a later post is unlike those decided on: another account posted it, and its risk is of another class"
    told = f"Reopened by scan: {why}; the verdict was Licensed."
    assert page.count(told) == 2, "in the note, and in the history"
    assert page.count("Brought the case back") == 1
    assert ">Covered<" not in page


def test_a_case_says_that_the_latest_scans_flag_nothing_and_stays_open(desk: Desk, ana: TestClient) -> None:
    case_id = desk.case(desk.likeness())
    desk.another(case_id, "post-2")
    desk.rescan(case_id, "post-1", risk=None)
    page = ana.get(f"/cases/{case_id}").text
    assert "The latest scan does not find Ada Moreau" in page
    assert "No post of this case is flagged any more." not in page, "the other one is"
    desk.rescan(case_id, "post-2", risk=0.2)
    page = ana.get(f"/cases/{case_id}").text
    assert "No post of this case is flagged any more." in page
    assert "Its risk is 20" in page
    assert "Post post-1 is not flagged any more, as scan found: this person is not found in it." in page
    assert desk.state(case_id) == "open"


def test_a_verdict_about_the_use_waits_for_a_look_at_what_joined_and_what_was_typed_stays(desk: Desk, ana: TestClient) -> None:
    case_id = desk.case(desk.likeness())
    post(ana, f"/cases/{case_id}/claim")
    seen = int(re.search(r'name="seen" value="(\d+)"', ana.get(f"/cases/{case_id}").text)[1])
    desk.another(case_id, "post-2", account="@pirate")
    answer = post(ana, f"/cases/{case_id}/verdict", token=desk.token(case_id), verdict="licensed", reason="By contract", seen=seen)
    assert (answer.status_code, desk.state(case_id)) == (422, "open")
    assert "another post joined it while you looked" in answer.text
    assert typed(answer.text) == ("licensed", "By contract")
    seen = int(re.search(r'name="seen" value="(\d+)"', answer.text)[1])
    post(ana, f"/cases/{case_id}/verdict", token=desk.token(case_id), verdict="licensed", reason="By contract", seen=seen)
    assert desk.state(case_id) == "decided"

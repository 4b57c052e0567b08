"""The whole path in a real browser, by keyboard: sign in, queue, case, claim, verdict, history. No error, no policy violation."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import uvicorn

from monitor.base.settings import Settings
from monitor.console.app import create_app
from monitor.provenance.history import Ingredient, Manifest
from monitor.provenance.types import AI, Provenance, State
from monitor.review import accounts, queue, verdicts
from monitor.review.accounts import Role
from monitor.review.cases import Moment
from tests.monitor.console.desk import PASSWORD, Desk, picture
from tests.monitor.provenance.stores import hostile

pytestmark = pytest.mark.browser


@contextlib.contextmanager
def serving(desk: Desk, settings: Settings) -> Iterator[str]:
    """The console of `desk` on a free port of this machine, on the real clock."""
    app = create_app(settings, desk.store, registry=desk.registry)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", proxy_headers=False))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture
def address(desk: Desk) -> Iterator[str]:
    with serving(desk, desk.settings) as address:
        yield address


@pytest.fixture
def cases(desk: Desk) -> tuple[str, str]:
    """A riskier and a less risky case, with pictures on disk."""
    likeness = desk.likeness()
    reference = desk.reference(likeness)
    moments = [Moment(1.5, 0.8, reference, "evidence/c/0.jpg"), Moment(2.5, 0.9, reference, "evidence/c/1.jpg", (0.2, 0.1, 0.6, 0.7))]
    for number in range(2):
        picture(desk.home / "evidence" / "c" / f"{number}.jpg")
    with desk.store.session() as session:
        accounts.create_account(session, "ana", PASSWORD, role=Role.REVIEWER, actor="test", now=desk.clock())
    return desk.case(likeness, risk=0.95, moments=moments), desk.case(likeness, risk=0.7, moments=moments)


@pytest.fixture(params=["light", "dark"])
def page(request: pytest.FixtureRequest, browser: Any, address: str) -> Iterator[Any]:
    """A page that fails the test at the end if the browser complained about anything."""
    context = browser.new_context(base_url=address, color_scheme=request.param, viewport={"width": 1280, "height": 800})
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    # Leaving a page aborts what it was still loading: that is no failure.
    page.on("requestfailed", lambda it: None if it.failure == "net::ERR_ABORTED" else complaints.append(f"failed: {it.url} {it.failure}"))
    page.on("request", lambda sent: None if sent.url.startswith(address) else complaints.append(f"left the house: {sent.url}"))
    yield page
    context.close()
    assert complaints == []


def sign_in(page: Any) -> None:
    page.goto("/queue")
    page.wait_for_selector("#name:focus")
    page.keyboard.type("ana")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_selector("h1:text-is('Queue')")
    page.wait_for_load_state("load")  # the heading is there before the script that listens for keys


def test_the_whole_path_by_keyboard(desk: Desk, cases: tuple[str, str], page: Any) -> None:
    risky, calm = cases
    sign_in(page)
    page.keyboard.press("j")
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement.getAttribute('href')") == f"/cases/{calm}"
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/cases/{risky}", wait_until="load")
    assert page.evaluate("[...document.images].every((image) => image.complete && image.naturalWidth > 0)")

    page.keyboard.press("c")
    page.wait_for_selector(".countdown")
    page.wait_for_load_state("load")
    page.keyboard.press("v")
    assert page.evaluate("document.activeElement.value") == "deepfake"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    page.keyboard.type("jacket, c-sharp and ? are only letters in a field")
    assert page.evaluate("document.activeElement.id") == "reason"
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=Your verdict is recorded.")
    assert page.locator(".trail").inner_text().count("Decided by ana") == 1
    assert "c-sharp and ?" in page.locator(".trail").inner_text()
    assert desk.state(risky) == "decided"


def test_the_list_of_shortcuts_opens_and_closes(cases: tuple[str, str], page: Any) -> None:
    sign_in(page)
    page.keyboard.press("?")
    page.wait_for_selector("#help", state="visible")
    page.keyboard.press("Escape")
    page.wait_for_selector("#help", state="hidden")


def test_a_claim_is_renewed_while_somebody_works(desk: Desk, cases: tuple[str, str], browser: Any) -> None:
    with serving(desk, desk.settings.model_copy(update={"lease_s": 6.0})) as address:
        page = browser.new_page(base_url=address)
        sign_in(page)
        page.keyboard.press("c")
        page.wait_for_selector(".countdown")
        with page.expect_response("**/renew") as renewed:
            page.mouse.move(50, 50)
            page.mouse.move(60, 60)
        assert renewed.value.status == 200
        page.close()


@pytest.mark.parametrize("size", [(1280, 800), (390, 844)])
def test_nothing_is_wider_than_the_window_and_every_field_has_a_label(cases: tuple[str, str], page: Any, size: tuple[int, int]) -> None:
    page.set_viewport_size({"width": size[0], "height": size[1]})
    sign_in(page)
    for path in ("/queue", f"/cases/{cases[0]}", "/api/docs"):
        page.goto(path)
        if path.startswith("/cases"):
            page.click("text=Claim")
            page.wait_for_selector(".countdown")
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0], path
        assert page.evaluate(
            "[...document.querySelectorAll('input:not([type=hidden]), select, textarea')].every((field) => field.labels.length)"
        )
        levels = page.evaluate("[...document.querySelectorAll('main h1, main h2, main h3')].map((heading) => Number(heading.tagName[1]))")
        assert levels[0] == 1
        assert all(after - before <= 1 for before, after in pairwise(levels)), levels


def test_a_hostile_history_fits_a_small_window_and_opens_without_javascript(desk: Desk, cases: tuple[str, str], browser: Any) -> None:
    history = hostile("<b>W</b>" * 1_000, count=2, ingredients=3)
    chain = replace(history, manifests=tuple(chained(history.manifests[0], following) for following in (2, 3, None)))
    case = desk.case(desk.likeness(), provenance=Provenance(State.UNTRUSTED, AI.UNKNOWN, "t1", history=chain))
    with serving(desk, desk.settings) as address:
        context = browser.new_context(base_url=address, java_script_enabled=False, viewport={"width": 390, "height": 844})
        page = context.new_page()
        sign_in(page)
        page.goto(f"/cases/{case}")
        assert page.locator("h3:has-text('This file')").evaluate("() => document.documentElement.scrollWidth") <= 390
        assert page.locator("#manifest-2 > dl").is_visible()
        assert not page.locator("#manifest-3 > dl").is_visible()
        page.locator("#manifest-3 > summary").click()
        assert page.locator("#manifest-3 > dl").is_visible()
        context.close()


def chained(manifest: Manifest, following: int | None) -> Manifest:
    return replace(manifest, ingredients=(Ingredient("parentOf", "W" * 200, names_manifest=True, manifest=following),))


def test_it_works_without_javascript(desk: Desk, cases: tuple[str, str], browser: Any, address: str) -> None:
    context = browser.new_context(base_url=address, java_script_enabled=False)
    page = context.new_page()
    sign_in(page)
    page.click("text=Claim next")
    page.check("input[value=parody]")
    page.fill("#reason", "A sketch show")
    page.click("text=Record verdict")
    page.wait_for_selector("text=Your verdict is recorded.")
    context.close()
    assert desk.state(cases[0]) == "decided"


def test_a_decided_case_is_reopened_by_keyboard_and_says_why_it_came_back(desk: Desk, cases: tuple[str, str], page: Any) -> None:
    decide(desk, cases[0], "licensed")
    sign_in(page)
    page.goto(f"/cases/{cases[0]}")
    page.locator("a:text-is('Reopen')").press("Enter")
    page.get_by_label("Why should it be looked at again?").press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Reopen the case"
    page.get_by_label("Why should it be looked at again?").fill("The account appeals")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=The case is in the queue again.")
    note = page.get_by_role("note", name="Why this case is here again").inner_text()
    assert "Reopened by ana; the verdict was Licensed." in note
    assert "The account appeals" in note
    assert desk.state(cases[0]) == "open"


@pytest.mark.parametrize("size", [(1280, 800), (390, 844)])
def test_a_covered_post_a_lost_flag_and_a_comeback_fit_the_window(
    desk: Desk, cases: tuple[str, str], page: Any, size: tuple[int, int]
) -> None:
    decide(desk, cases[0], "deepfake")
    desk.another(cases[0], "post-7", account="@pirate")
    decide(desk, cases[1], "licensed")
    desk.another(cases[1], "post-8", account="@pirate", risk=0.99)
    desk.rescan(cases[1], "post-8", risk=0.2)
    desk.rescan(cases[1], "post-2", risk=None)
    page.set_viewport_size({"width": size[0], "height": size[1]})
    sign_in(page)
    for case, marks in ((cases[0], ["Covered"]), (cases[1], ["Not found", "Not flagged", "Brought the case back"])):
        page.goto(f"/cases/{case}")
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
        assert all(page.locator(f".mark:text-is('{mark}')").is_visible() for mark in marks)
        assert page.evaluate(
            "[...document.querySelectorAll('input:not([type=hidden]), select, textarea')].every((field) => field.labels.length)"
        )
        levels = page.evaluate("[...document.querySelectorAll('main h1, main h2, main h3')].map((heading) => Number(heading.tagName[1]))")
        assert all(after - before <= 1 for before, after in pairwise(levels)), levels


def decide(desk: Desk, case_id: str, verdict: str) -> None:
    with desk.store.session() as session:
        lease = queue.claim(session, case_id, reviewer="ana", lease_s=60, now=desk.clock())
        verdicts.decide(session, case_id, reviewer="ana", token=lease.token, verdict=verdict, reason="By contract", now=desk.clock())

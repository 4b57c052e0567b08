"""The history of a file on the case page: nested, in words, and without power over the page."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from fastapi.testclient import TestClient

from monitor.console.origin import OPEN_ITEMS
from monitor.provenance.history import Action, History, Ingredient, Manifest
from monitor.provenance.types import AI, Provenance, State
from monitor.review import cases, videos
from tests.monitor.console.desk import Desk
from tests.monitor.provenance.stores import hostile

VOID = {"meta", "link", "input", "img", "br", "circle", "rect", "image"}


class Structure(HTMLParser):
    """Which elements stand within which; fails on a page whose tags do not match."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.details: list[tuple[str, bool]] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag not in VOID:
            self.open.append(tag)
        if tag == "details" and "id" in found:
            self.details.append((found["id"] or "", "open" in found))
        self.ids.append(found.get("id") or "")
        if (found.get("href") or "").startswith("#manifest-"):
            self.links.append((found["href"] or "")[1:])

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture
def ana(desk: Desk) -> TestClient:
    return desk.person("ana")


def told(desk: Desk, ana: TestClient, history: History) -> str:
    provenance = Provenance(State.UNTRUSTED, AI.FULLY, "t1", manifests=len(history.manifests), history=history)
    answer = ana.get(f"/cases/{desk.case(desk.likeness(), provenance=provenance)}")
    assert answer.status_code == 200
    return answer.text


def chain(length: int) -> History:
    """Each manifest made from the next."""
    return History(
        tuple(
            Manifest(
                f"m{n}", State.UNTRUSTED.value, ingredients=(Ingredient("parentOf", f"{n}.mp4", manifest=n + 1),) if n < length else ()
            )
            for n in range(1, length + 1)
        )
    )


def test_who_did_what_when_and_from_what(desk: Desk, ana: TestClient) -> None:
    made = Action("c2pa.created", "2026-01-01T00:00:00Z", "Dream Machine", "trainedAlgorithmicMedia")
    part = Ingredient("parentOf", "clip.mp4", "video/mp4", names_manifest=True, manifest=2, recorded=("claimSignature.mismatch",))
    first = Manifest(
        "a", State.TRUSTED.value, "edit.mp4", "A Studio", "A Root", "2026-02-01T00:00:00Z", "A Clock", "Editor", (), (), (part,)
    )
    second = Manifest("b", State.TAMPERED.value, None, "B Studio", codes=("claimSignature.mismatch",), actions=(made,))
    page = told(desk, ana, History((first, second), 3))
    for text in (
        "This file: edit.mp4",
        "trusted signer",
        "Signed by",
        "A Studio",
        "A Root",
        "2026-02-01T00:00:00Z by A Clock",
        "Written with",
    ):
        assert text in page, text
    for text in ("Made from (parentOf): clip.mp4, video/mp4", "changed after signing", "Names as signer", "B Studio", "Had already failed"):
        assert text in page, text
    for text in ("created", "source trainedAlgorithmicMedia (made by AI)", "with Dream Machine", "at 2026-01-01T00:00:00Z"):
        assert text in page, text
    assert "3 more manifests in the file, not shown." in page
    Structure(page)


def test_what_lies_deep_waits_for_a_click_and_every_reference_leads_somewhere(desk: Desk, ana: TestClient) -> None:
    found = Structure(told(desk, ana, chain(12)))
    assert found.details == [(f"manifest-{n}", n in (2, 10)) for n in range(2, 13) if n != 9]
    assert [link for link in found.links if link not in found.ids] == []
    assert found.links == ["manifest-9"]


def test_long_lists_wait_for_a_click(desk: Desk, ana: TestClient) -> None:
    many = tuple(Action(f"c2pa.step{n}") for n in range(OPEN_ITEMS + 1))
    parts = tuple(Ingredient("componentOf", f"{n}.mp4") for n in range(OPEN_ITEMS + 2))
    page = told(desk, ana, History((Manifest("a", State.UNTRUSTED.value, actions=many, ingredients=parts, left_out_ingredients=9_000),)))
    assert "1 more action<" in page
    assert "2 more ingredients<" in page
    assert "9,000 more ingredients, not shown." in page
    assert page.index("1 more action<") < page.index(f"step{OPEN_ITEMS}")
    Structure(page)


@pytest.mark.parametrize(
    "text", ["<script>alert('x')</script>", '"><img src=x onerror=alert(1)>', "\u202egpj.exe\x1b[2J\u2066", "W" * 10_000]
)
def test_names_in_any_field_have_no_power_over_the_page(desk: Desk, ana: TestClient, text: str) -> None:
    page = told(desk, ana, hostile(text, count=5, ingredients=40))
    Structure(page)
    for forbidden in (text, "<script>a", "<img src=x", "\u202e", "\u2066", "\x1b", "W" * 300):
        assert forbidden not in page
    assert len(page) < 300_000


def test_a_video_stored_by_an_earlier_release_shows_its_sentences_alone(desk: Desk, ana: TestClient) -> None:
    case_id = desk.case(desk.likeness())
    with desk.store.session() as session:
        video = videos.get_video(session, cases.get_case(session, case_id).video_sha256)
        video.provenance = {key: value for key, value in video.provenance.items() if key != "history"}
    page = ana.get(f"/cases/{case_id}").text
    assert "carries no C2PA manifest" in page
    assert not re.search(r'id="manifest-\d', page)


def test_the_api_gives_the_same_history(desk: Desk, ana: TestClient) -> None:
    history = chain(3)
    case_id = desk.case(desk.likeness(), provenance=Provenance(State.UNTRUSTED, AI.UNKNOWN, "t1", history=history))
    assert History.from_json(ana.get(f"/api/cases/{case_id}").json()["history"]) == history

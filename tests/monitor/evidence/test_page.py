"""The page of a pack in a real browser, from a folder: whole, silent, and safe with hostile text."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from monitor.base import settings
from monitor.evidence.manifest import MANIFEST, Manifest
from monitor.review.videos import Post
from monitor.scan.workshop import Workshop
from tests.monitor.evidence.conftest import Scanned
from tests.monitor.household import SINGER, sosie

pytestmark = pytest.mark.browser
HOSTILE = "\"'><script>document.title='owned'</script><img src=http://tube.example/x onerror=alert(1)>"


def test_it_opens_from_a_folder_shows_the_case_and_asks_nobody(evidence: Scanned, tmp_path: Path, browser: Any) -> None:
    with Workshop(settings.load()) as workshop, workshop.store.session() as session:
        session.execute(update(Post).values(caption=HOSTILE, account=HOSTILE))
    assert sosie("evidence", evidence.case, "--out", tmp_path / "pack.zip").status == 0
    with zipfile.ZipFile(tmp_path / "pack.zip") as archive:
        archive.extractall(tmp_path / "pack")
    manifest = Manifest.from_bytes((tmp_path / "pack" / MANIFEST).read_bytes())

    page = browser.new_page()
    asked, complaints = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    address = (tmp_path / "pack" / "index.html").as_uri()
    page.goto(address)
    assert {url for url in asked if not url.startswith("data:")} == {address}
    assert complaints == []
    text = page.inner_text("body")
    for expected in (SINGER.name, evidence.case, manifest.video_sha256, "carries no C2PA manifest", HOSTILE, *manifest.versions.values()):
        assert expected in text
    assert page.title() == f"Evidence: case {evidence.case}"
    pictures = page.eval_on_selector_all("img", "all => all.map(each => [each.naturalWidth, each.getAttribute('src').slice(0, 5)])")
    assert len(pictures) == 2 * len(manifest.stills)
    assert all(width > 0 and source == "data:" for width, source in pictures)
    for link in page.eval_on_selector_all("a", "all => all.map(each => each.getAttribute('href'))"):
        assert (tmp_path / "pack" / link).is_file()
    page.set_viewport_size({"width": 320, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth <= 320")
    if folder := os.environ.get("SOSIE_TEST_SCREENSHOTS"):
        page.set_viewport_size({"width": 1100, "height": 900})
        page.screenshot(path=Path(folder) / "evidence.png", full_page=True)
    page.close()

"""What may stand in a pack, in words: the tree, and addresses for whom they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitor.cast.credentials import CAPTURED, GENERATED, Studio
from monitor.evidence.manifest import Audience
from monitor.evidence.view import shown_source, tree_text
from monitor.provenance.check import check
from monitor.provenance.history import History
from monitor.provenance.trust import TrustLists
from tests.monitor.provenance.making import clip
from tests.monitor.provenance.stores import hostile


def test_the_tree_tells_of_the_file_and_of_what_it_was_made_from(tmp_path: Path) -> None:
    plain = clip(tmp_path / "plain.mp4")
    studio = Studio("A Studio")
    studio.sign(plain, tmp_path / "shot.mp4", digital_source_type=CAPTURED, generator="Camera")
    studio.sign(plain, tmp_path / "cut.mp4", digital_source_type=GENERATED, generator="Generator", parent=tmp_path / "shot.mp4")
    text = tree_text(check(tmp_path / "cut.mp4", TrustLists()).history)
    lines = text.splitlines()
    assert lines[0] == "[1] signer not vouched for · This file: cut.mp4"
    assert any(line.startswith("    [2] signer not vouched for · Made from (parentOf): shot.mp4") for line in lines)
    assert any("trainedAlgorithmicMedia (made by AI)" in line and line.startswith("    Action:") for line in lines)
    assert any("digitalCapture" in line and line.startswith("        Action:") for line in lines)
    assert tree_text(History()) == "No C2PA manifest.\n"


def test_nothing_that_a_file_says_stands_at_the_margin() -> None:
    lines = tree_text(hostile("x\n[1] trusted signer \x1b[2J\u2028", count=5, ingredients=5)).split("\n")[:-1]
    assert len(lines) > 20
    for line in lines:
        assert line.startswith(("    ", "[")) or line.endswith("not shown.")
        assert line.isprintable()
        assert not line.startswith("[1] trusted")


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("https://tube.example/v/1?sig=x#y", "https://tube.example/v/1"),
        ("https://user:secret@tube.example:8443/v", "https://tube.example:8443/v"),
        ("/srv/incoming/clip.mp4", "clip.mp4"),
    ],
)
def test_an_address_tells_a_rights_holder_no_secret(source: str, shown: str) -> None:
    assert shown_source(source, Audience.RIGHTS_HOLDER) == shown
    assert shown_source(source, Audience.REVIEWER) == source

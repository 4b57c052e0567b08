"""The real videos and the malformed files, through the whole pipeline."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from monitor.base import settings
from monitor.base.errors import SosieError
from monitor.provenance.types import AI, State
from monitor.scan.result import Posted, ScanResult
from monitor.scan.workshop import Workshop

pytestmark = [pytest.mark.shared_data, pytest.mark.timeout(1200)]

WITHOUT_PEOPLE = {
    "contentauth__verify-site__tree-01.mp4",
    "imageio__imageio-binaries__realshort.mp4",
    "facebook__ThreatExchange__test-padded-dimensions.mp4",
}
SLICE = ("realshort", "__634.mp4", "634_660", "videotest2")
# 93 files, a few kilobytes each: a scan that holds on to what they claim to need would be far beyond this.
GROWTH_BYTES = 600 * 1024**2


@pytest.fixture(scope="module")
def workshop(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    home = tmp_path_factory.mktemp("videos-home")
    trust = tuple(shared / "c2pa" / "trust" / name for name in ("c2pa-org_C2PA-TRUST-LIST.pem", "conformance-tool_anchors.pem"))
    face_encoder = shared / "models" / "mobilefacenet_foamliu.onnx"
    overrides = {"home": home, "trust_anchors": trust, "face_encoder": face_encoder, "decode_timeout_s": 600.0}
    with Workshop(settings.load({}, **overrides)) as made:
        yield made


def scan(workshop: Workshop, path: Path) -> ScanResult | SosieError:
    try:
        return workshop.pipeline.scan(Posted.of(str(path)))
    except SosieError as error:
        return error


def videos(shared: Path) -> list[Path]:
    with (shared / "videos" / "MANIFEST.csv").open(newline="") as file:
        return [shared / row["file"] for row in csv.DictReader(file) if not row["file"].endswith((".jpg", ".png"))]


@pytest.fixture(scope="module", params=[4, pytest.param(33, marks=pytest.mark.long)])
def results(request: pytest.FixtureRequest, workshop: Workshop, shared: Path) -> dict[str, ScanResult]:
    """Of all videos, or of one of each kind that a test names."""
    enrolment = workshop.enrolment
    from datetime import UTC, datetime

    from monitor.registry import likenesses

    (original,) = (path for path in videos(shared) if path.name.endswith("__634.mp4"))
    pictures = enrolment.prepare(original)[:3]
    with workshop.store.session() as session:
        presenter, _ = likenesses.add_likeness(session, "634", actor="test", now=datetime.now(UTC))
        for prepared in pictures:
            enrolment.keep(session, presenter.id, prepared, actor="test")
    chosen = videos(shared)
    if request.param < len(chosen):
        chosen = [path for path in chosen if any(name in path.name for name in SLICE)]
    assert len(chosen) == request.param
    out = {}
    for path in chosen:
        result = scan(workshop, path)
        assert isinstance(result, ScanResult), f"{path.name}: {result}"
        out[path.name] = result
    return out


def test_every_clip_scans_for_its_whole_length(results: dict[str, ScanResult], shared: Path) -> None:
    with (shared / "videos" / "MANIFEST.csv").open(newline="") as file:
        seconds = {Path(row["file"]).name: float(row["seconds"]) for row in csv.DictReader(file)}
    for name, result in results.items():
        # The manifest counts the whole container; in one clip the sound begins 0.85 s before the picture.
        assert result.duration_s == pytest.approx(seconds[name], abs=0.9), name
        assert result.truncated_at_s is None


def test_the_original_matches_itself_and_the_face_swap_of_it_does_not_pass_for_the_presenter(results: dict[str, ScanResult]) -> None:
    """634_660 wears another face on the same head: a face encoder should find the presenter in 634, and hardly in the swap."""
    scores = {name: max((f.match.score for f in r.findings), default=0.0) for name, r in results.items() if "634" in name}
    original, swapped = scores["polimi-ispl__icpr2020dfdc__634.mp4"], scores["polimi-ispl__icpr2020dfdc__634_660.mp4"]
    assert original > 0.99
    assert swapped < original - 0.2, scores


def test_nobody_else_in_the_clips_is_taken_for_the_presenter(results: dict[str, ScanResult]) -> None:
    assert {name for name, result in results.items() if result.findings and "634" not in name} == set()


def test_signed_ai_clips_are_trusted_and_declare_it(results: dict[str, ScanResult]) -> None:
    signed = {name: r for name, r in results.items() if "huminify" in name}
    assert len(signed) == (2 if len(results) == 33 else 1)
    for result in signed.values():
        assert (result.provenance.state, result.provenance.ai) == (State.TRUSTED, AI.FULLY)
        assert not result.flagged, "no protected likeness is in it"
    others = {name: r.provenance.state for name, r in results.items() if name not in signed}
    assert others
    assert {name: state for name, state in others.items() if state not in (State.ABSENT, State.UNSUPPORTED)} == {}


def test_clips_without_people_have_no_faces(results: dict[str, ScanResult], workshop: Workshop) -> None:
    assert WITHOUT_PEOPLE & results.keys()
    for name in WITHOUT_PEOPLE & results.keys():
        kept = workshop.pipeline.kept.get(results[name].sha256, workshop.models.id)
        assert kept is not None
        assert kept.faces == (), name
        assert results[name].findings == ()


@pytest.mark.parametrize("every", [6, pytest.param(1, marks=pytest.mark.long)])
def test_malformed_files_get_an_error_or_an_honest_result_each(workshop: Workshop, shared: Path, every: int) -> None:
    files = sorted(path for path in (shared / "malformed").iterdir() if path.name != "MANIFEST.csv")
    assert len(files) == 93
    files = files[::every]
    workshop.pipeline.gallery.current()
    process = psutil.Process()
    before = process.memory_info().rss
    outcomes = {path.name: scan(workshop, path) for path in files}
    assert process.memory_info().rss - before < GROWTH_BYTES
    for name, outcome in outcomes.items():
        if isinstance(outcome, SosieError):
            assert outcome.reason, name
            assert outcome.next_step, name
            assert outcome.code in {"not_a_video", "unreadable_media", "too_large", "decoder_died", "decoder_timeout"}, (name, outcome)
        else:
            assert not outcome.flagged, name
            assert outcome.duration_s < 3600, name
    pictures = [outcome for name, outcome in outcomes.items() if name.endswith((".jpg", ".png", ".tif", ".tiff"))]
    assert all(isinstance(outcome, SosieError) for outcome in pictures)
    sounds = [outcome for name, outcome in outcomes.items() if name.endswith((".wav", ".mp3"))]
    assert all(isinstance(outcome, SosieError) for outcome in sounds)
    codes = [outcome.code for outcome in outcomes.values() if isinstance(outcome, SosieError)]
    assert "decoder_timeout" not in codes, "nothing in this set hangs"
    assert sum(isinstance(outcome, ScanResult) for outcome in outcomes.values()) >= 10 // every, "several of them do play"
    assert not [child for child in process.children(recursive=True) if child.status() == psutil.STATUS_ZOMBIE]

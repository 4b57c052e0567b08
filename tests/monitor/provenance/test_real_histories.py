"""The histories that real files tell: who did what, in which manifest, and from what."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from monitor.provenance.check import check
from monitor.provenance.history import HISTORY_BYTES, Action, History
from monitor.provenance.outline import outline
from monitor.provenance.trust import TrustLists

pytestmark = pytest.mark.shared_data


@pytest.fixture(scope="module")
def folder(shared: Path) -> Path:
    return shared / "c2pa"


def told(folder: Path, name: str) -> History:
    lists = [folder / "trust" / name for name in ("c2pa-org_C2PA-TRUST-LIST.pem", "conformance-tool_anchors.pem")]
    return check(folder / name, TrustLists.load(lists)).history


def test_premiere_names_the_picture_that_firefly_made_part_of(folder: Path) -> None:
    video, picture = told(folder, "Security4Media__c2pa-video-player__prmiere-firefly.mp4").manifests
    assert (video.state, video.signer, video.generator) == ("trusted", "Adobe Inc. / cai-prod", "Adobe Premiere Pro (Beta) 25.0.0")
    assert (video.issuer, video.signed_at) == ("Adobe Systems Incorporated / Adobe Product Services G3", "2024-09-12T15:58:39+00:00")
    assert video.time_stamped_by == "DigiCert, Inc. / DigiCert Adobe AATL Timestamp Responder"
    (part,) = video.ingredients
    assert (part.relationship, part.title, part.format, part.manifest) == ("componentOf", "adobe-firefly-sun.png", "image/png", 2)
    edited = Action("c2pa.edited", agent="Adobe Firefly", source="compositeWithTrainedAlgorithmicMedia")
    assert (picture.generator, picture.actions) == ("Adobe Photoshop 25.12.0", (edited,))


def test_chatgpt_states_the_source_in_its_parent(folder: Path) -> None:
    chat, generator = told(folder, "microsoft__c2pa-extension-validator__DALL-E_cloud_surfing_puppy.webp").manifests
    assert (chat.signer, chat.actions) == ("OpenAI / Truepic Lens CLI in ChatGPT", ())
    assert chat.ingredients[0].manifest == 2
    assert generator.signer == "OpenAI / Truepic Lens CLI in DALL·E"
    assert [(action.name, action.agent, action.source) for action in generator.actions] == [
        ("c2pa.created", "DALL·E", "trainedAlgorithmicMedia"),
        ("c2pa.converted", None, None),
    ]


def test_three_manifests_lead_back_to_the_camera(folder: Path) -> None:
    history = told(folder, "Security4Media__c2pa-video-player__sony_official_teletrax.mp4")
    assert [manifest.generator for manifest in history.manifests] == [
        "ebu-watermarker 0.1",
        "Adobe Premiere Pro (Beta) 25.6.0",
        "SONY_CAMERA",
    ]
    (root,) = outline(history)
    assert root.branches[0].node
    assert root.branches[0].node.branches[0].node
    assert root.branches[0].node.branches[0].node.number == 3


def test_a_part_that_had_failed_when_it_was_taken_in_is_shown_as_changed(folder: Path) -> None:
    whole, part = told(folder, "c2pa-org__public-testfiles__adobe-20220124-CIE-sig-CA.jpg").manifests
    assert whole.ingredients[0].recorded == ("claimSignature.mismatch", "timeStamp.mismatch")
    assert (whole.state, part.state) == ("untrusted", "tampered")


def test_every_file_keeps_every_manifest_within_its_bytes_and_agrees_with_the_check(folder: Path) -> None:
    files = [path for path in sorted(folder.iterdir()) if path.is_file() and path.suffix != ".csv"]
    assert len(files) == 79
    for path in files:
        found = check(path, TrustLists())
        assert len(found.history.manifests) == found.manifests, path.name
        assert len(json.dumps(found.history.to_json())) <= HISTORY_BYTES / 10, path.name
        if found.history.manifests:
            first = found.history.manifests[0]
            assert (first.signer, first.signed_at) == (found.signer, found.signed_at), path.name
            assert first.state == found.state or any(code.startswith("ingredient:") for code in found.codes), path.name

from __future__ import annotations

import json
from pathlib import Path

import pytest

from monitor.cast.credentials import GENERATED, Studio, tamper
from monitor.provenance.check import check
from monitor.provenance.history import History
from monitor.provenance.trust import TrustLists
from monitor.provenance.types import AI, Provenance, Signal, State


def test_json_gives_back_what_went_in(tmp_path: Path, plain: Path, studio: Studio, trust: TrustLists) -> None:
    studio.sign(plain, tmp_path / "a.mp4", digital_source_type=GENERATED, generator="G")
    tamper(tmp_path / "a.mp4", tmp_path / "b.mp4")
    by_hand = Provenance(State.REMOTE, AI.UNKNOWN, "v", None, (Signal("remote", "u", "T."),), remote_url="u", codes=("x", "y"))
    for provenance in (check(tmp_path / "a.mp4", trust), check(tmp_path / "b.mp4", trust), check(plain, trust), by_hand):
        assert Provenance.from_json(json.loads(json.dumps(provenance.to_json()))) == provenance


def test_what_is_no_provenance_is_refused() -> None:
    good = Provenance(State.ABSENT, AI.UNKNOWN, "v").to_json()
    with pytest.raises(ValueError, match="perhaps"):
        Provenance.from_json(good | {"state": "perhaps"})
    with pytest.raises(TypeError):
        Provenance.from_json(good | {"colour": "red"})
    with pytest.raises(KeyError):
        Provenance.from_json({})


def test_what_earlier_releases_stored_still_loads() -> None:
    earlier = {
        "state": "untrusted",
        "ai": "fully",
        "trust_version": "t1",
        "trust_list": None,
        "signals": [{"code": "ai_fully", "where": "a/c2pa.assertions/c2pa.actions", "text": "T."}],
        "signer": "OpenAI",
        "signed_at": None,
        "generator": "Sora",
        "remote_url": None,
        "manifests": 1,
        "codes": ["signingCredential.untrusted"],
    }
    loaded = Provenance.from_json(earlier)
    assert (loaded.signer, loaded.history) == ("OpenAI", History())
    assert Provenance.from_json(loaded.to_json()) == loaded


def test_a_stored_history_comes_back(tmp_path: Path, plain: Path, studio: Studio, trust: TrustLists) -> None:
    studio.sign(plain, tmp_path / "a.mp4", digital_source_type=GENERATED, generator="G")
    studio.sign(plain, tmp_path / "b.mp4", digital_source_type=GENERATED, generator="E", parent=tmp_path / "a.mp4")
    history = Provenance.from_json(json.loads(json.dumps(check(tmp_path / "b.mp4", trust).to_json()))).history
    assert [manifest.generator for manifest in history.manifests] == ["E", "G"]
    assert [manifest.state for manifest in history.manifests] == ["trusted", "trusted"]
    assert history.manifests[0].ingredients[0].manifest == 2

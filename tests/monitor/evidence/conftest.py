"""A case of the cast, and a key to sign its packs with: both made once, and copied."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from monitor.base import settings
from monitor.evidence.signing import make_own_authority
from monitor.scan.result import Posted
from monitor.scan.workshop import Workshop
from tests.monitor.household import Household
from tests.once import once, run_folder


@dataclass(frozen=True, slots=True)
class Scanned:
    """`home` holds one case of the singer, in `video`, posted once."""

    home: Path
    video: Path
    case: str
    authority: Path
    key: Path
    chain: Path


@pytest.fixture(scope="session")
def scanned(household: Household, tmp_path_factory: pytest.TempPathFactory) -> Scanned:
    """Never to be changed: `evidence` is a test's own copy."""
    video = household.clips / "singer.mp4"
    folder = once(run_folder(tmp_path_factory) / "evidence", lambda folder: _scan(folder, household.copy_home(folder / "home"), video))
    keys = folder / "keys"
    return Scanned(folder / "home", video, (folder / "case").read_text(), keys / "authority.pem", keys / "key.pem", keys / "chain.pem")


def _scan(folder: Path, home: Path, video: Path) -> None:
    with Workshop(settings.load({}, home=home, threads=1)) as workshop:
        source = str(video)
        result = workshop.pipeline.scan(Posted(source, "post-1", platform="tube", account="@one", caption="<b>Sing</b> & along"))
    (finding,) = result.findings
    assert finding.case_id is not None
    (folder / "case").write_text(finding.case_id)
    make_own_authority(folder / "keys", "Ärzte & Co", now=datetime.now(UTC) - timedelta(days=1))  # before any module's `NOW`


@pytest.fixture
def evidence(scanned: Scanned, home: Path, monkeypatch: pytest.MonkeyPatch) -> Scanned:
    """SOSIE_HOME with the case, and the key set."""
    Household(scanned.home, scanned.video.parent).copy_home(home)
    monkeypatch.setenv("SOSIE_THREADS", "1")
    monkeypatch.setenv("SOSIE_EVIDENCE_KEY", str(scanned.key))
    monkeypatch.setenv("SOSIE_EVIDENCE_CHAIN", str(scanned.chain))
    return Scanned(home, scanned.video, scanned.case, scanned.authority, scanned.key, scanned.chain)

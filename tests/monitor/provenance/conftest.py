from __future__ import annotations

from pathlib import Path

import pytest

from monitor.cast.credentials import Studio
from monitor.provenance.trust import TrustLists
from tests.monitor.provenance.making import clip, trusting


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MP4 without a manifest."""
    return clip(tmp_path_factory.mktemp("plain") / "plain.mp4")


@pytest.fixture(scope="session")
def studio() -> Studio:
    return Studio("A Studio")


@pytest.fixture(scope="session")
def trust(tmp_path_factory: pytest.TempPathFactory, studio: Studio) -> TrustLists:
    """The studio's root, as a list named `studio.pem`."""
    return trusting(tmp_path_factory.mktemp("trust"), studio=studio)

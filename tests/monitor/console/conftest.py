from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.monitor.console.desk import Desk, make_desk


@pytest.fixture
def desk(home: Path) -> Iterator[Desk]:
    desk = make_desk(home)
    yield desk
    desk.store.close()

"""The same way of one video with PostgreSQL as the database."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from monitor.base import settings
from monitor.cli import demonstration
from monitor.review import cases, queue
from monitor.scan.result import Posted
from monitor.scan.workshop import Workshop
from tests.monitor.household import SINGER

pytestmark = [pytest.mark.postgres, pytest.mark.long]  # its slice: tests/streams/test_faults.py, where a topic is replayed


def test_two_scans_at_once_make_one_case_with_two_posts(postgres_url: str, home: Path, clips: Path) -> None:
    with Workshop(settings.load(database_url=postgres_url, threads=1, decode_workers=2)) as workshop:
        home.mkdir(exist_ok=True)
        demonstration.register(workshop, (SINGER,))
        posts = [Posted.of(str(clips / "singer.mp4"), account=account) for account in ("@one", "@two")]
        scan = workshop.pipeline.scan
        with ThreadPoolExecutor(2) as pool:
            results = list(pool.map(scan, posts))
        assert len({result.findings[0].case_id for result in results}) == 1
        assert sorted(result.findings[0].case_opened for result in results) == [False, True]
        with workshop.store.session(read_only=True) as session:
            (item,) = queue.page(session).items
            assert {post.account for post in cases.posts(session, item.case.id)} == {"@one", "@two"}
    assert not (home / "sosie.sqlite3").exists()

from __future__ import annotations

from pathlib import Path

from prometheus_client import generate_latest

from monitor.base.blob_folder import FolderBlobs
from monitor.base.metrics import Metrics
from monitor.scan.standing_metrics import watch_index
from monitor.scan.workshop import Workshop


def test_a_process_that_searches_nothing_tells_size_and_age_of_the_index(workshop: Workshop) -> None:
    workshop.gallery.current()
    home = workshop.settings.home
    space = workshop.models.crop_space.id
    metrics = Metrics()
    watch_index(metrics, workshop.blobs)
    told = generate_latest(metrics.registry).decode()
    assert f'sosie_index_references{{space="{space}"}} 6.0' in told
    published = (home / "index" / space / "CURRENT").stat().st_mtime
    assert metrics.registry.get_sample_value("sosie_index_loaded_timestamp_seconds", {"space": space}) == published


def test_an_index_that_cannot_be_read_does_not_end_the_scrape(tmp_path: Path) -> None:
    damaged = tmp_path / "index" / "0123456789abcdef" / "CURRENT"
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(b"no version")
    metrics = Metrics()
    watch_index(metrics, FolderBlobs(tmp_path))
    assert 'sosie_index_references{space="0123456789abcdef"} NaN' in generate_latest(metrics.registry).decode()

"""Two workers and a console on three machines: a home each, one database, one bucket, and everything is seen from everywhere."""

from __future__ import annotations

import base64
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from monitor.base.blob_folder import FolderBlobs
from monitor.base.blobs import AREAS
from monitor.base.storage import open_blobs, storage_key
from monitor.base.storage_moves import copy_blobs
from monitor.cast.credentials import Studio
from tests.monitor.household import finished, script, sosie
from tests.object_store import ACCESS_KEY, SECRET_KEY, ObjectStore
from tests.streams.conftest import MakeStage
from tests.streams.crew import Worker
from tests.streams.stage import Stage

# Their slice: tests/monitor/scan/test_two_homes.py of what is in force, tests/monitor/cli/test_storage.py of the bucket.
pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.workers, pytest.mark.long, pytest.mark.timeout(600, func_only=True)]

CLIPS = ("singer.mp4", "athlete.mp4", "stranger.mp4")


@pytest.fixture
def stage(postgres_stage: MakeStage, object_store: ObjectStore, tmp_path: Path) -> Iterator[Stage]:
    """The household's blobs moved into a bucket, its registry in PostgreSQL; what is left of its home belongs to nobody."""
    (tmp_path / "wrapping.key").write_bytes(base64.b64encode(b"the same key on all three of them"[:32]))
    shared = {
        "SOSIE_STORAGE_URL": f"s3://{object_store.make_bucket()}/three",
        "SOSIE_STORAGE_ENDPOINT": object_store.url,
        "SOSIE_STORAGE_ACCESS_KEY": ACCESS_KEY,
        "SOSIE_STORAGE_SECRET_KEY": SECRET_KEY,
        "SOSIE_STORAGE_KEY_FILE": str(tmp_path / "wrapping.key"),
    }
    with postgres_stage(**shared) as stage:
        configured = stage.settings
        copy_blobs(FolderBlobs(stage.home), open_blobs(configured), storage_key(configured))
        shutil.rmtree(stage.home)
        yield stage


def machine(stage: Stage, name: str) -> dict[str, str]:
    """The settings of a machine with a home of its own."""
    home = stage.folder / name
    home.mkdir(exist_ok=True)
    return stage.environment | {"SOSIE_HOME": str(home)}


def worker(stage: Stage, name: str) -> Worker:
    made = Worker(stage.folder / f"{name}.log", machine(stage, name), slots=1, traps=None, restarted=False)
    stage.crew.append(made)
    return made


def until(stage: Stage, holds: Callable[[], bool], limit_s: float = 240) -> None:
    deadline = time.monotonic() + limit_s
    while not holds():
        assert time.monotonic() < deadline, stage.logs()
        time.sleep(0.2)


@contextmanager
def console(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Iterator[httpx.Client]:
    """The admin, signed in at a console on a machine of its own."""
    for name, value in machine(stage, "home-of-the-console").items():
        monkeypatch.setenv(name, value)
    process = script("serve", "--port", "0")
    try:
        assert process.stdout
        printed = ""
        for line in process.stdout:
            printed += line
            if "http://" in line:
                break
        address, password = re.search(r"http://127\.0\.0\.1:\d+", printed), re.search(r"password (\S+)", printed)
        assert address, (printed, process.communicate())
        assert password, printed
        with httpx.Client(base_url=address[0], timeout=60) as client:
            page = client.get("/sign-in")
            fields = dict(re.findall(r'<input[^>]*name="([^"]+)"[^>]*value="([^"]*)"', page.text))
            answer = client.post("/sign-in", data=fields | {"name": "admin", "password": password[1]}, headers={"Origin": address[0]})
            assert answer.status_code == 303, answer.text
            yield client
    finally:
        process.terminate()
        finished(process, 60)


def trust_updated_on_the_third_machine(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> str:
    """Put a list in force where neither worker runs; its version."""
    anchors = stage.folder / "cameras.pem"
    anchors.write_bytes(Studio("Camera Maker").anchor_pem)
    for name, value in machine(stage, "home-of-the-console").items():
        monkeypatch.setenv(name, value)
    assert sosie("trust", "update", anchors, "--name", "Cameras").status == 0
    return str(sosie("trust", "show", "--json").objects[0]["version"])


def test_every_still_and_reference_is_seen_from_everywhere_fingerprints_and_lists_are_shared(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = worker(stage, "home-of-one")
    stage.post(CLIPS, fresh=False)
    stage.wait_until_quiet()
    assert one.metric("sosie_fingerprints_reused_total ") == 0
    one.terminate()
    assert one.wait() == 0

    two = worker(stage, "home-of-two")  # the same bytes, on a machine that never saw them
    stage.post(CLIPS, fresh=False)
    stage.wait_until_quiet()
    assert two.metric("sosie_fingerprints_reused_total ") == len(CLIPS)

    one = worker(stage, "home-of-one")
    until(stage, lambda: one.holds > 0 and two.holds > 0)
    lists = trust_updated_on_the_third_machine(stage, monkeypatch)
    after = stage.post(CLIPS * 2)
    stage.wait_until_quiet()
    judged = stage.rows("SELECT post_id, trust_version FROM assessments")
    assert {version for post, version in judged if post in after} == {lists}, "what is posted after the update is judged by it, everywhere"
    assert lists not in {version for post, version in judged if post not in after}
    assert len({post for post, _ in stage.outcomes().items()}) == len(stage.posted)
    assert len(stage.rows("SELECT id FROM cases")) == 3, "one of the clip posted twice, two of the bytes of their own"

    with console(stage, monkeypatch) as client:
        pictures = set()
        for (case,) in stage.rows("SELECT id FROM cases"):
            pictures |= set(re.findall(r'<img src="(/(?:cases/[^"]+/stills/\d+|references/[^"]+))"', client.get(f"/cases/{case}").text))
        assert len([path for path in pictures if "/stills/" in path]) >= 3
        assert len([path for path in pictures if path.startswith("/references/")]) >= 1
        for path in sorted(pictures):
            answer = client.get(path)
            assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg"), path
            assert answer.content.startswith(b"\xff\xd8\xff")
            assert len(answer.content) > 500

    assert stage.stop()[-2:] == [0, 0]
    left = [path for name in ("home-of-one", "home-of-two", "home-of-the-console") for path in (stage.folder / name).rglob("*")]
    assert [path for path in left if path.is_file() and path.parts[len(stage.folder.parts) + 1] in AREAS] == [], (
        "nothing only one machine has"
    )

"""`sosie storage`: a home's blobs in a bucket and back, and what is missing, damaged or left over."""

from __future__ import annotations

import base64
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from monitor.base import settings
from monitor.base.blobs import AREAS, Blobs, local_file
from monitor.base.errors import NotFound
from monitor.base.storage import open_blobs
from monitor.scan import storage_check
from monitor.scan.result import Posted
from monitor.scan.workshop import Workshop
from tests.monitor.household import SINGER, sosie
from tests.monitor.repairs import follow, mends, worked
from tests.object_store import ACCESS_KEY, SECRET_KEY, SLOW_DOWN, ObjectStore, faulty_proxy


@pytest.fixture
def bucket(object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """The URL of an empty bucket, with its endpoint and keys set, but not yet used."""
    (tmp_path / "wrapping.key").write_text(base64.b64encode(bytes(range(32))).decode() + "\n")
    for name, value in {
        "ENDPOINT": object_store.url,
        "ACCESS_KEY": ACCESS_KEY,
        "SECRET_KEY": SECRET_KEY,
        "KEY_FILE": str(tmp_path / "wrapping.key"),
    }.items():
        monkeypatch.setenv(f"SOSIE_STORAGE_{name}", value)
    return f"s3://{object_store.make_bucket()}/sosie"


def blobs() -> Blobs:
    return open_blobs(settings.load())


def reused(clip: Path) -> bool:
    with Workshop(settings.load()) as workshop:
        return workshop.pipeline.scan(Posted.of(str(clip))).reused


def contents(stored: Blobs) -> dict[str, bytes]:
    return {each.name: stored.get(each.name) or b"" for area in AREAS for each in stored.listed(area)}


def vectors(home: Path) -> list[bytes]:
    with closing(sqlite3.connect(home / "sosie.sqlite3")) as database:
        query = """
            SELECT v.vector FROM reference_vectors v JOIN "references" r ON r.id = v.reference_id JOIN likenesses l ON l.id = r.likeness_id
            WHERE l.name = ?
        """
        return [row[0] for row in database.execute(query, (SINGER.name,))]


def on_disk(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_a_home_moves_to_a_bucket_and_back(furnished: Path, clips: Path, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first = sosie("scan", clips / "singer.mp4", "--json").objects[0]
    assert sosie("storage", "check").status == 0
    before = contents(blobs())
    moved = sosie("storage", "migrate", bucket)
    assert moved.status == 0, moved.err
    assert f"{len(before)} copied" in moved.out
    assert f"Now set SOSIE_STORAGE_URL={bucket}" in moved.out
    assert "sosie storage check" in moved.out
    again = sosie("storage", "migrate", bucket)
    assert f"0 copied (0.0 MB), {len(before)} were there already" in again.out

    monkeypatch.setenv("SOSIE_STORAGE_URL", bucket)
    for area in AREAS:
        shutil.rmtree(furnished / area)
    assert contents(blobs()).keys() == before.keys()
    checked = sosie("storage", "check", "--json")
    assert checked.status == 0
    assert [checked.objects[0][kind] for kind in ("missing", "damaged", "orphaned")] == [[], [], []]
    assert sosie("index", "verify").status == 0
    assert reused(clips / "singer.mp4"), "its fingerprint went along, and opens"
    assert sosie("scan", clips / "singer.mp4", "--json").objects[0]["matches"] == first["matches"]
    assert not [area for area in AREAS if (furnished / area).exists()], "nothing is kept on the machine"

    assert sosie("storage", "migrate", "home").status == 0
    monkeypatch.delenv("SOSIE_STORAGE_URL")
    assert sosie("storage", "check").status == 0
    assert contents(blobs()).keys() >= before.keys()
    assert reused(clips / "singer.mp4")


@mends("sosie storage check")
def test_a_picture_that_is_gone_is_listed_until_it_is_back(furnished: Path) -> None:
    picture = min((furnished / "references").iterdir())
    content, name = picture.read_bytes(), f"references/{picture.name}"
    picture.unlink()
    with pytest.raises(NotFound) as caught, local_file(blobs(), name, furnished / "scratch"):
        pass
    listed = follow(str(caught.value), "sosie storage check", "--json")
    assert listed.status == 1
    assert name in str(listed.objects[0]["missing"])
    picture.write_bytes(content)
    worked(follow(str(caught.value), "sosie storage check"))


def test_who_is_removed_is_gone_from_everything_in_the_home(furnished: Path, clips: Path) -> None:
    sosie("scan", clips / "singer.mp4", "--json")
    gone = vectors(furnished)
    pictures = [path.read_bytes() for path in (furnished / "references").iterdir()]
    assert len(gone) == 3
    assert all(vector in on_disk(furnished) for vector in gone)
    ran = sosie("likeness", "remove", SINGER.name)
    assert ran.status == 0
    left = on_disk(furnished)
    assert [vector for vector in gone if vector in left] == []
    assert sum(picture in left for picture in pictures) == len(pictures) - 3
    assert sosie("storage", "check").status == 0
    (told,) = sosie("repeat", "--json").objects
    assert told["why_not"] == ["match: the index of then is gone by erasure: somebody who was in it has been removed since"]
    assert (told["same"], told["anew"]) == (True, ["provenance", "weighing"])


def test_who_is_removed_is_gone_from_everything_in_the_bucket(
    furnished: Path, clips: Path, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = vectors(furnished)
    sosie("storage", "migrate", bucket)
    monkeypatch.setenv("SOSIE_STORAGE_URL", bucket)
    sosie("scan", clips / "singer.mp4", "--json")
    assert all(vector in b"".join(contents(blobs()).values()) for vector in gone)
    assert sosie("likeness", "remove", SINGER.name).status == 0
    left = b"".join(contents(blobs()).values())
    assert [vector for vector in gone if vector in left] == []
    assert sosie("scan", clips / "singer.mp4", "--json").objects[0]["matches"] == []
    assert sosie("index", "verify").status == 0


@mends("sosie storage check --erase-orphaned")
def test_a_removal_that_cannot_erase_yet_says_so_and_what_to_run_then(
    furnished: Path, bucket: str, object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = vectors(furnished)
    sosie("storage", "migrate", bucket)
    monkeypatch.setenv("SOSIE_STORAGE_URL", bucket)
    with faulty_proxy(object_store) as (url, faults):
        monkeypatch.setenv("SOSIE_STORAGE_ENDPOINT", url)
        faults.plan("DELETE", *[SLOW_DOWN] * 20)
        ran = sosie("likeness", "remove", SINGER.name)
        assert ran.status == 1
        assert f"{SINGER.name} is not found any more, but not all" in ran.err
        assert "503 SlowDown" in ran.err
        faults.planned.clear()
        monkeypatch.setattr(storage_check, "_YOUNG_S", -60.0)
        assert "3 orphaned (erased)" in follow(ran, "sosie storage check --erase-orphaned").out
        assert sosie("index", "show").status == 0
        left = contents(blobs())
    assert [vector for vector in gone if vector in b"".join(left.values())] == []
    assert len([name for name in left if name.startswith("references/")]) == 3


def test_a_flipped_bit_in_the_bucket_stops_the_scan_and_a_rebuild_mends_it(
    furnished: Path, clips: Path, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sosie("storage", "migrate", bucket)
    monkeypatch.setenv("SOSIE_STORAGE_URL", bucket)
    stored = blobs()
    (name,) = (name for name in contents(stored) if name.endswith("/vectors.npy"))
    data = bytearray(stored.get(name) or b"")
    data[len(data) // 2] ^= 1
    stored.put(name, bytes(data))
    ran = sosie("scan", clips / "singer.mp4", "--json")
    assert ran.status == 1
    assert ran.err.startswith(f"sosie: {bucket}/index/")
    checked = sosie("storage", "check")
    assert checked.status == 1
    assert "1 damaged" in checked.out
    assert sosie("index", "rebuild").status == 0
    assert sosie("storage", "check").status == 0
    assert sosie("scan", clips / "singer.mp4", "--json").objects[0]["matches"]


def test_the_check_names_what_is_missing_damaged_and_left_over(furnished: Path, clips: Path) -> None:
    sosie("scan", clips / "singer.mp4", "--json")
    stills = sorted((furnished / "evidence").rglob("*.jpg"))
    stills[0].unlink()
    stills[1].write_bytes(stills[1].read_bytes()[:-100])
    for name, age_s in (("orphan.jpg", 7200), ("young.jpg", 0)):
        path = furnished / "references" / name
        path.write_bytes(b"\xff\xd8\xff\xd9")
        os.utime(path, (path.stat().st_atime - age_s, path.stat().st_mtime - age_s))
    (sealed,) = (path for path in (furnished / "fingerprints").rglob("*-*-*") if path.is_file())
    sealed.write_bytes(sealed.read_bytes()[:-1])
    ran = sosie("storage", "check", "--json")
    assert ran.status == 1
    (told,) = ran.objects
    assert [each["name"] for each in told["missing"]] == [str(stills[0].relative_to(furnished))]
    assert [each["name"] for each in told["damaged"]] == [str(path.relative_to(furnished)) for path in (stills[1], sealed)]
    assert [each["name"] for each in told["orphaned"]] == ["references/orphan.jpg"]
    assert "its page shows a placeholder" in told["missing"][0]["why"]
    assert (furnished / "references" / "orphan.jpg").exists()
    assert "1 orphaned (erased)" in sosie("storage", "check", "--erase-orphaned").out
    assert not (furnished / "references" / "orphan.jpg").exists()
    assert (furnished / "references" / "young.jpg").exists()


def test_a_bucket_needs_a_key_that_is_not_in_it(furnished: Path, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOSIE_STORAGE_KEY_FILE")
    for command in (("storage", "migrate", bucket), ("storage", "check")):
        if command[1] == "check":
            monkeypatch.setenv("SOSIE_STORAGE_URL", bucket)
        ran = sosie(*command)
        assert ran.status == 1
        assert "SOSIE_STORAGE_KEY_FILE: is not set, and a bucket needs a key that is not in it" in ran.err
        assert "openssl rand -base64 32" in ran.err
    monkeypatch.setenv("SOSIE_STORAGE_KEY", "not base64 of 32 bytes")
    refused = sosie("storage", "check")
    assert "SOSIE_STORAGE_KEY: holds no 32 bytes in base64" in refused.err
    assert "not base64 of" not in refused.err


@pytest.mark.parametrize(
    ("to", "said"),
    [
        ("home", "is where the blobs are already"),
        ("http://bucket", "not s3://BUCKET"),
        ("s3://AKIA:hunter2@bucket/x", "no key belongs here"),
        ("s3://bucket/a/../b", "or dots alone"),
        ("s3://b?versionId=1", "not s3://BUCKET"),
    ],
)
def test_a_place_that_cannot_be_is_refused(furnished: Path, to: str, said: str) -> None:
    ran = sosie("storage", "migrate", to)
    assert ran.status == 1
    assert said in ran.err
    assert "hunter2" not in ran.err


def test_a_key_is_never_printed(home: Path, bucket: str) -> None:
    ran = sosie("settings")
    assert SECRET_KEY not in ran.out
    assert "SOSIE_STORAGE_SECRET_KEY" in ran.out

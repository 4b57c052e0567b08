"""A real case packed: complete, exact, for whom it is, on record, the same again."""

from __future__ import annotations

import hashlib
import io
import json
import os
import sqlite3
import stat
import subprocess
import zipfile
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import update

from monitor.base import settings
from monitor.base.errors import ConfigError, RequestRefused
from monitor.evidence.manifest import MANIFEST, SIGNATURE, Audience, Manifest
from monitor.evidence.pack import Packer
from monitor.evidence.signing import Signer
from monitor.registry.references import Reference
from monitor.review import cases, queue, verdicts
from monitor.review.videos import Post
from monitor.scan.workshop import Workshop
from monitor.vision.frames import stills
from tests.monitor.evidence.conftest import Scanned
from tests.monitor.household import ATHLETE, SINGER, sosie

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)


def opened(pack: Path) -> dict[str, bytes]:
    """Read by another program than the one that wrote it."""
    with zipfile.ZipFile(pack) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def packer(workshop: Workshop, scanned: Scanned, now: datetime | None = None) -> Packer:
    signer = Signer.load(scanned.key, scanned.chain, now=datetime.now(UTC))
    clock = {} if now is None else {"clock": lambda: now}
    return Packer(workshop.blobs, workshop.scratch, workshop.store, workshop.sandbox, workshop.limits, signer, **clock)


def trail(home: Path) -> list[tuple[str, str, dict[str, Any]]]:
    with closing(sqlite3.connect(f"file:{home / 'sosie.sqlite3'}?mode=ro", uri=True)) as database:
        rows = database.execute("SELECT actor, action, detail FROM audit_events WHERE subject_type = 'case' ORDER BY id").fetchall()
    return [(actor, action, json.loads(detail)) for actor, action, detail in rows]


def test_a_case_becomes_one_file_with_everything_in_it(evidence: Scanned, tmp_path: Path) -> None:
    out = tmp_path / "pack.zip"
    ran = sosie("evidence", evidence.case, "--out", out, "--json")
    assert (ran.status, ran.err) == (0, "")
    (told,) = ran.objects
    assert (told["case"], told["for"], told["exact_stills"]) == (evidence.case, "rights-holder", True)
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    files = opened(out)
    manifest = Manifest.from_bytes(files[MANIFEST])
    assert told["manifest_sha256"] == hashlib.sha256(files[MANIFEST]).hexdigest()
    assert manifest.video_sha256 == hashlib.sha256(evidence.video.read_bytes()).hexdigest()
    assert set(manifest.versions) == {"policy", "index", "model", "trust", "watermarks", "probe"}
    assert {each.path for each in manifest.files} == files.keys() - {MANIFEST, SIGNATURE}
    for each in manifest.files:
        assert (hashlib.sha256(files[each.path]).hexdigest(), len(files[each.path])) == (each.sha256, each.size_bytes)
    assert len(manifest.stills) >= 1
    case = json.loads(files["case.json"])
    assert (case["likeness"]["name"], case["posts"][0]["source"]) == (SINGER.name, "singer.mp4")
    (assessment,) = json.loads(files["assessments.json"])
    assert assessment["facts"]
    assert assessment["policy_version"] == manifest.versions["policy"]
    assert {event["action"] for event in json.loads(files["audit.json"])} == {"case.opened"}
    assert json.loads(files["provenance.json"])["state"] == "absent"
    assert b"carries no C2PA manifest" in files["provenance.txt"]
    (actor, action, detail) = trail(evidence.home)[-1]
    assert (actor, action, detail["manifest_sha256"]) == ("command line", "evidence.packed", told["manifest_sha256"])
    assert not list(tmp_path.glob(".*"))


def test_the_stills_are_the_frames_of_the_moments_at_full_size_without_loss(evidence: Scanned, tmp_path: Path) -> None:
    out = tmp_path / "pack.zip"
    assert sosie("evidence", evidence.case, "--out", out).status == 0
    files = opened(out)
    with Workshop(settings.load()) as workshop, workshop.store.session(read_only=True) as session:
        moments = sorted(moment.time_s for moment in cases.get_case(session, evidence.case).moments)
    entries = Manifest.from_bytes(files[MANIFEST]).stills
    assert [entry.time_s for entry in entries] == moments
    for entry, frame in zip(entries, stills(evidence.video, moments, 65535), strict=True):
        with Image.open(io.BytesIO(files[entry.file])) as picture:
            pixels = np.asarray(picture)
        assert picture.format == "PNG"
        assert np.array_equal(pixels, frame.image)
        assert (entry.height, entry.width) == pixels.shape[:2]
        assert (
            entry.pixels_sha256
            == hashlib.sha256(entry.width.to_bytes(4, "big") + entry.height.to_bytes(4, "big") + pixels.tobytes()).hexdigest()
        )
        assert (entry.exact, entry.shown_s) == (True, frame.time_s)


def test_openssl_and_sha256sum_agree(evidence: Scanned, tmp_path: Path, openssl: str) -> None:
    assert sosie("evidence", evidence.case, "--out", tmp_path / "pack.zip").status == 0
    folder = tmp_path / "pack"
    with zipfile.ZipFile(tmp_path / "pack.zip") as archive:
        archive.extractall(folder)

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)

    files = ("-in", SIGNATURE, "-content", MANIFEST, "-CAfile", str(evidence.authority), "-out", os.devnull)
    checked = run(openssl, "cms", "-verify", "-binary", "-inform", "DER", *files)
    assert (checked.returncode, "successful" in checked.stderr) == (0, True)
    summed = run("sha256sum", "-c", "--strict", "hashes.txt")
    assert summed.returncode == 0
    assert len(summed.stdout.splitlines()) == len(list(folder.rglob("*.*"))) - 3  # itself, the manifest and its signature
    (folder / MANIFEST).write_bytes((folder / MANIFEST).read_bytes() + b" ")
    assert run(openssl, "cms", "-verify", "-binary", "-inform", "DER", *files).returncode != 0


def test_the_same_case_at_the_same_moment_gives_the_same_files_but_for_what_signing_draws(evidence: Scanned, tmp_path: Path) -> None:
    with Workshop(settings.load()) as workshop:
        signing = packer(workshop, evidence, NOW)
        first, second = (
            signing.pack(evidence.case, tmp_path / name, audience=Audience.REVIEWER, actor="test") for name in ("one.zip", "two.zip")
        )
    one, two = opened(first.file), opened(second.file)
    assert one.keys() == two.keys()
    differ = {name for name in one if one[name] != two[name]}
    # The second trail tells of the first pack; all else hangs on the stills' signatures.
    assert differ == {"audit.json", "hashes.txt", "index.html", MANIFEST, SIGNATURE, *(still.file for still in first.manifest.stills)}
    assert first.manifest.stills == second.manifest.stills
    assert [info.date_time for info in zipfile.ZipFile(first.file).infolist()] == [(2026, 11, 22, 9, 30, 0)] * len(one)


def test_a_rights_holder_sees_no_references_of_others_no_reviewer_and_no_query(evidence: Scanned, tmp_path: Path) -> None:
    with Workshop(settings.load()) as workshop:
        with workshop.store.session() as session:
            lease = queue.claim(session, evidence.case, reviewer="mallory.staff", now=NOW, lease_s=900)
            verdicts.decide(
                session, evidence.case, reviewer="mallory.staff", token=lease.token, verdict="deepfake", reason="The mouth.", now=NOW
            )
            own, other = (_reference_of(session, name) for name in (SINGER.name, ATHLETE.name))
            case = cases.get_case(session, evidence.case)
            case.evidence = [case.evidence[0] | {"reference_id": own}, *(each | {"reference_id": other} for each in case.evidence[1:])]
            session.execute(update(Post).values(source="https://tube.example/v/1?signature=secret"))
        signing = packer(workshop, evidence)
        for audience in Audience:
            signing.pack(evidence.case, tmp_path / f"{audience}.zip", audience=audience, actor="test", video=evidence.video)
    holder, reviewer = opened(tmp_path / "rights-holder.zip"), opened(tmp_path / "reviewer.zip")
    assert {name for name in holder if name.startswith("references/")} == {f"references/{own}.jpg"}
    assert {name for name in reviewer if name.startswith("references/")} == {f"references/{own}.jpg", f"references/{other}.jpg"}
    told = json.loads(holder["case.json"])
    assert [given["posts"] for given in told["verdicts"]] == [[post["id"] for post in told["posts"]]]
    assert b", on 1 of the posts below: The mouth." in holder["index.html"]
    for secret in (b"mallory", b"signature=secret", str(evidence.video.parent).encode()):
        assert not any(secret in content for content in holder.values())
    assert b"reviewer 1" in holder["index.html"]
    assert b"The mouth." in holder["index.html"]
    assert b"mallory.staff" in reviewer["case.json"]
    assert b"signature=secret" in reviewer["case.json"]


def _reference_of(session: Any, name: str) -> str:
    from monitor.registry import likenesses

    likeness = likenesses.get_likeness(session, name)
    return str(session.query(Reference).filter_by(likeness_id=likeness.id).order_by(Reference.id).first().id)


def test_a_video_that_changed_at_its_source_is_refused_and_kept_stills_are_called_so(evidence: Scanned, tmp_path: Path) -> None:
    changed = tmp_path / "singer.mp4"
    changed.write_bytes(evidence.video.read_bytes() + b"\0")
    with Workshop(settings.load()) as workshop, workshop.store.session() as session:
        session.execute(update(Post).values(source=str(changed)))
    out = tmp_path / "pack.zip"
    refused = sosie("evidence", evidence.case, "--out", out)
    digests = [hashlib.sha256(file.read_bytes()).hexdigest() for file in (changed, evidence.video)]
    assert refused.status == 1
    assert all(each in refused.err for each in (*digests, "post-1", "--video FILE", "--kept-stills"))
    assert sosie("evidence", evidence.case, "--out", out, "--video", changed).status == 1
    assert not out.exists()
    assert [action for _, action, _ in trail(evidence.home)] == ["case.opened"]

    assert sosie("evidence", evidence.case, "--out", out, "--video", evidence.video).status == 0
    assert sosie("evidence", evidence.case, "--out", out, "--kept-stills").status == 0
    files = opened(out)
    assert [still.exact for still in Manifest.from_bytes(files[MANIFEST]).stills] == [False] * len(
        list(evidence.home.rglob("evidence/*/*/*.jpg"))
    )
    assert b"kept when the video was scanned" in files["index.html"]
    assert sosie("evidence", "verify", out, "--anchors", evidence.authority).status == 0
    assert sosie("evidence", evidence.case, "--out", out, "--kept-stills", "--video", changed).status == 2


def test_without_a_key_it_says_how_to_get_one(evidence: Scanned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOSIE_EVIDENCE_KEY")
    ran = sosie("evidence", evidence.case, "--out", tmp_path / "pack.zip")
    assert ran.status == 1
    assert "SOSIE_EVIDENCE_KEY" in ran.err
    assert "sosie evidence key --out FOLDER" in ran.err
    assert sosie("evidence", "0" * 32, "--out", tmp_path / "pack.zip").status == 1


def test_a_pack_that_cannot_be_put_in_its_place_leaves_what_was_there(evidence: Scanned, tmp_path: Path) -> None:
    (tmp_path / "pack.zip").mkdir()
    with Workshop(settings.load()) as workshop, pytest.raises(ConfigError, match="cannot be written"):
        packer(workshop, evidence).pack(evidence.case, tmp_path / "pack.zip", audience=Audience.REVIEWER, actor="test")
    assert [each.name for each in tmp_path.iterdir() if each.name != "home"] == ["pack.zip"]


def test_a_case_without_stills_is_refused(evidence: Scanned, tmp_path: Path) -> None:
    with Workshop(settings.load()) as workshop:
        with workshop.store.session() as session:
            cases.get_case(session, evidence.case).evidence = []
        with pytest.raises(RequestRefused, match="no stills"):
            packer(workshop, evidence).pack(
                evidence.case, tmp_path / "pack.zip", audience=Audience.REVIEWER, actor="test", kept_stills=True
            )

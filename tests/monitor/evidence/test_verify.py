"""A pack verified: whatever is changed in it, the problem is named, and nothing else is."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from monitor.base import settings
from monitor.evidence import archive
from monitor.evidence.manifest import MANIFEST, SIGNATURE, Audience, Manifest
from monitor.evidence.pack import Packer
from monitor.evidence.signing import Signer, make_own_authority
from monitor.evidence.verify import Verification, examine
from monitor.provenance.trust import TrustLists
from monitor.scan.workshop import Workshop
from tests.monitor.evidence.conftest import Scanned
from tests.monitor.household import Household, sosie

Files = dict[str, bytes]
NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def packs(scanned: Scanned, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same case, signed by the household's key ("ours") and by somebody else's of the same name ("theirs")."""
    folder = tmp_path_factory.mktemp("packs")
    make_own_authority(folder / "keys", "Ärzte & Co", now=NOW)
    made = {}
    home = Household(scanned.home, scanned.video.parent).copy_home(folder / "home")  # packing leaves a trail
    with Workshop(settings.load({}, home=home, threads=1)) as workshop:
        for name, keys in (("ours", scanned.key.parent), ("theirs", folder / "keys")):
            signer = Signer.load(keys / "key.pem", keys / "chain.pem", now=NOW)
            packer = Packer(workshop.blobs, workshop.scratch, workshop.store, workshop.sandbox, workshop.limits, signer)
            made[name] = folder / f"{name}.zip"
            packer.pack(scanned.case, made[name], audience=Audience.REVIEWER, actor="test")
    return made


def contents(pack: Path) -> Files:
    with zipfile.ZipFile(pack) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def looked_at(files: Files, tmp_path: Path, anchors: Path | None, now: datetime = NOW) -> Verification:
    file = tmp_path / "changed.zip"
    file.write_bytes(archive.write(files, NOW))
    return examine(file, TrustLists.load(() if anchors is None else (anchors,)), now)


def named(found: Verification) -> list[tuple[str, str | None]]:
    return sorted((problem.fault.value, problem.path) for problem in found.problems)


def flipped(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def test_a_pack_is_intact_and_says_by_whom_and_whether_anybody_vouches(
    home: Path, scanned: Scanned, packs: dict[str, Path], tmp_path: Path
) -> None:
    anchors = scanned.authority
    told = sosie("evidence", "verify", packs["ours"], "--anchors", anchors, "--json")
    (answer,) = told.objects
    assert (told.status, answer["intact"], answer["problems"]) == (0, True, [])
    assert (answer["case"], answer["signer"]["vouched"], answer["exact_stills"]) == (scanned.case, "trusted", True)
    assert answer["signer"]["subject"] == "Ärzte & Co / Ärzte & Co evidence"
    assert set(answer["files"].values()) == {"intact"}
    assert set(answer["stills"].values()) == {"trusted"}

    unknown = sosie("evidence", "verify", packs["ours"])
    assert unknown.status == 0
    assert "Nobody vouches for that" in unknown.out

    theirs = sosie("evidence", "verify", packs["theirs"], "--anchors", anchors)
    assert theirs.status == 1
    assert "signer_untrusted" in theirs.out
    assert sosie("evidence", "verify", tmp_path / "none.zip").status == 1
    assert not (home / "sosie.sqlite3").exists()  # whoever verifies needs no database


def test_one_changed_byte_in_any_file_is_found_and_named(scanned: Scanned, packs: dict[str, Path], tmp_path: Path) -> None:
    files = contents(packs["ours"])
    kinds = {name.split("/")[0] + Path(name).suffix: name for name in files}
    assert len(kinds) == 11
    for name in kinds.values():
        for place in (0, len(files[name]) // 2, len(files[name]) - 1):
            found = looked_at(files | {name: flipped(files[name], place)}, tmp_path, scanned.authority)
            if name == MANIFEST:
                assert ("signature_wrong", SIGNATURE) in named(found)
            elif name == SIGNATURE:
                assert {path for _, path in named(found)} == {SIGNATURE}
            elif name.startswith("stills/"):
                assert named(found) == [("file_changed", name), ("still_changed", name)]
            else:
                assert named(found) == [("file_changed", name)]
                assert found.files[name] == "changed"


def test_what_the_zip_itself_says_is_checked_too(scanned: Scanned, packs: dict[str, Path], tmp_path: Path) -> None:
    whole = bytearray(packs["ours"].read_bytes())
    with zipfile.ZipFile(packs["ours"]) as opened:
        at = opened.getinfo("case.json").header_offset
        crc32 = whole[at + 14 : at + 18]
    changed = bytes(whole).replace(bytes(crc32), bytes(4))
    (tmp_path / "changed.zip").write_bytes(changed)
    assert named(examine(tmp_path / "changed.zip", TrustLists(), NOW)) == [("file_changed", "case.json")]


def test_missing_extra_and_swapped_files(scanned: Scanned, packs: dict[str, Path], tmp_path: Path) -> None:
    ours, theirs = contents(packs["ours"]), contents(packs["theirs"])

    def problems(change: Callable[[Files], object]) -> list[tuple[str, str | None]]:
        files = dict(ours)
        change(files)
        return named(looked_at(files, tmp_path, scanned.authority))

    still = Manifest.from_bytes(ours[MANIFEST]).stills[0].file
    assert problems(lambda f: f.pop("audit.json")) == [("file_missing", "audit.json")]
    assert problems(lambda f: f.pop(still)) == [("file_missing", still)]
    assert problems(lambda f: f.update({"stills/z.png": b"x"})) == [("file_extra", "stills/z.png")]
    assert problems(lambda f: f.pop(SIGNATURE)) == [("no_signature", SIGNATURE)]
    assert problems(lambda f: f.pop(MANIFEST)) == [("no_manifest", MANIFEST)]
    assert ("signature_wrong", SIGNATURE) in problems(lambda f: f.update({MANIFEST: theirs[MANIFEST]}))
    assert problems(lambda f: f.update({SIGNATURE: theirs[SIGNATURE]})) == [("signature_wrong", SIGNATURE)]
    assert ("signature_malformed", SIGNATURE) in problems(lambda f: f.update({SIGNATURE: b"words"}))
    assert ("file_changed", still) in problems(lambda f: f.update({still: theirs[still]}))


def test_a_manifest_signed_anew_by_somebody_else_is_theirs_and_does_not_fit_the_stills(
    scanned: Scanned, packs: dict[str, Path], tmp_path: Path
) -> None:
    files = contents(packs["ours"])
    stranger = tmp_path / "stranger"
    make_own_authority(stranger, "Ärzte & Co", now=NOW)
    signer = Signer.load(stranger / "key.pem", stranger / "chain.pem", now=NOW)
    manifest = replace(Manifest.from_bytes(files[MANIFEST]), signer=signer.fingerprints, video_sha256="0" * 64)
    content = manifest.to_bytes()
    found = looked_at(files | {MANIFEST: content, SIGNATURE: signer.cms(content)}, tmp_path, scanned.authority)
    stills = [("still_foreign", still.file) for still in manifest.stills]
    assert named(found) == [("signer_untrusted", SIGNATURE), *stills]


def test_a_still_about_another_video_is_found_even_when_the_same_key_signed_it(
    scanned: Scanned, packs: dict[str, Path], tmp_path: Path
) -> None:
    files = contents(packs["ours"])
    signer = Signer.load(scanned.key, scanned.chain, now=NOW)
    manifest = replace(Manifest.from_bytes(files[MANIFEST]), video_sha256="0" * 64)
    content = manifest.to_bytes()
    found = looked_at(files | {MANIFEST: content, SIGNATURE: signer.cms(content)}, tmp_path, scanned.authority)
    assert named(found) == [("still_foreign", still.file) for still in manifest.stills]


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[" * 100_000, b'{"format":"sosie-evidence/2"}', b"\xff\xfe", b'{"case_id":1e999}'],
)
def test_a_manifest_that_is_none_is_said_to_be_none(content: bytes, scanned: Scanned, packs: dict[str, Path], tmp_path: Path) -> None:
    signer = Signer.load(scanned.key, scanned.chain, now=NOW)
    files = contents(packs["ours"]) | {MANIFEST: content, SIGNATURE: signer.cms(content)}
    assert named(looked_at(files, tmp_path, None)) == [("manifest_malformed", MANIFEST)]


def test_a_manifest_with_the_same_values_written_otherwise_is_refused(scanned: Scanned, packs: dict[str, Path], tmp_path: Path) -> None:
    signer = Signer.load(scanned.key, scanned.chain, now=NOW)
    files = contents(packs["ours"])
    twice = files[MANIFEST].replace(b'{"audience"', b'{"case_id":"other","audience"', 1)
    for content in (json.dumps(json.loads(files[MANIFEST])).encode(), twice):
        found = looked_at(files | {MANIFEST: content, SIGNATURE: signer.cms(content)}, tmp_path, None)
        assert named(found) == [("manifest_malformed", MANIFEST)]


def test_a_manifest_that_lists_itself_or_a_file_twice_is_refused(scanned: Scanned, packs: dict[str, Path], tmp_path: Path) -> None:
    signer = Signer.load(scanned.key, scanned.chain, now=NOW)
    files = contents(packs["ours"])
    manifest = Manifest.from_bytes(files[MANIFEST])
    for listed in ((*manifest.files, manifest.files[0]), (*manifest.files, replace(manifest.files[0], path=MANIFEST))):
        content = replace(manifest, files=listed).to_bytes()
        found = looked_at(files | {MANIFEST: content, SIGNATURE: signer.cms(content)}, tmp_path, None)
        assert ("manifest_malformed", MANIFEST) in named(found)


def test_after_the_certificate_has_ended_nothing_shows_when_it_signed(scanned: Scanned, packs: dict[str, Path], tmp_path: Path) -> None:
    later = NOW + timedelta(days=3651)
    found = looked_at(contents(packs["ours"]), tmp_path, scanned.authority, later)
    assert named(found) == [("signer_expired", SIGNATURE)]
    assert found.by is not None
    assert found.by.vouched == "expired"


def test_hostile_files_end_as_a_sentence(home: Path, tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr(MANIFEST, bytes(10**8))
    outside = tmp_path / "outside.zip"
    with zipfile.ZipFile(outside, "w") as opened:
        opened.writestr("../../outside.txt", "x")
    noise = tmp_path / "noise.zip"
    noise.write_bytes(os.urandom(100_000))
    for file, reason in ((bomb, "is compressed"), (outside, "is named"), (noise, "no zip")):
        ran = sosie("evidence", "verify", file, "--json")
        (answer,) = ran.objects
        (problem,) = answer["problems"]
        assert (ran.status, problem["code"]) == (1, "not_a_pack")
        assert reason in problem["text"]
    assert not list(tmp_path.parent.rglob("outside.txt"))

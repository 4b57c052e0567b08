"""`sosie trust`: what is believed, and stored verdicts that follow it."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from monitor.cast.credentials import CAPTURED, GENERATED, Studio, tamper
from tests.monitor.household import SINGER, rows, sosie, trail


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    made = Studio("Camera Maker")
    (tmp_path / "cameras.pem").write_bytes(made.anchor_pem)
    return made


def stored(home: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(home / "sosie.sqlite3")) as connection:
        return connection.execute(sql).fetchall()


def test_until_there_is_a_list_it_is_said_that_nothing_can_be_trusted(home: Path, tmp_path: Path, studio: Studio, clips: Path) -> None:
    assert "nothing can be trusted" in sosie("trust", "show").out
    ran = sosie("trust", "verify")
    assert (ran.status, "vouch for nobody" in ran.err) == (1, True)
    signed = tmp_path / "signed.mp4"
    studio.sign(clips / "stranger.mp4", signed, digital_source_type=CAPTURED, generator="Camera")
    said = sosie("provenance", signed).out
    assert "untrusted" in said
    assert "No trust list is loaded" in said
    sosie("trust", "update", tmp_path / "cameras.pem")
    said = sosie("provenance", signed).out
    assert "the signer is trusted through cameras.pem" in said
    assert "rests on this certificate of the list: CN=Camera Maker Root" in said
    assert sosie("trust", "verify").status == 0


def test_show_names_each_file_with_its_digest(home: Path, tmp_path: Path, studio: Studio) -> None:
    sosie("trust", "update", tmp_path / "cameras.pem", "--name", "Cameras")
    (shown,) = sosie("trust", "show", "--json").objects
    assert [(file["kind"], file["name"], len(file["sha256"])) for file in shown["files"]] == [("own", "Cameras", 64)]
    assert shown["signers"] == 1
    table = sosie("trust", "show").out
    assert shown["files"][0]["sha256"] in table
    assert "1 authorities for signers" in table


def test_a_list_changes_stored_verdicts_flags_and_the_trail(furnished: Path, tmp_path: Path, studio: Studio, clips: Path) -> None:
    signed = tmp_path / "signed.mp4"
    studio.sign(clips / "singer.mp4", signed, digital_source_type=CAPTURED, generator="Camera")
    tamper(signed, tmp_path / "changed.mp4")
    sosie("scan", signed, tmp_path / "changed.mp4", clips / "singer.mp4")
    sosie("scan", clips / "stranger.mp4")
    assert rows(furnished, "cases", "manifest_stores") == {"cases": 3, "manifest_stores": 2}

    said = sosie("trust", "update", tmp_path / "cameras.pem")
    assert said.status == 0, said.err
    assert "2 stored videos judged again: 1 verdicts changed, 0 flags gained, 1 lost." in said.out
    states = {json.loads(str(value))["state"] for (value,) in stored(furnished, "SELECT provenance FROM videos")}
    assert states == {"trusted", "tampered", "absent"}
    assert rows(furnished, "cases") == {"cases": 3}, "a case is for people to decide"
    assert sosie("repeat").status == 0

    again = sosie("trust", "update")
    assert "(unchanged)" in again.out
    assert "0 stored videos judged again" in again.out
    back = sosie("trust", "remove", "cameras.pem").out
    assert "1 verdicts changed, 1 flags gained, 0 lost" in back
    assert "nothing can be trusted" in back
    assert trail(furnished, "trust") == ["trust.updated", "trust.removed"]


def test_another_policy_that_acts_since_does_not_weigh_what_it_did_not_see(
    furnished: Path, tmp_path: Path, studio: Studio, clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed = tmp_path / "signed.mp4"
    studio.sign(clips / "singer.mp4", signed, digital_source_type=CAPTURED, generator="Camera")
    before = sosie("scan", signed, "--json").objects[0]["assessment"]["policy"]
    (tmp_path / "other.yaml").write_text(sosie("policy", "show").out.replace("slope: 1.2", "slope: 0.5"))
    monkeypatch.setenv("SOSIE_POLICY", str(tmp_path / "other.yaml"))
    assert "1 verdicts changed" in sosie("trust", "update", tmp_path / "cameras.pem").out
    assert stored(furnished, "SELECT policy_version, flagged FROM assessments") == [(before, 0)]
    assert sosie("repeat").status == 0


def test_a_consent_for_a_certificate_clears_what_it_signed_and_nothing_that_was_changed(
    furnished: Path, tmp_path: Path, clips: Path
) -> None:
    licensee = Studio("Licensee")
    pem = tmp_path / "licensee.pem"
    pem.write_bytes(licensee.certificate_pem)
    assert sosie("consent", "grant", SINGER.name, "--certificate", pem, "--from", "2020-01-01").status == 0
    signed, changed = tmp_path / "signed.mp4", tmp_path / "changed.mp4"
    licensee.sign(clips / "singer.mp4", signed, digital_source_type=GENERATED, generator="Machine")
    tamper(signed, changed)
    cleared, flagged = sosie("scan", signed, changed, "--json").objects
    assert (cleared["assessment"]["flagged"], flagged["assessment"]["flagged"]) == (False, True)
    assert "consent" in {reason["code"] for reason in cleared["assessment"]["reasons"]}
    assert "consent" not in {reason["code"] for reason in flagged["assessment"]["reasons"]}


def test_what_is_no_list_is_refused_with_its_name(home: Path, tmp_path: Path) -> None:
    (tmp_path / "rumour.txt").write_text("trust me")
    ran = sosie("trust", "update", tmp_path / "rumour.txt")
    assert (ran.status, "rumour.txt: holds neither PEM certificates" in ran.err) == (1, True)
    assert "two" not in sosie("trust", "show").out

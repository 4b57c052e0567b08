"""`sosie policy`: from a proposal to what acts, and what a backtest says before it does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from monitor.decision.policy import default_policy
from tests.monitor.household import rows, sosie

TEXT = default_policy().text
PASSWORD = "correct horse battery"


@pytest.fixture
def people(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOSIE_PASSWORD", PASSWORD)
    for name, role in (("ada", "admin"), ("bo", "admin"), ("cy", "reviewer")):
        assert sosie("account", "add", name, "--role", role).status == 0


@pytest.fixture
def stricter(tmp_path: Path) -> Path:
    file = tmp_path / "stricter.yaml"
    file.write_text(TEXT.replace("flag_at: 0.5", "flag_at: 0.999"))
    return file


def proposed(file: Path, who: str = "ada") -> str:
    ran = sosie("policy", "propose", str(file), "--as", who, "--note", "too many flags")
    assert ran.status == 0, ran.err
    return ran.out.split()[1]


def test_what_acts_is_shown_as_it_was_written(home: Path) -> None:
    assert sosie("policy", "show").out == TEXT


def test_check_names_the_line_of_a_mistake_and_what_a_good_one_changes(home: Path, stricter: Path, tmp_path: Path) -> None:
    said = sosie("policy", "check", str(stricter)).out
    assert "flag_at: 0.5 → 0.999" in said
    assert "takes a second person" in said
    bad = tmp_path / "bad.yaml"
    bad.write_text(TEXT.replace("flag_at: 0.5", "flag_at: high"))
    ran = sosie("policy", "check", str(bad))
    assert ran.status == 1
    line = 1 + TEXT.splitlines().index("flag_at: 0.5")
    assert f"{bad}:{line}:10: flag_at:" in ran.err
    line = next(number for number, text in enumerate(TEXT.splitlines(), 1) if "{score}" in text)
    bad.write_text(TEXT.replace("{score}", "{score:.2f}"))
    refused = sosie("policy", "check", str(bad))
    assert refused.status == 1
    assert f"{bad}:{line}:64: signals.face_match.text: {{score:.2f}} asks for a format; write {{score}}" in refused.err


def test_the_schema_knows_routes_and_signals(home: Path) -> None:
    schema = json.loads(sosie("policy", "schema").out)
    assert {"prior", "flag_at", "matching", "routes", "signals"} <= schema["properties"].keys()


def test_a_second_person_activates_what_one_proposed_and_the_next_scan_goes_by_it(
    furnished: Path, clips: Path, people: None, stricter: Path
) -> None:
    policy = proposed(stricter)
    ran = sosie("policy", "activate", policy, "--as", "ada")
    assert ran.status == 1
    assert "Have a second person" in ran.err
    assert sosie("scan", str(clips / "singer.mp4"), "--json").objects[0]["assessment"]["flagged"] is True
    assert sosie("policy", "activate", policy, "--as", "bo").status == 0
    (again,) = sosie("scan", str(clips / "singer.mp4"), "--json").objects
    assert (again["assessment"]["flagged"], again["assessment"]["policy"]) == (False, policy)
    assert sosie("repeat").status == 0
    (listed,) = [each for each in sosie("policy", "list", "--json").objects if each["standing"] == "active"]
    assert (listed["id"], listed["proposed_by"], listed["activated_by"], listed["note"]) == (policy, "ada", "bo", "too many flags")
    assert sosie("policy", "show").out == stricter.read_text()


def test_a_scan_with_a_file_of_ones_own_does_not_replace_the_second_person(
    furnished: Path, clips: Path, people: None, stricter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOSIE_POLICY", str(stricter))
    (found,) = sosie("scan", str(clips / "singer.mp4"), "--json").objects
    policy = found["assessment"]["policy"]
    ran = sosie("policy", "activate", policy, "--as", "ada")
    assert ran.status == 1
    assert "nobody proposed it: it was read from a file" in ran.err
    assert proposed(stricter) == policy
    ran = sosie("policy", "activate", policy, "--as", "ada")
    assert ran.status == 1
    assert "ada proposed it" in ran.err
    assert sosie("policy", "activate", policy, "--as", "bo").status == 0
    reworded = stricter.with_name("reworded.yaml")
    reworded.write_text(TEXT)
    monkeypatch.setenv("SOSIE_POLICY", str(reworded))
    assert f"which does not act: {policy} was activated" in " ".join(sosie("policy", "list").out.split())
    (again,) = sosie("scan", str(clips / "singer.mp4"), "--json").objects
    assert again["assessment"]["policy"] == policy


def test_a_shadow_sees_every_video_and_opens_no_case(furnished: Path, clips: Path, people: None, tmp_path: Path) -> None:
    looser = tmp_path / "looser.yaml"
    looser.write_text(TEXT.replace("flag_at: 0.5", "flag_at: 0.02").replace("frames: 5", "frames: 3"))
    policy = proposed(looser)
    assert sosie("policy", "shadow", policy, "--as", "bo").status == 0
    found = sosie("scan", str(clips / "singer.mp4"), str(clips / "athlete.mp4"), str(clips / "stranger.mp4"), "--json").objects
    flagged = sum(each["assessment"]["flagged"] for each in found)
    assert len(found) == 3
    (listed,) = [each for each in sosie("policy", "list", "--json").objects if each["standing"] == "shadow"]
    assert listed["shadow"]["seen"] == 2
    assert listed["shadow"]["flagged_live"] == flagged
    assert listed["shadow"]["gained"] == 2 - flagged
    assert rows(furnished, "cases")["cases"] == flagged
    assert "+" in sosie("policy", "list").out
    assert sosie("policy", "shadow", policy, "--off", "--as", "bo").status == 0


def test_a_backtest_says_what_would_be_lost(furnished: Path, clips: Path, stricter: Path) -> None:
    sosie("scan", str(clips / "singer.mp4"), str(clips / "stranger.mp4"))
    said = sosie("policy", "backtest", str(stricter))
    assert said.status == 0, said.err
    assert "1 assessments replayed" in said.out
    assert "Flags lost: 1" in said.out
    assert "no verdicts yet" in said.out
    (result,) = sosie("policy", "backtest", str(stricter), "--json").objects
    assert (result["replayed"], result["lost_count"], result["nobody_found"]) == (1, 1, 1)


def test_a_backtest_names_what_it_cannot_replay(furnished: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(TEXT.replace("frames: 5", "frames: 9"))
    assert "Not replayed: matching.frames: 5 → 9" in sosie("policy", "backtest", str(other)).out


def test_a_wrong_password_a_disabled_account_and_a_reviewer_are_refused(
    people: None, stricter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = proposed(stricter, "cy")
    assert "is no admin" in sosie("policy", "activate", policy, "--as", "cy").err
    sosie("account", "disable", "bo")
    assert "disabled" in sosie("policy", "activate", policy, "--as", "bo").err
    monkeypatch.setenv("SOSIE_PASSWORD", "another one entirely")
    ran = sosie("policy", "activate", policy, "--as", "ada")
    assert ran.status == 1
    assert "another one entirely" not in ran.err


def test_diff_reads_files_and_stored_policies(people: None, stricter: Path) -> None:
    policy = proposed(stricter)
    assert "flag_at: 0.5 → 0.999" in sosie("policy", "diff", policy).out
    assert "It says the same" in sosie("policy", "diff", policy, str(stricter)).out
    (change,) = sosie("policy", "diff", policy, "--json").objects
    assert change == {"where": "flag_at", "before": "0.5", "after": "0.999", "moves": True}
    assert "is not stored" in sosie("policy", "diff", "nothing").err

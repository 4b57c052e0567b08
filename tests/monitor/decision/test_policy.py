from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from monitor.base.errors import PolicyError
from monitor.decision.facts import Facts, SignalCode, signals
from monitor.decision.policy import Policy, assess, assess_nobody, default_policy, load_policy, parse

POLICY_FILE = Path(__file__).parents[3] / "monitor" / "decision" / "policy.yaml"
LIVING = Facts(
    name="Orla Vantreese",
    deceased_on=None,
    score=0.95,
    frames=6,
    seconds=5.0,
    ranges="0:00-0:05",
    state="absent",
    ai="unknown",
    signer=None,
    trust_list=None,
    account="somebody",
    consent=None,
)
DECEASED = replace(LIVING, deceased_on=date(2019, 3, 1))


def risk(facts: Facts) -> float:
    return assess(facts, default_policy()).risk


@pytest.mark.parametrize(
    ("facts", "flagged"),
    [
        pytest.param(DECEASED, True, id="deceased, nothing known of the file"),
        pytest.param(replace(DECEASED, state="trusted", ai="captured"), False, id="deceased, trusted capture"),
        pytest.param(replace(DECEASED, state="untrusted", ai="captured"), True, id="deceased, capture claimed by an unknown credential"),
        pytest.param(replace(LIVING, state="trusted", ai="fully"), True, id="living, declared AI"),
        pytest.param(replace(LIVING, state="untrusted", ai="fully"), True, id="living, declared AI, unknown credential"),
        pytest.param(LIVING, False, id="living, nothing known"),
        pytest.param(replace(LIVING, state="tampered", ai="captured"), True, id="living, captured then changed"),
        pytest.param(replace(DECEASED, state="trusted", ai="fully", consent="consent 1"), False, id="licensed"),
    ],
)
def test_what_is_flagged(facts: Facts, flagged: bool) -> None:
    assert assess(facts, default_policy()).flagged is flagged


def test_declared_ai_weighs_more_than_a_death_without_capture() -> None:
    declared = replace(LIVING, ai="fully", state="trusted")
    assert risk(declared) > risk(DECEASED) > risk(LIVING)
    assert risk(replace(DECEASED, ai="fully", state="trusted")) > risk(declared)


def test_absence_of_a_manifest_is_no_signal_and_no_reason() -> None:
    for state in ("absent", "unsupported", "remote", "malformed", "untrusted"):
        assert signals(replace(LIVING, state=state)) == signals(LIVING)
        assert risk(replace(LIVING, state=state)) == risk(LIVING)


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        (replace(LIVING, metadata_ai="fully", metadata_where="XMP"), SignalCode.METADATA_AI),
        (replace(LIVING, metadata_ai="partly", metadata_where="XMP"), SignalCode.METADATA_AI_PARTLY),
        (replace(LIVING, stripped="a remote address is left"), SignalCode.STRIPPED),
        (replace(LIVING, watermark="Sora", mark_score=0.9), SignalCode.WATERMARK),
        (replace(LIVING, synthetic=0.9, probe_basis="trained on 200 videos"), SignalCode.SYNTHETIC_PROBE),
        (replace(LIVING, breach="it ended on 1 May"), SignalCode.CONSENT_EXCEEDED),
    ],
)
def test_each_signal_raises_the_risk_and_the_weakest_do_not_flag_a_living_person_alone(facts: Facts, code: SignalCode) -> None:
    assert code in [signal.code for signal in signals(facts)]
    assert risk(facts) > risk(LIVING)
    assert assess(facts, default_policy()).flagged is (code not in {SignalCode.STRIPPED, SignalCode.SYNTHETIC_PROBE})


def test_metadata_is_asked_only_where_the_manifest_says_nothing_and_a_capture_claim_in_it_is_no_signal() -> None:
    signed = replace(LIVING, ai="may", state="trusted")
    assert signals(replace(signed, metadata_ai="fully")) == signals(signed)
    assert signals(replace(LIVING, metadata_ai="captured")) == signals(LIVING)


def test_a_mark_on_what_a_camera_recorded_speaks_against_the_mark() -> None:
    captured = replace(LIVING, ai="captured", state="trusted", watermark="Sora", mark_score=1.0)
    codes = [signal.code for signal in signals(captured)]
    assert SignalCode.WATERMARK_FORGED in codes
    assert SignalCode.WATERMARK not in codes
    assert not assess(captured, default_policy()).flagged


def test_a_mark_on_known_archive_footage_is_possibly_forged_and_says_by_whose_word() -> None:
    """No credential, and the verdict of a reviewer: the mark hardly counts, and nothing else changes."""
    marked = replace(LIVING, watermark="Sora", mark_score=1.0)
    archive = replace(marked, recorded="a reviewer's verdict on this video is archive footage")
    assert [signal.code for signal in signals(archive)].count(SignalCode.WATERMARK_FORGED) == 1
    assert SignalCode.WATERMARK not in [signal.code for signal in signals(archive)]
    assert risk(LIVING) < risk(archive) < risk(marked)
    (told,) = [reason.text for reason in assess(archive, default_policy()).reasons if reason.code == "watermark_forged"]
    assert told == "The visible mark of Sora is possibly forged: a reviewer's verdict on this video is archive footage."
    captured = replace(marked, ai="captured", state="trusted")
    (told,) = [reason.text for reason in assess(captured, default_policy()).reasons if reason.code == "watermark_forged"]
    assert told == "The visible mark of Sora is possibly forged: a trusted credential says that a camera recorded this."
    assert signals(replace(LIVING, recorded="a verdict")) == signals(LIVING), "without a mark it is no signal"


def test_the_probe_says_nothing_of_what_it_takes_for_captured() -> None:
    assert signals(replace(LIVING, synthetic=0.3)) == signals(LIVING)


@pytest.mark.parametrize("low", [0.5, 0.7])
def test_a_better_match_never_lowers_the_risk(low: float) -> None:
    assert risk(replace(DECEASED, score=low)) < risk(DECEASED)
    assert risk(replace(DECEASED, frames=2)) < risk(DECEASED)


def test_reasons_are_sentences_that_add_up_to_the_risk() -> None:
    policy = default_policy()
    assessment = assess(replace(DECEASED, ai="fully", state="trusted", signer="Studio"), policy)
    assert [reason.code for reason in assessment.reasons][:2] == ["declared_ai", "deceased_no_capture"]
    assert "Orla Vantreese died on 1 March 2019" in assessment.reasons[1].text
    assert "signed by Studio" in assessment.reasons[0].text
    assert all(reason.text.endswith(".") for reason in assessment.reasons)
    from math import exp

    odds = policy.prior + sum(reason.weight for reason in assessment.reasons)
    assert assessment.risk == pytest.approx(1 / (1 + exp(-odds)), abs=1e-4)
    assert assessment.policy == policy.id


def test_nobody_found_is_never_flagged() -> None:
    assessment = assess_nobody(default_policy())
    assert not assessment.flagged
    assert assessment.reasons[0].code == "no_match"


def test_every_signal_can_occur() -> None:
    seen = {
        signal.code
        for state in ("trusted", "tampered", "revoked", "absent")
        for ai in ("fully", "partly", "may", "captured", "unknown")
        for consent in (None, "c")
        for metadata_ai in ("partly", "fully")
        for signal in signals(
            replace(
                DECEASED,
                state=state,
                ai=ai,
                consent=consent,
                metadata_ai=metadata_ai,
                stripped="a box",
                watermark="Sora",
                synthetic=0.9,
                breach="its end",
            )
        )
    }
    assert seen == set(SignalCode)


def edited(old: str, new: str) -> tuple[str, int]:
    text = POLICY_FILE.read_text()
    assert text.count(old) == 1, old
    return text.replace(old, new), text[: text.index(old)].count("\n") + 1


@pytest.mark.parametrize(
    ("old", "new", "reason", "offset"),
    [
        ("  tampered:\n", "  tamperd:\n", "tamperd is not a signal", 0),
        ("flag_at: 0.5", "flag_at: 1.5", "flag_at", 0),
        ("    weight: 5.0\n", "    weight: heavy\n", "weight", 0),
        ("    weight: 5.0\n", "    weight: .nan\n", "finite", 0),
        ("  slope: 1.2", "  slop: 1.2", "slop", 0),
        ('    text: "{name} died on', '    text: "{nam} died on', "{nam} is not known", 0),
        ('    text: "{name} died on', '    text: "{name died on', "text", 0),
        ("prior: -4.0", "prior: [", "not YAML", 1),
        ('version: "1"\n', "", "version", None),
    ],
)
def test_a_mistake_is_named_with_its_line(old: str, new: str, reason: str, offset: int | None) -> None:
    text, line = edited(old, new)
    with pytest.raises(PolicyError) as caught:
        parse(text, "mine.yaml")
    assert reason in caught.value.reason
    if offset is None:
        return
    name, told_line, told_column = caught.value.thing.split(":")
    assert name == "mine.yaml"
    assert abs(int(told_line) - line) <= (offset and 12), caught.value
    assert int(told_column) >= 1


@pytest.mark.parametrize(
    ("old", "new", "at", "reason"),
    [
        ("match score {score}", "match score {score:.2f}", "{score:", "{score:.2f} asks for a format; write {score}"),
        ("match score {score}", "match score {score!x}", "{score!", "{score!x} asks for a format"),
        ("match score {score}", "match score {score!r}", "{score!", "{score!r} asks for a format"),
        ("match score {score}", "match score {score:{frames}}", "{score:", "asks for a format"),
        ("match score {score}", "match score {score.real}", "{score.", "{score.real} is not known"),
        ("match score {score}", "match score {0}", "{0}", "{0} is not known"),
        ("match score {score}", "match score {}", "{", "{} is not known"),
        ("match score {score}", "match score \\0", '"{name}', "which cannot be shown"),
        ("match score {score}", "match score \\ud800", '"{name}', "which cannot be shown"),
        ("frame_z: 3.5", "frame_z: 4.71", "4.71", "4.71 is above threshold_z, 4.7"),
        ("prior: -4.0", "prior: 0", "0", "a video in which nobody is found has risk 0.5, which is not below flag_at, 0.5"),
        ("prior: -4.0", "prior: -100", "0.5", "nothing is ever flagged"),
        ("flag_at: 0.5", "flag_at: 0.01", "-4.0", "nobody is found has risk 0.018"),
        ("flag_at: 0.5", "flag_at: 2001-99-99", "2001", "month must be in 1..12"),
        ("flag_at: 0.5", f"flag_at: {'9' * 5000}", "9", "4300 digits"),
        ("flag_at: 0.5", "flag_at: !!set {a}", "!!set", "flag_at"),
        ("flag_at: 0.5", "flag_at: '0.5'", "'0.5'", "'0.5' is no number"),
        ("flag_at: 0.5", "flag_at: 0.5\nflag_at: 0.6", "flag_at: 0.6", "flag_at stands here a second time"),
        ("flag_at: 0.5", "flag_at: 0.5\nflag: 0.6", "flag: 0.6", "flag is not a setting of a policy"),
        ("frames: 5\n", "frames: true\n", "true", "no number"),
        ("frames: 5\n", "frames: 5.5\n", "5.5", "integer"),
        ("    weight: 5.0\n", "    weight: 5.0\n    weihgt: 1\n", "weihgt", "weihgt is not a setting"),
        ("    weight: 5.0\n", "    weight: -.inf\n", "-.inf", "finite"),
        ("  slope: 1.2", "  slope: -1.2", "-1.2", "greater than 0"),
        ("sla_hours: 24", "sla_hours: soon", "soon", "no number"),
        ("weight: -12.0", "weight: 12.0", "12.0", "+12, but consent can only speak against misuse"),
        ("face_match:\n    weight: 2.5", "face_match:\n    weight: -2.5", "-2.5", "-2.5, but face_match can only speak for misuse"),
        ('version: "1"', 'version: "1\\0"', '"1', "cannot be shown"),
        ('version: "1"', 'version: "\0"', "\0", "unacceptable character"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_line_and_column_and_a_next_step(old: str, new: str, at: str, reason: str) -> None:
    text, line = edited(old, new)
    with pytest.raises(PolicyError) as caught:
        parse(text, "mine.yaml")
    assert reason in caught.value.reason
    assert caught.value.next_step
    name, told_line, told_column = caught.value.thing.split(":")
    assert name == "mine.yaml"
    assert text.split("\n")[int(told_line) - 1][int(told_column) - 1 :].startswith(at), caught.value
    if at in new:
        assert abs(int(told_line) - line) <= 1


@pytest.mark.parametrize(
    ("weights", "reason"),
    [
        (lambda code, weight: 0.0, "nothing is ever flagged: with all evidence there can be the risk is 0.018"),
        (lambda code, weight: min(weight, 0.0), "nothing is ever flagged"),
        (
            lambda code, weight: 50.0 if code == "face_match" else weight,
            "whoever is found is flagged, licensed and recorded by a camera or not",
        ),
    ],
    ids=["all zero", "all against", "a face outweighs all"],
)
def test_weights_that_flag_nothing_or_everything_are_refused(weights: Callable[[str, float], float], reason: str) -> None:
    tree = YAML(typ="safe").load(POLICY_FILE.read_text())
    for code, weighing in tree["signals"].items():
        weighing["weight"] = weights(code, weighing["weight"])
    with pytest.raises(PolicyError, match=r"mine\.yaml:\d+:\d+: flag_at") as caught:
        parse(json.dumps(tree), "mine.yaml")
    assert reason in caught.value.reason


def test_a_sentence_may_hold_braces_and_any_fact() -> None:
    text, _ = edited("match score {score}", "match score {score} of {{1}}")
    named = replace(DECEASED, name="{name} {0} {", account=None, signer="}")
    told = {reason.code: reason.text for reason in assess(named, parse(text, "mine.yaml")).reasons}
    assert told["face_match"] == "{name} {0} { appears in the video (0:00-0:05); match score 0.95 of {1}."


@pytest.mark.parametrize(
    ("template", "told"),
    [
        ("{score:>6}|", "  0.95|"),
        ("{score:.2f}|", "0.95|"),
        ("{score!r}|", "'0.95'|"),
        ("{score!x}|", "0.95|"),
        ("{score:>999999999999}|", "0.95|"),
        ("{score:{frames}}|", "0.95  |"),
        ("{score:{frames.x}}|", "0.95|"),
    ],
)
def test_a_stored_policy_of_an_earlier_release_is_read_and_assesses_whatever_its_formats(template: str, told: str) -> None:
    text, _ = edited("match score {score}.", template)
    policy = parse(text.replace("frame_z: 3.5", "frame_z: 40").replace("weight: -12.0", "weight: '-12'"), "stored", of_before=True)
    assert next(reason.text for reason in assess(LIVING, policy).reasons if reason.code == "face_match").endswith(f"; {told}")
    assert policy.signals[SignalCode.CONSENT].weight == -12


def test_a_signal_left_out_is_named() -> None:
    text = POLICY_FILE.read_text()
    start = text.index("  consent:\n")
    with pytest.raises(PolicyError, match="consent is missing"):
        parse(text[:start], "mine.yaml")


@pytest.mark.parametrize("text", ["", "just words", "- 1\n- 2\n", "a: 1\na: 2\n"])
def test_what_is_no_policy_at_all(text: str) -> None:
    with pytest.raises(PolicyError, match=r"mine\.yaml:\d"):
        parse(text, "mine.yaml")


def test_an_edit_without_a_new_version_word_still_shows(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(POLICY_FILE.read_text().replace("weight: 5.0", "weight: 4.9"))
    policy: Policy = load_policy(file)
    assert policy.version == default_policy().version
    assert policy.id != default_policy().id
    with pytest.raises(PolicyError, match="cannot be read"):
        load_policy(tmp_path / "none.yaml")


ROW = "licensed: [account, platform, purpose, territory, consent, risk]"


@pytest.mark.parametrize(
    ("edit", "place", "reason"),
    [
        ((f"  {ROW}\n", ""), "after_verdict", "licensed has no row"),
        ((ROW, "licensed: [account, mood]"), "after_verdict.licensed", "Input should be 'account'"),
        ((ROW, "licensed: account"), "after_verdict.licensed", "after_verdict.licensed"),
        ((ROW, f"{ROW}\n  fake: []"), "after_verdict", "fake"),
    ],
)
def test_a_table_of_what_reopens_that_is_not_whole_or_not_in_its_words_is_refused_with_its_line(
    edit: tuple[str, str], place: str, reason: str
) -> None:
    text = POLICY_FILE.read_text()
    assert edit[0] in text
    edited = text.replace(*edit)
    with pytest.raises(PolicyError, match=r"A row is a verdict \(deepfake, .*\) and a list of differences \(account, ") as refused:
        parse(edited, "mine.yaml")
    line = int(str(refused.value).split(":")[1])
    assert edited.splitlines()[line - 1].strip().startswith(("after_verdict:", "licensed:", "fake:"))
    assert all(said in str(refused.value) for said in (place, reason))


def test_a_policy_without_the_table_has_the_shipped_one_as_stored_policies_of_before_do() -> None:
    text = POLICY_FILE.read_text()
    start, end = text.index("after_verdict:"), text.index("signals:")
    before = parse(text[:start] + text[end:], "old.yaml", of_before=True)
    assert before.after_verdict == default_policy().after_verdict
    assert all(bool(minded) is verdict.is_about_use for verdict, minded in before.after_verdict.items())

"""Real files of eleven makers, under four sets of trust lists; what is expected follows from MANIFEST.csv by one rule."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from monitor.base.errors import ConfigError
from monitor.provenance.check import check, manifest_store, recheck
from monitor.provenance.history import History
from monitor.provenance.sentences import sentences
from monitor.provenance.trust import TrustLists
from monitor.provenance.trust_files import TrustFile, bundle, named, recognise
from monitor.provenance.types import AI, State

pytestmark = pytest.mark.shared_data

OFFICIAL = "c2pa-org_C2PA-TRUST-LIST.pem"
INTERIM = "conformance-tool_anchors.pem"
TEST_ROOTS = "c2pa-rs_test_cert_root_bundle.pem"

# name: (lists, MANIFEST column that says whether these lists make the file Trusted).
# The column of the interim list was measured with the test roots loaded as well; so was the column of the test roots with
# the official list.
PROFILES: dict[str, tuple[list[str], str | None]] = {
    "no list": ([], None),
    "official list": ([OFFICIAL], "state_official_trust"),
    "official and interim lists": ([OFFICIAL, INTERIM, TEST_ROOTS], "state_official_plus_legacyITL"),
    "test roots": ([TEST_ROOTS, "ms_trusted_root_CA.crt", OFFICIAL], "state_test_trust"),
}

AI_OF_SOURCE_TYPE = {
    "trainedAlgorithmicMedia": AI.FULLY,
    "compositeWithTrainedAlgorithmicMedia": AI.PARTLY,
    "composite": AI.MAY,
    "digitalCapture": AI.CAPTURED,
    "algorithmicMedia": AI.UNKNOWN,
    "empty": AI.UNKNOWN,
    "": AI.UNKNOWN,
}


def expected_state(row: dict[str, str], trusted_column: str | None) -> State:
    """The rule. Whether content was altered does not hang on trust, so `failures_official` serves every profile."""
    without_store = {"none": State.ABSENT, "remote-only": State.REMOTE, "unparseable": State.MALFORMED}
    if row["manifest"] in without_store:
        return without_store[row["manifest"]]
    failures = [code for code in row["failures_official"].split(";") if code]
    everywhere = [code.removeprefix("ING:") for code in failures]
    if any(code.endswith(".mismatch") and not code.startswith("cawg.") for code in everywhere):
        return State.TAMPERED
    if any(not code.startswith(("ING:", "signingCredential.", "cawg.")) for code in failures):
        return State.MALFORMED
    return State.TRUSTED if trusted_column and row[trusted_column] == "Trusted" else State.UNTRUSTED


@pytest.fixture(scope="module")
def folder(shared: Path) -> Path:
    return shared / "c2pa"


@pytest.fixture(scope="module")
def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "MANIFEST.csv").open(encoding="utf-8", newline="") as file:
        listed = list(csv.DictReader(file))
    assert listed
    return listed


def lists(folder: Path, names: list[str]) -> TrustLists:
    return TrustLists.load([folder / "trust" / name for name in names], folder / "trust" / "c2pa-rs_store.cfg")


@pytest.mark.parametrize("profile", PROFILES)
def test_every_file_gets_the_state_its_columns_imply(folder: Path, rows: list[dict[str, str]], profile: str) -> None:
    names, column = PROFILES[profile]
    trust = lists(folder, names)
    found = {row["file"]: check(folder.parent / row["file"], trust).state for row in rows}
    assert len(found) == 79
    assert found == {row["file"]: expected_state(row, column) for row in rows}


def test_every_file_declares_what_its_columns_say(folder: Path, rows: list[dict[str, str]]) -> None:
    found = {row["file"]: check(folder.parent / row["file"], TrustLists()) for row in rows}
    assert {name: p.ai for name, p in found.items()} == {row["file"]: AI_OF_SOURCE_TYPE[row["digitalSourceType_any"]] for row in rows}
    assert {name: p.signer or "" for name, p in found.items()} == {row["file"]: row["signer"] for row in rows}
    assert {name: p.manifests for name, p in found.items()} == {row["file"]: int(row["n_manifests"] or 0) for row in rows}


def test_every_signal_names_a_path_and_every_file_has_sentences(folder: Path, rows: list[dict[str, str]]) -> None:
    for row in rows:
        found = check(folder.parent / row["file"], TrustLists())
        assert sentences(found), row["file"]
        assert all(signal.where and signal.text.endswith(".") for signal in found.signals), row["file"]
        if found.state is State.REMOTE:
            assert (found.remote_url or "").startswith("http"), row["file"]


def test_a_genuine_sora_video_is_untrusted_under_the_official_list_and_trusted_by_the_interim_one(folder: Path) -> None:
    sora = folder / "Yogesh1290__huminify-c2pa-detector__videotest2.mp4"
    alone = check(sora, lists(folder, [OFFICIAL]))
    assert (alone.state, alone.ai) == (State.UNTRUSTED, AI.FULLY)
    assert set(alone.codes) == {"signingCredential.untrusted", "signingCredential.expired", "timeStamp.untrusted"}
    both = check(sora, lists(folder, [OFFICIAL, INTERIM]))
    assert (both.state, both.trust_list, both.signed_at) == (State.TRUSTED, INTERIM, "2026-02-25T02:24:52+00:00")


def test_the_list_that_matched_is_named_whatever_the_order(folder: Path) -> None:
    veo = folder / "Yogesh1290__huminify-c2pa-detector__videotest.mp4"
    assert {check(veo, lists(folder, names)).trust_list for names in ([OFFICIAL, INTERIM], [INTERIM, OFFICIAL])} == {OFFICIAL}


@pytest.mark.parametrize("name", ["conformance-tool_allowed.pem", "c2pa-rs_allowed_list.pem"])
def test_a_list_of_single_signers_is_refused(folder: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="no certificate authority"):
        lists(folder, [name])


def test_files_made_to_break_parsers_get_a_state_each(shared: Path) -> None:
    """No file of these carries a manifest that holds: whatever cannot be read is malformed or unsupported, never judged."""
    files = sorted(path for path in (shared / "malformed").iterdir() if path.suffix != ".csv")
    assert len(files) == 93
    assert {check(path, TrustLists()).state for path in files} == {State.ABSENT, State.MALFORMED, State.UNSUPPORTED}


OFFICIAL_STAMPS = "c2pa-org_C2PA-TSA-TRUST-LIST.pem"
INTERIM_ALLOWED = "conformance-tool_allowed.pem"
USAGES = "c2pa-rs_store.cfg"

BUNDLES = {
    "none": (),
    "official": (OFFICIAL, OFFICIAL_STAMPS),
    "interim": (INTERIM, INTERIM_ALLOWED, USAGES),
    "both": (OFFICIAL, OFFICIAL_STAMPS, INTERIM, INTERIM_ALLOWED, USAGES),
}

BY_STATE = {
    "none": {"untrusted": 46},
    "official": {"trusted": 2, "untrusted": 44},
    "interim": {"trusted": 4, "untrusted": 42},
    "both": {"trusted": 6, "untrusted": 40},
}
"""The table of docs/provenance.md. What is not a matter of trust is the same under each."""
ALWAYS = {"tampered": 10, "malformed": 12, "remote": 3, "absent": 8}


def bundled(folder: Path, names: tuple[str, ...]) -> TrustLists:
    files = [folder / "trust" / name for name in names]
    kinds = [recognise(file.read_bytes(), file) for file in files]
    return bundle([TrustFile(kind, named(kind, file), file.read_bytes()) for kind, file in zip(kinds, files, strict=True)], TrustLists())


@pytest.mark.parametrize("name", BUNDLES)
def test_the_table_of_all_files_by_state(folder: Path, rows: list[dict[str, str]], name: str) -> None:
    trust = bundled(folder, BUNDLES[name])
    found = Counter(check(folder.parent / row["file"], trust).state.value for row in rows)
    assert dict(found) == BY_STATE[name] | ALWAYS


def test_genuine_sora_files_are_trusted_with_both_lists_and_genuine_chatgpt_files_at_worst_untrusted(
    folder: Path, rows: list[dict[str, str]]
) -> None:
    """By the certificate's name, on files whose content nobody changed; the lists of a bundle alone never make one tampered."""
    makers: dict[str, set[State]] = {"Sora": set(), "ChatGPT": set()}
    for row in rows:
        for maker, states in makers.items():
            if maker in row["signer"] and "mismatch" not in row["failures_official"]:
                states |= {check(folder.parent / row["file"], bundled(folder, BUNDLES[name])).state for name in ("official", "both")}
                if maker == "Sora":
                    assert check(folder.parent / row["file"], bundled(folder, BUNDLES["both"])).state is State.TRUSTED
    assert makers["Sora"] == {State.TRUSTED, State.UNTRUSTED}
    assert makers["ChatGPT"] <= {State.TRUSTED, State.UNTRUSTED}
    assert makers["ChatGPT"]


@pytest.mark.parametrize("every", [8, pytest.param(1, marks=pytest.mark.long)])
def test_what_is_judged_again_from_its_manifests_says_what_the_file_says(folder: Path, rows: list[dict[str, str]], every: int) -> None:
    bundles = [bundled(folder, names) for names in BUNDLES.values()]
    judged = 0
    for row in rows[::every]:
        raw = manifest_store(folder.parent / row["file"])
        if raw is None:
            continue
        judged += 1
        whole = [check(folder.parent / row["file"], trust) for trust in bundles]
        for before in whole:
            for after, trust in zip(whole, bundles, strict=True):
                again = recheck(raw, before, trust)
                assert replace(again, signals=(), history=History()) == replace(after, signals=(), history=History()), row["file"]
                assert {*again.signals} == {*after.signals}, row["file"]
    assert judged > 50 // every

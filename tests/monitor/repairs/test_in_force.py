"""Lists, marks, probes and policies, damaged or missing: every next step that is told, followed to a house that judges again."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509
from sqlalchemy import text

from monitor.base import settings
from monitor.base.errors import SosieError
from monitor.cast.credentials import CAPTURED, Studio
from monitor.decision.policy import default_policy
from monitor.scan.workshop import Workshop
from tests.monitor import damage as damaging
from tests.monitor.cli.test_probe import record
from tests.monitor.decision.probe import school
from tests.monitor.household import sosie
from tests.monitor.provenance.making import clip
from tests.monitor.repairs import follow, mends, told, worked
from tests.monitor.vision import marks

TRUST_UPDATE = "sosie trust update FILE --kind {} --name {} --replace"
TRUST_REMOVE = "sosie trust remove {}"
ADD_MARK, REMOVE_MARK = "sosie watermark add {} TEMPLATE.png{}", "sosie watermark remove {}"
OFF, ACTIVATE = "sosie probe activate --off", "sosie probe activate {}"


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clip(tmp_path_factory.mktemp("video") / "grey.mp4")


def judging() -> str:
    """What a scan says before it looks at anything: all that is in force, read as a pipeline reads it. Nothing, where all is well."""
    try:
        with Workshop(settings.load()) as workshop:
            workshop.trust_shelf.current()
            workshop.watermarks.current()
            workshop.probes.active()
            workshop.policies.current()
    except SosieError as error:
        return str(error)
    return ""


def damage(kind: str, name: str | None = None) -> None:
    with Workshop(settings.load()) as workshop:
        assert damaging.damage(workshop.store, kind, name) > 0


@pytest.fixture
def own(home: Path, tmp_path: Path) -> Path:
    """A list of our own, in force under a name of two words."""
    file = tmp_path / "cameras.pem"
    file.write_bytes(Studio("Camera Maker").anchor_pem)
    worked(sosie("trust", "update", file, "--name", "Our cameras"))
    return file


@mends(TRUST_UPDATE, TRUST_REMOVE)
@pytest.mark.parametrize("command", ["show", "verify", "update", "provenance"])
@pytest.mark.parametrize("step", [TRUST_UPDATE, TRUST_REMOVE])
def test_a_damaged_list_is_put_anew_or_removed(own: Path, video: Path, command: str, step: str) -> None:
    damage("trust")
    broken = sosie("provenance", video) if command == "provenance" else sosie("trust", command)
    assert broken.status == (0 if command in ("show", "update") else 1)
    worked(follow(broken, step, FILE=own))
    worked(sosie("trust", "show"))
    worked(sosie("provenance", video))
    assert [file["damage"] for file in sosie("trust", "show", "--json").objects[0]["files"]] == [None] * (step == TRUST_UPDATE)


@mends(TRUST_REMOVE)
@pytest.mark.parametrize("command", ["show", "verify", "provenance"])
def test_a_list_whose_row_cannot_be_read_is_removed(own: Path, video: Path, command: str) -> None:
    with Workshop(settings.load()) as workshop:
        assert damaging.damage(workshop.store, "trust", content=b"not json", column="detail") == 1
    broken = sosie("provenance", video) if command == "provenance" else sosie("trust", command)
    assert broken.status == (0 if command == "show" else 1)
    worked(follow(broken, TRUST_REMOVE))
    worked(sosie("trust", "update", own, "--name", "Our cameras"))
    worked(sosie("provenance", video))


@mends(TRUST_REMOVE)
def test_a_list_of_the_settings_name_is_removed(own: Path, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = tmp_path / "Our cameras"
    there.write_bytes(own.read_bytes())
    monkeypatch.setenv("SOSIE_TRUST_ANCHORS", str(there))
    broken = sosie("provenance", video)
    assert broken.status == 1
    worked(follow(broken, TRUST_REMOVE))
    worked(sosie("provenance", video))


@mends("sosie trust show")
def test_a_list_that_is_not_there_is_looked_up(own: Path) -> None:
    shown = worked(follow(sosie("trust", "remove", "Our camera"), "sosie trust show"))
    assert "Our cameras" in shown.out
    worked(sosie("trust", "remove", "Our cameras"))


@mends("sosie trust update FILE…")
def test_nobody_is_vouched_for_until_a_list_is_in_force(home: Path, tmp_path: Path, video: Path) -> None:
    file = tmp_path / "cameras.pem"
    file.write_bytes(Studio("Camera Maker").anchor_pem)
    signed = tmp_path / "signed.mp4"
    Studio("Camera Maker").sign(video, signed, digital_source_type=CAPTURED, generator="Camera")
    for broken in (sosie("trust", "verify"), sosie("trust", "show"), sosie("provenance", signed)):
        told(broken, "sosie trust update FILE…")
    worked(follow(sosie("trust", "verify"), "sosie trust update FILE…", FILE=file))
    worked(sosie("trust", "verify"))


@mends("sosie trust update FILE…")
def test_a_bundle_of_release_0_1_that_is_none_gives_way_to_an_update(home: Path, tmp_path: Path, video: Path) -> None:
    (home / "trust").mkdir(parents=True)
    (home / "trust" / "bundle.json").write_text("{")
    file = tmp_path / "cameras.pem"
    file.write_bytes(Studio("Camera Maker").anchor_pem)
    broken = sosie("provenance", video)
    assert broken.status == 1
    worked(follow(broken, "sosie trust update FILE…", FILE=file))
    worked(sosie("provenance", video))


@mends("sosie trust update store.cfg")
def test_the_interim_lists_usages_are_asked_for_by_the_command_and_by_the_verdict(home: Path, tmp_path: Path, video: Path) -> None:
    usage = "1.3.6.1.4.1.311.76.59.1.9"
    studio = Studio("Early Bird", usage=x509.ObjectIdentifier(usage))
    signed, anchors, usages = tmp_path / "signed.mp4", tmp_path / "anchors.pem", tmp_path / "store.cfg"
    studio.sign(video, signed, digital_source_type=CAPTURED, generator="Camera")
    anchors.write_bytes(b"## This interim trust list is now frozen.\n" + studio.anchor_pem)
    usages.write_text(f"{usage}\n")
    for said in (sosie("trust", "update", anchors), sosie("trust", "show"), sosie("trust", "verify")):
        told(said, "sosie trust update store.cfg")
    verdict = sosie("provenance", signed)
    assert "its certificate is not one that may sign C2PA claims" in verdict.out
    arguments = told(verdict, "sosie trust update store.cfg").split()[1:]
    worked(sosie(*arguments[:-1], tmp_path / arguments[-1]))
    assert "trusted through interim trust list (frozen)" in sosie("provenance", signed).out
    assert "store.cfg" not in sosie("trust", "show").out


@pytest.fixture
def mark(home: Path, tmp_path: Path) -> Path:
    png = marks.write_mark(tmp_path / "quill.png")
    worked(sosie("watermark", "add", "my quill", png, "--generator", "The Quill"))
    return png


@mends(ADD_MARK, REMOVE_MARK)
@pytest.mark.parametrize("command", ["list", "look"])
@pytest.mark.parametrize("step", [ADD_MARK, REMOVE_MARK])
def test_a_damaged_mark_is_added_anew_or_removed(mark: Path, video: Path, tmp_path: Path, command: str, step: str) -> None:
    damage("watermark")
    broken = sosie("watermark", "list") if command == "list" else sosie("watermark", "look", video)
    assert broken.status == (0 if command == "list" else 1)
    worked(follow(broken, step, TEMPLATE=mark))
    kept = sosie("watermark", "list", "--json").objects
    assert [(each["name"], each["generator"], each["damage"]) for each in kept] == [("my quill", "The Quill", None)] * (step == ADD_MARK)
    worked(sosie("watermark", "add", "another", marks.write_mark(tmp_path / "b.png", marks.other_mark())))
    worked(sosie("watermark", "look", video))


@mends("sosie watermark list", "sosie watermark add NAME TEMPLATE.png")
def test_marks_are_looked_up_and_added_where_there_is_none(mark: Path, video: Path) -> None:
    assert "my quill" in worked(follow(sosie("watermark", "remove", "quill"), "sosie watermark list")).out
    worked(sosie("watermark", "remove", "my quill"))
    told(sosie("watermark", "list"), "sosie watermark add NAME TEMPLATE.png")
    broken = sosie("watermark", "look", video)
    worked(follow(broken, "sosie watermark add NAME TEMPLATE.png", NAME="quill", TEMPLATE=mark))
    worked(sosie("watermark", "look", video))


@mends("sosie watermark add NAME TEMPLATE.png")
def test_a_manifest_of_release_0_1_that_is_none_gives_way_to_a_mark(home: Path, tmp_path: Path, video: Path) -> None:
    (home / "watermarks").mkdir(parents=True)
    (home / "watermarks" / "manifest.json").write_text("{")
    broken = sosie("watermark", "list")
    assert broken.status == 1
    png = marks.write_mark(tmp_path / "quill.png")
    worked(follow(broken, "sosie watermark add NAME TEMPLATE.png", NAME="quill", TEMPLATE=png))
    worked(sosie("watermark", "look", video))


@pytest.fixture(scope="module")
def dim() -> int:
    from monitor.vision.encoder import load_encoder

    return load_encoder("bundled", threads=1).space.dim


@mends("sosie probe train", ACTIVATE, OFF, "sosie probe list")
def test_probes_are_taught_listed_activated_and_let_go(home: Path, dim: int, video: Path) -> None:
    nothing = sosie("probe", "train")
    assert nothing.status == 1
    record(school.lessons(6, apart=4.0, dim=dim))
    weak = worked(follow(nothing, "sosie probe train")).out.split()[0]
    refused = sosie("probe", "activate", weak)
    assert refused.status == 1
    record(school.lessons(40, apart=4.0, dim=dim, start=100))
    trained = worked(follow(refused, "sosie probe train"))
    worked(follow(trained, ACTIVATE))
    version = told(trained, ACTIVATE).split()[-1]
    assert version in worked(follow(sosie("probe", "activate", "0" * 12), "sosie probe list")).out

    damage("probe")
    for broken in (sosie("probe", "list").out, judging()):
        assert told(broken, ACTIVATE).endswith(version)
        told(broken, OFF)
    worked(follow(sosie("probe", "list"), ACTIVATE))
    assert judging() == ""
    damage("probe")
    worked(follow(judging(), OFF))
    assert judging() == ""
    assert version in worked(follow(sosie("probe", "evaluate"), "sosie probe list")).out

    damage("probe.kept", version)
    broken = sosie("probe", "activate", version)
    assert broken.status == 1
    told(sosie("probe", "list"), "sosie probe train")
    worked(follow(broken, "sosie probe train"))
    worked(sosie("probe", "activate", version))


@mends(OFF)
def test_a_record_of_release_0_1_that_names_no_probe_is_put_off(home: Path, video: Path) -> None:
    (home / "probes").mkdir(parents=True)
    (home / "probes" / "active.json").write_text('{"version": 3}')
    broken = judging()
    assert broken
    assert "active.json" in worked(sosie("probe", "list")).out
    worked(follow(broken, OFF))
    assert judging() == ""


TEXT = default_policy().text
PASSWORD = "correct horse battery"
LIST, LET_ACT = "sosie policy list", "sosie policy activate ID --as ACCOUNT"


@pytest.fixture
def proposed(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """Two policies that ada proposed."""
    monkeypatch.setenv("SOSIE_PASSWORD", PASSWORD)
    for name in ("ada", "bo"):
        worked(sosie("account", "add", name, "--role", "admin"))
    ids = []
    for flag_at in ("0.7", "0.8"):
        file = tmp_path / f"{flag_at}.yaml"
        file.write_text(TEXT.replace("flag_at: 0.5", f"flag_at: {flag_at}"))
        ids.append(worked(sosie("policy", "propose", file, "--as", "ada")).out.split()[1])
    return ids[0], ids[1]


@mends(LIST, LET_ACT, "sosie policy diff ID")
def test_a_policy_of_another_release_gives_way(proposed: tuple[str, str], tmp_path: Path, video: Path) -> None:
    first, second = proposed
    alone = sosie("policy", "activate", first, "--as", "ada")
    assert alone.status == 1
    assert "flag_at" in worked(follow(alone, "sosie policy diff ID", ID=first)).out
    worked(follow(alone, LET_ACT, ID=first, ACCOUNT="bo"))
    with Workshop(settings.load()) as workshop, workshop.store.session() as session:
        session.execute(text("UPDATE policies SET text = text || :more WHERE id = :id"), {"more": "\nof_the_future: 1\n", "id": first})
    worked(sosie("policy", "check", tmp_path / "0.8.yaml"))
    broken = judging()
    assert broken
    assert second in worked(follow(broken, LIST)).out
    worked(follow(broken, LET_ACT, ID=second, ACCOUNT="bo"))
    assert judging() == ""


SHOW, PROPOSE = "sosie policy show {}", "sosie policy propose FILE --as ACCOUNT"


@mends(SHOW, PROPOSE)
def test_a_policy_that_a_scan_kept_of_a_file_acts_once_two_people_want_it(
    proposed: tuple[str, str], tmp_path: Path, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(TEXT.replace("flag_at: 0.5", "flag_at: 0.9"))
    monkeypatch.setenv("SOSIE_POLICY", str(file))
    kept = worked(sosie("scan", video, "--json")).objects[0]["assessment"]["policy"]
    broken = sosie("policy", "activate", kept, "--as", "bo")
    assert broken.status == 1
    (tmp_path / "shown.yaml").write_text(worked(follow(broken, SHOW)).out)
    worked(follow(broken, PROPOSE, FILE=tmp_path / "shown.yaml", ACCOUNT="ada"))
    worked(sosie("policy", "activate", kept, "--as", "bo"))


@mends(LIST)
def test_a_policy_that_is_not_stored_is_looked_up(proposed: tuple[str, str]) -> None:
    shown = worked(follow(sosie("policy", "activate", "nothing", "--as", "bo"), LIST))
    assert proposed[0] in shown.out
    worked(sosie("policy", "activate", proposed[0], "--as", "bo"))


@mends("sosie policy show --shipped")
@pytest.mark.parametrize("spoil", [lambda _: "", lambda text: text.replace("flag_at: 0.5", "flag_at: 7"), lambda _: "\x00: ["])
def test_a_policy_file_with_a_mistake_is_mended_after_the_shipped_one(
    home: Path, tmp_path: Path, video: Path, monkeypatch: pytest.MonkeyPatch, spoil: object
) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(spoil(TEXT))  # type: ignore[operator]
    monkeypatch.setenv("SOSIE_POLICY", str(file))
    broken = judging()
    assert broken
    file.write_text(worked(follow(broken, "sosie policy show --shipped")).out)
    assert judging() == ""

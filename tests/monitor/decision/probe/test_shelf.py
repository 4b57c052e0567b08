"""Probes as they are kept: none acts by itself, none that falls short ever does, a changed one is refused, and none must be read to be
replaced."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from monitor.base import audit
from monitor.base.database import Store
from monitor.base.errors import InForceUnreadable, NotFound, RequestRefused
from monitor.decision.probe import teaching
from monitor.decision.probe.maths import Interval
from monitor.decision.probe.shelf import NO_PROBE, Probes
from monitor.decision.probe.teaching import Probe
from tests.monitor.damage import damage
from tests.monitor.decision.probe.school import SPACE, lessons


@pytest.fixture(scope="module")
def good() -> Probe:
    return teaching.teach(lessons(40, apart=2.0), SPACE)


@pytest.fixture
def probes(store: Store, tmp_path: Path) -> Probes:
    return Probes(store, tmp_path / "home")


def test_none_acts_until_one_is_activated_and_none_after_it_is_off(probes: Probes, store: Store, tmp_path: Path, good: Probe) -> None:
    other = Probes(store, tmp_path / "another home")  # another machine
    assert (probes.versions(), probes.active(), probes.active_version()) == ((), None, NO_PROBE)
    assert other.active() is None
    probes.keep(good)
    probes.keep(good)
    assert (other.versions(), other.active()) == ((good.version,), None)
    assert probes.activate(good.version).version == good.version
    assert (acting := other.active())
    assert acting.version == good.version
    assert other.active() is acting, "read once for each change"
    probes.activate(good.version)
    assert (probes.deactivate(), probes.deactivate()) == (True, False)
    assert (other.active(), other.get(good.version).version) == (None, good.version)
    with store.session(read_only=True) as session:
        events = audit.events(session, subject_type="probe", subject_id=good.version)
    assert [event.action for event in events] == ["probe.kept", "probe.activated", "probe.deactivated"]


def test_one_that_falls_short_is_refused_with_its_numbers_and_the_one_before_acts_on(probes: Probes, good: Probe) -> None:
    chance = replace(good, auc=Interval(0.6, 0.45, 0.74))
    for probe in (good, chance):
        probes.keep(probe)
    assert probes.versions() == (good.version, chance.version)
    probes.activate(good.version)
    with pytest.raises(RequestRefused, match=r"AUC of 0\.60 \(0\.45–0\.74\) does not exclude chance .*sosie probe train"):
        probes.activate(chance.version)
    assert probes.active_version() == good.version


def test_one_that_is_not_kept_is_not_found(probes: Probes) -> None:
    for version in ("0" * 12, "../../etc", "active"):
        with pytest.raises(NotFound, match="sosie probe list"):
            probes.activate(version)


def test_one_acts_at_a_time(probes: Probes, good: Probe) -> None:
    second = replace(good, seed=7)
    for probe in (good, second):
        probes.keep(probe)
        probes.activate(probe.version)
    assert (probes.active_version(), getattr(probes.active(), "seed", None)) == (second.version, 7)


@pytest.mark.parametrize("mend", ["off", "again", "another"])
def test_an_acting_probe_that_was_changed_is_refused_and_let_go_unread(
    probes: Probes, store: Store, tmp_path: Path, good: Probe, mend: str
) -> None:
    second = replace(good, seed=7)
    probes.keep(good)
    probes.keep(second)
    probes.activate(good.version)
    damage(store, "probe")
    with pytest.raises(InForceUnreadable, match=good.version) as caught:
        Probes(store, tmp_path).active()
    assert caught.value.next_step.split("`")[1::2] == [f"sosie probe activate {good.version}", "sosie probe activate --off"]
    assert probes.active_version() == good.version
    if mend == "off":
        assert probes.deactivate()
    else:
        probes.activate(good.version if mend == "again" else second.version)
    assert getattr(probes.active(), "version", None) == {"off": None, "again": good.version, "another": second.version}[mend]


def test_a_kept_probe_that_was_changed_is_refused_and_training_makes_it_again(
    probes: Probes, store: Store, tmp_path: Path, good: Probe
) -> None:
    probes.keep(good)
    damage(store, "probe.kept")
    with pytest.raises(InForceUnreadable, match="sosie probe train"):
        probes.get(good.version)
    ((kept),) = probes.listed()
    assert (kept.version, kept.probe) == (good.version, None)
    probes.keep(good)
    assert probes.get(good.version).version == good.version


def test_an_acting_probe_of_a_newer_release_is_waited_for(probes: Probes) -> None:
    with probes._acting.changing(actor="a newer release") as change:
        change.put("f" * 12, b'{"format": 99}', {})
    with pytest.raises(InForceUnreadable, match=r"format 99 is not known.*Run one release everywhere, or let none act"):
        probes.active()
    assert probes.deactivate()
    assert probes.active() is None


def of_before(home: Path, *probes: Probe, acting: Probe | None = None) -> Path:
    """HOME/probes as release 0.1 left it."""
    folder = home / "probes"
    folder.mkdir(parents=True)
    for probe in probes:
        (folder / f"{probe.version}.json").write_text(json.dumps(probe.to_json(), indent=2, sort_keys=True))
    if acting is not None:
        (folder / "active.json").write_text(json.dumps({"version": acting.version}))
    return folder


def test_the_probes_of_release_0_1_are_taken_over_from_every_machine_and_the_first_says_which_acts(
    store: Store, tmp_path: Path, good: Probe
) -> None:
    second = replace(good, seed=7)
    of_before(tmp_path / "1", good, acting=good)
    of_before(tmp_path / "2", second, good, acting=second)
    assert getattr(Probes(store, tmp_path / "1").active(), "version", None) == good.version
    there = Probes(store, tmp_path / "2")
    assert (there.active_version(), {*there.versions()}) == (good.version, {good.version, second.version})
    assert there.get(second.version).version == second.version
    there.deactivate()
    assert Probes(store, tmp_path / "1").active() is None


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text.replace('"intercept": ', '"intercept": 1'),
        lambda text: text[:-20],
        lambda _: "[]",
        lambda text: json.dumps({k: v for k, v in json.loads(text).items() if k != "auc"}),
    ],
)
def test_one_that_was_changed_in_the_folder_is_taken_over_as_damaged(
    store: Store, tmp_path: Path, good: Probe, spoil: Callable[[str], str]
) -> None:
    file = of_before(tmp_path / "1", good, acting=good) / f"{good.version}.json"
    whole = file.read_text()
    file.write_text(spoil(whole))
    first = Probes(store, tmp_path / "1")
    for read in (first.active, lambda: first.get(good.version)):
        with pytest.raises(InForceUnreadable, match=good.version):
            read()
    of_before(tmp_path / "2", good)  # another machine has it whole
    there = Probes(store, tmp_path / "2")
    assert there.activate(good.version).version == good.version
    assert getattr(first.active(), "version", None) == good.version


@pytest.mark.parametrize("text", ["", "[]", '{"version": 3}', '{"version": "../x"}'])
def test_a_record_of_release_0_1_that_names_no_probe_is_told_and_off_mends_it(store: Store, tmp_path: Path, good: Probe, text: str) -> None:
    (of_before(tmp_path, good) / "active.json").write_text(text)
    with pytest.raises(InForceUnreadable, match=r"active\.json: is of release 0\.1.*`sosie probe activate --off`"):
        Probes(store, tmp_path).active()
    Probes(store, tmp_path).deactivate()
    assert Probes(store, tmp_path).active() is None
    Probes(store, tmp_path).activate(good.version)
    assert getattr(Probes(store, tmp_path).active(), "version", None) == good.version

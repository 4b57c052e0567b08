"""Probes as files: none acts by itself, none that falls short ever does, and a changed file is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from monitor.base.errors import ConfigError, NotFound, RequestRefused
from monitor.decision.probe import teaching
from monitor.decision.probe.maths import Interval
from monitor.decision.probe.shelf import NO_PROBE, Probes
from monitor.decision.probe.teaching import Probe
from tests.monitor.decision.probe.school import SPACE, lessons


@pytest.fixture(scope="module")
def good() -> Probe:
    return teaching.teach(lessons(40, apart=2.0), SPACE)


def test_none_acts_until_one_is_activated_and_none_after_it_is_off(tmp_path: Path, good: Probe) -> None:
    probes = Probes(tmp_path)
    assert (probes.versions(), probes.active(), probes.active_version()) == ((), None, NO_PROBE)
    probes.keep(good)
    assert (probes.versions(), probes.active()) == ((good.version,), None)
    assert probes.activate(good.version).version == good.version
    other = Probes(tmp_path)  # another process
    assert (acting := other.active())
    assert acting.version == good.version
    assert (probes.deactivate(), probes.deactivate()) == (True, False)
    assert (other.active(), other.get(good.version).version) == (None, good.version)


def test_one_that_falls_short_is_refused_with_its_numbers_and_the_one_before_acts_on(tmp_path: Path, good: Probe) -> None:
    probes, chance = Probes(tmp_path), replace(good, auc=Interval(0.6, 0.45, 0.74))
    for probe in (good, chance):
        probes.keep(probe)
    probes.activate(good.version)
    with pytest.raises(RequestRefused, match=r"AUC of 0\.60 \(0\.45–0\.74\) does not exclude chance .*sosie probe train"):
        probes.activate(chance.version)
    assert probes.active_version() == good.version


def test_one_that_is_not_kept_is_not_found(tmp_path: Path) -> None:
    for version in ("0" * 12, "../../etc", "active"):
        with pytest.raises(NotFound, match="sosie probe list"):
            Probes(tmp_path).activate(version)


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text.replace('"intercept": ', '"intercept": 1'),
        lambda text: text[:-20],
        lambda _: "[]",
        lambda _: "null",
        lambda text: json.dumps({k: v for k, v in json.loads(text).items() if k != "auc"}),
    ],
)
def test_a_file_that_was_changed_is_refused(tmp_path: Path, good: Probe, damage: object) -> None:
    probes = Probes(tmp_path)
    probes.keep(good)
    probes.activate(good.version)
    file = tmp_path / "probes" / f"{good.version}.json"
    file.write_text(damage(file.read_text()))  # type: ignore[operator]
    with pytest.raises(ConfigError, match=good.version):
        Probes(tmp_path).active()


def test_an_acting_probe_that_is_missing_or_not_named_is_told(tmp_path: Path, good: Probe) -> None:
    probes = Probes(tmp_path)
    probes.keep(good)
    probes.activate(good.version)
    (tmp_path / "probes" / f"{good.version}.json").unlink()
    with pytest.raises(ConfigError, match=r"is missing.*--off"):
        Probes(tmp_path).active()
    for text in ("", "[]", '{"version": 3}', '{"version": "../x"}'):
        (tmp_path / "probes" / "active.json").write_text(text)
        with pytest.raises(ConfigError, match="names no probe"):
            Probes(tmp_path).active()

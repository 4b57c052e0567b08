"""Machines with homes of their own and one database: what one puts in force, another goes by at the next video."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from monitor.base import settings
from monitor.cast.credentials import Studio
from monitor.decision.probe import teaching
from monitor.provenance.trust import TrustLists
from monitor.provenance.trust_shelf import TrustShelf
from monitor.scan.judged_by import judged_by_others
from monitor.scan.workshop import Workshop
from tests.monitor.base.test_migrations import _upgrade
from tests.monitor.decision.probe.school import SPACE, lessons
from tests.monitor.provenance.test_trust_shelf import of_before
from tests.monitor.review.helpers import VERSIONS, add_assessment, add_post, add_video
from tests.monitor.vision.marks import write_mark

Machine = Callable[..., Workshop]


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Callable[[str], Machine]]:
    """Makes machines of one database, each with a home of its own."""
    with ExitStack() as closing:

        def of(database_url: str) -> Machine:
            def made(name: str, **overrides: object) -> Workshop:
                found = settings.load({}, home=tmp_path / name, database_url=database_url, threads=1, **overrides)
                return closing.enter_context(Workshop(found))

            return made

        yield of


def in_force(workshop: Workshop) -> tuple[str, str, str]:
    """The versions a scan would go by."""
    probe = workshop.probes.active()
    return workshop.trust.version, workshop.watermarks.current().version, "none" if probe is None else probe.version


@pytest.mark.postgres
def test_lists_marks_and_probes_of_one_machine_are_those_of_the_other(
    postgres_url: str, machine: Callable[[str], Machine], tmp_path: Path
) -> None:
    here, there = (machine(postgres_url)(name) for name in ("here", "there"))
    nothing = in_force(there)
    assert in_force(here) == nothing
    anchors, probe = tmp_path / "a.pem", teaching.teach(lessons(40, apart=2.0), SPACE)
    anchors.write_bytes(Studio("A").anchor_pem)

    here.trust_shelf.update([anchors])
    there.watermarks.add("quill", write_mark(tmp_path / "quill.png"))
    here.probes.keep(probe)
    there.probes.activate(probe.version)
    assert in_force(here) == in_force(there)
    assert not {*in_force(here)} & {*nothing}
    assert not [each.name for each in (tmp_path / "here").rglob("*.pem")], "nothing of it is in a home"

    there.trust_shelf.remove("a.pem")
    here.watermarks.remove("quill")
    assert here.probes.deactivate()
    assert in_force(here) == in_force(there) == nothing


def test_a_home_of_the_schema_before_is_upgraded_and_its_folders_are_taken_over(
    empty_database_url: str, machine: Callable[[str], Machine], tmp_path: Path
) -> None:
    (tmp_path / "home").mkdir(exist_ok=True)
    engine = create_engine(empty_database_url)
    with engine.begin() as connection:
        _upgrade(connection, "0008")
    engine.dispose()
    of_before(tmp_path / "old", ours=Studio("A").anchor_pem)
    old, new = (machine(empty_database_url)(name) for name in ("old", "new"))
    assert [item.name for item in old.trust.lists] == [item.name for item in new.trust.lists] == ["ours"]


def test_a_machine_of_other_settings_shows_by_what_it_judged_lately(
    database_url: str, machine: Callable[[str], Machine], tmp_path: Path
) -> None:
    now = datetime.now(UTC)
    own = tmp_path / "own.pem"
    own.write_bytes(Studio("A").anchor_pem)
    here = machine(database_url)("here")
    there = machine(database_url)("there", trust_anchors=(own,))

    def judged(workshop: Workshop, post: str, at: datetime) -> None:
        with workshop.store.session() as session:
            add_video(session, "ab" * 32, now=at)
            add_post(session, post, "ab" * 32, now=at)
            versions = replace(VERSIONS, trust=workshop.trust.version)
            add_assessment(session, post, "ab" * 32, likeness=None, flagged=False, versions=versions, now=at)

    judged(here, "p1", now)
    judged(there, "p2", now - timedelta(days=2))
    assert judged_by_others(here.store, here.trust, now) == [], "what was long ago may have been other lists"
    judged(there, "p3", now - timedelta(hours=1))
    (other,) = judged_by_others(here.store, here.trust, now)
    assert (other.version, other.assessments) == (there.trust.version, 1)
    assert "a machine has, or had, other SOSIE_TRUST_ANCHORS" in str(other)
    assert [each.version for each in judged_by_others(there.store, there.trust, now)] == [here.trust.version]
    TrustShelf(here.store, TrustLists(), tmp_path).update([own], name="For all")
    assert judged_by_others(here.store, here.trust, datetime.now(UTC)) == [], "since the lists changed nobody judged otherwise"

"""Every assessment can be made again from what it rests on, and says the same; what was changed behind its back shows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import update

from monitor.base import settings
from monitor.cast.credentials import GENERATED, Studio
from monitor.cast.roster import STRANGERS
from monitor.registry import consents
from monitor.review import assessments
from monitor.scan.repeat import Repeater, Repetition
from monitor.scan.result import Posted
from monitor.scan.workshop import Workshop
from tests.monitor.household import SINGER, picture, sosie
from tests.monitor.provenance.making import trusting

HUNDRED = 100


def repeated(workshop: Workshop, limit: int = 1000) -> list[Repetition]:
    with workshop.store.session(read_only=True) as session:
        kept = assessments.latest_assessments(session, limit=limit)
    repeater = Repeater(workshop.pipeline, workshop.policies.at)
    return [repeater.repeat(each) for each in kept]


@pytest.fixture
def films(clips: Path, tmp_path: Path) -> Sequence[Path]:
    """The clips, and one that declares its generator."""
    declared = tmp_path / "declared.mp4"
    Studio("A Studio").sign(clips / "singer.mp4", declared, digital_source_type=GENERATED, generator="Dream Machine")
    return (clips / "singer.mp4", clips / "athlete.mp4", clips / "stranger.mp4", declared)


def test_a_hundred_assessments_say_the_same_again_from_vectors_index_lists_and_policy(workshop: Workshop, films: Sequence[Path]) -> None:
    accounts = (None, "@tribute", "@nobody")
    for number in range(HUNDRED):
        posted = Posted.of(
            str(films[number % len(films)]), account=accounts[number % len(accounts)], purpose="tribute" if number % 2 else None
        )
        workshop.pipeline.scan(posted)
    again = repeated(workshop)
    assert len(again) >= HUNDRED
    assert [each for each in again if not each.same] == []
    assert {each.anew for each in again} == {("match", "provenance", "weighing")}


def test_what_was_changed_behind_its_back_shows(workshop: Workshop, clips: Path) -> None:
    workshop.pipeline.scan(Posted.of(str(clips / "singer.mp4")))
    with workshop.store.session() as session:
        session.execute(update(assessments.Assessment).values(risk=0.12, flagged=False))
    (again,) = repeated(workshop)
    assert not again.same
    assert [difference.split(" ")[0] for difference in again.differences] == ["risk", "flagged"]


def test_without_vectors_the_stored_facts_are_weighed_again_and_it_says_so(
    workshop: Workshop, clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workshop.pipeline.scan(Posted.of(str(clips / "singer.mp4")))
    monkeypatch.setattr(workshop.pipeline.kept, "get", lambda *_: None)
    (again,) = repeated(workshop)
    assert again.same
    assert again.anew == ("weighing",)
    assert [reason.split(":")[0] for reason in again.why_not] == ["match", "provenance"]


def test_an_index_of_before_is_searched_as_it_was_and_not_as_it_is_now(workshop: Workshop, clips: Path, tmp_path: Path) -> None:
    assert workshop.pipeline.scan(Posted.of(str(clips / "stranger.mp4"))).findings == ()
    stranger = picture(tmp_path / "stranger.png", STRANGERS[1].person)
    assert sosie("likeness", "add", "No Stranger", stranger).status == 0
    assert workshop.pipeline.scan(Posted.of(str(clips / "stranger.mp4"))).findings != ()
    now, before = repeated(workshop)
    assert (now.same, before.same) == (True, True)
    assert now.anew == before.anew == ("match", "provenance", "weighing")


def test_an_index_that_held_somebody_who_was_removed_since_is_gone_by_erasure(workshop: Workshop, clips: Path) -> None:
    workshop.pipeline.scan(Posted.of(str(clips / "singer.mp4")))
    assert sosie("likeness", "remove", SINGER.name).status == 0
    assert workshop.pipeline.scan(Posted.of(str(clips / "singer.mp4"))).findings == ()
    now, before = repeated(workshop)
    assert (now.same, before.same) == (True, True)
    assert now.anew == ("match", "provenance", "weighing")
    assert before.anew == ("provenance", "weighing"), "even from this process's memory"
    assert before.why_not == ("match: the index of then is gone by erasure: somebody who was in it has been removed since",)


def test_a_policy_that_is_not_known_here_is_named(workshop: Workshop, clips: Path) -> None:
    workshop.pipeline.scan(Posted.of(str(clips / "singer.mp4")))
    with workshop.store.session() as session:
        session.execute(update(assessments.Assessment).values(policy_version="9+beef"))
    (again,) = repeated(workshop)
    assert not again.possible
    assert "weighing: policy 9+beef is not known here" in again.why_not


def test_other_trust_lists_leave_what_was_judged_by_those_of_then(furnished: Path, clips: Path, tmp_path: Path) -> None:
    studio, signed = Studio("A Studio"), tmp_path / "signed.mp4"
    studio.sign(clips / "singer.mp4", signed, digital_source_type=GENERATED, generator="Dream Machine")
    with Workshop(settings.load()) as workshop:
        workshop.pipeline.scan(Posted.of(str(signed)))
    trusting(tmp_path, studios=studio)
    with Workshop(settings.load({"SOSIE_HOME": str(furnished), "SOSIE_TRUST_ANCHORS": str(tmp_path / "studios.pem")})) as workshop:
        (held,) = repeated(workshop)
        assert (held.same, held.anew) == (True, ("match", "provenance", "weighing")), "its provenance is held as judged then"
        workshop.pipeline.scan(Posted.of(str(signed)))
        assert all(each.same for each in repeated(workshop))


def test_at_the_command_line(furnished: Path, clips: Path) -> None:
    (found,) = sosie("scan", clips / "singer.mp4", "--json").objects
    assert found["assessment"]["flagged"]
    ran = sosie("repeat")
    assert (ran.status, ran.out) == (0, "1 of 1 assessments say the same again; of 1 the match was made anew as well.\n")
    (told,) = sosie("repeat", "--json").objects
    assert (told["same"], told["anew"]) == (True, ["match", "provenance", "weighing"])
    assert sosie("repeat", "unknown-post").out.startswith("0 of 0")


def test_consents_of_then_count_and_not_those_of_now(workshop: Workshop, clips: Path) -> None:
    result = workshop.pipeline.scan(Posted.of(str(clips / "singer.mp4"), account="@tribute"))
    with workshop.store.session() as session:
        likeness = result.findings[0].match.likeness
        now = result.posted.posted_at or assessments.latest_assessments(session, limit=1)[0].created_at
        consents.grant(session, likeness, account="@tribute", valid_from=now, actor="test", now=now)
    (again,) = repeated(workshop)
    assert again.same

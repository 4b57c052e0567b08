"""What acts, who may let it act, and that nothing that was in force is ever lost."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from monitor.base import audit
from monitor.base.database import Store
from monitor.base.errors import NotFound, PolicyError, PolicyUnreadable, RequestRefused
from monitor.decision import policies
from monitor.decision import policy as policy_module
from monitor.decision.policies import Policies, Standing, StoredPolicy
from monitor.decision.policy import default_policy, load_policy, parse
from tests.monitor.review.helpers import NOW, together

TEXT = default_policy().text
STRICTER = TEXT.replace("flag_at: 0.5", "flag_at: 0.75")
REWORDED = TEXT.replace("appears in the video", "is seen in the video")


def propose(store: Store, text: str, actor: str = "ada") -> str:
    with store.session() as session:
        return policies.propose(session, text, name="new.yaml", note="why", actor=actor, now=NOW).id


def activate(store: Store, policy_id: str, actor: str = "bo") -> str:
    with store.session() as session:
        return policies.activate(session, policy_id, instead_of=default_policy(), actor=actor, now=NOW).standing


def shadow(store: Store, policy_id: str, on: bool = True) -> str:
    with store.session() as session:
        return policies.set_shadow(session, policy_id, on, actor="bo", now=NOW).standing


def current(store: Store) -> policies.InForce:
    return Policies(store, default_policy()).current()


def test_the_file_acts_until_a_policy_is_activated(store: Store) -> None:
    stricter = propose(store, STRICTER)
    assert current(store).active == default_policy()
    activate(store, stricter)
    assert current(store).active.flag_at == 0.75
    assert current(store).active.text == STRICTER, "comments and all"


def test_what_moves_a_threshold_takes_a_second_person(store: Store) -> None:
    stricter = propose(store, STRICTER, "ada")
    with pytest.raises(RequestRefused, match="changes what is flagged or where cases go, and ada proposed it"):
        activate(store, stricter, "ada")
    assert current(store).active == default_policy()
    assert activate(store, stricter, "bo") == Standing.ACTIVE
    back = propose(store, TEXT, "bo")
    with pytest.raises(RequestRefused):
        activate(store, back, "bo")


def test_words_alone_take_one(store: Store) -> None:
    assert activate(store, propose(store, REWORDED, "ada"), "ada") == Standing.ACTIVE


def test_proposing_again_under_another_name_does_not_change_the_proposer(store: Store) -> None:
    stricter = propose(store, STRICTER, "ada")
    assert propose(store, STRICTER, "bo") == stricter
    with pytest.raises(RequestRefused):
        activate(store, stricter, "ada")


def keep(store: Store, text: str) -> str:
    policy = parse(text, "of SOSIE_POLICY")
    with store.session() as session:
        policies.keep(session, policy, now=NOW)
    return policy.id


def test_a_file_that_was_scanned_with_is_nobodys_proposal(store: Store) -> None:
    stricter = keep(store, STRICTER)
    for who in ("ada", "bo"):
        with pytest.raises(RequestRefused, match="nobody proposed it: it was read from a file"):
            activate(store, stricter, who)
    assert propose(store, STRICTER, "ada") == stricter
    with store.session(read_only=True) as session:
        row = policies.get(session, stricter)
        assert (row.proposed_by, row.note, row.standing) == ("ada", "why", Standing.PROPOSED)
        assert [event.action for event in audit.events(session, subject_type="policy", subject_id=stricter)] == ["policy.proposed"]
    propose(store, STRICTER, "bo")
    keep(store, STRICTER)
    with pytest.raises(RequestRefused, match="ada proposed it"):
        activate(store, stricter, "ada")
    assert activate(store, stricter, "bo") == Standing.ACTIVE


def test_a_file_is_no_ground_to_count_changes_from(store: Store) -> None:
    """Nothing was activated, and the file of SOSIE_POLICY says what is to be activated."""
    stricter = propose(store, STRICTER, "ada")
    with pytest.raises(RequestRefused, match="ada proposed it"), store.session() as session:
        policies.activate(session, stricter, instead_of=parse(STRICTER, "of SOSIE_POLICY"), actor="ada", now=NOW)
    shipped = propose(store, TEXT, "ada")
    with pytest.raises(RequestRefused, match="ada proposed it"), store.session() as session:
        policies.activate(session, shipped, instead_of=parse(STRICTER, "of SOSIE_POLICY"), actor="ada", now=NOW)
    assert activate(store, stricter, "bo") == Standing.ACTIVE
    reworded = propose(store, STRICTER.replace("appears in the video", "is seen in the video"), "ada")
    assert activate(store, reworded, "ada") == Standing.ACTIVE, "from what was activated, whatever the file says"


def test_no_file_acts_once_a_policy_was_activated(store: Store) -> None:
    stricter = propose(store, STRICTER, "ada")
    file = parse(REWORDED, "of SOSIE_POLICY")
    assert Policies(store, file).current().active == file
    activate(store, stricter, "bo")
    assert Policies(store, file).current().active.id == stricter


def test_two_who_propose_what_a_file_left_at_once_make_one_of_them_the_proposer(store: Store) -> None:
    stricter = keep(store, STRICTER)
    together([lambda who=who: propose(store, STRICTER, who) for who in ("ada", "bo", "cy")])
    with store.session(read_only=True) as session:
        proposer = policies.get(session, stricter).proposed_by
        actions = [event.action for event in audit.events(session, subject_type="policy", subject_id=stricter)]
    assert actions == ["policy.proposed"]
    with pytest.raises(RequestRefused, match=f"{proposer} proposed it"):
        activate(store, stricter, proposer)
    (other, _) = {"ada", "bo", "cy"} - {proposer}
    assert activate(store, stricter, other) == Standing.ACTIVE


def test_a_person_who_scans_with_a_file_while_proposing_it_stays_the_proposer(store: Store) -> None:
    together([lambda: propose(store, STRICTER, "ada"), lambda: keep(store, STRICTER)])
    stricter = parse(STRICTER, "x").id
    with pytest.raises(RequestRefused, match="ada proposed it"):
        activate(store, stricter, "ada")
    assert activate(store, stricter, "bo") == Standing.ACTIVE


def test_another_text_under_the_id_of_a_stored_one_is_refused(store: Store) -> None:
    stricter = propose(store, STRICTER)
    with store.session() as session:
        session.execute(update(StoredPolicy).values(text=REWORDED))
    with pytest.raises(RequestRefused, match="is stored with another text"):
        propose(store, STRICTER, "bo")
    with store.session(read_only=True) as session:
        assert policies.get(session, stricter).proposed_by == "ada"


def test_while_the_one_that_acts_cannot_be_read_another_is_activated_by_a_second_person(store: Store) -> None:
    activate(store, propose(store, STRICTER))
    with store.session() as session:
        session.execute(update(StoredPolicy).values(text="of_the_future: 1"))
    reworded = propose(store, REWORDED, "ada")
    with pytest.raises(RequestRefused, match="ada proposed it"):
        activate(store, reworded, "ada")
    assert activate(store, reworded, "bo") == Standing.ACTIVE
    assert current(store).active.text == REWORDED


def test_activating_again_changes_nothing_and_one_acts_at_a_time(store: Store) -> None:
    stricter, reworded = propose(store, STRICTER), propose(store, REWORDED)
    activate(store, stricter)
    activate(store, stricter)
    activate(store, reworded)
    with store.session(read_only=True) as session:
        standing = {row.id: row.standing for row in policies.list_policies(session)}
        actions = [event.action for event in audit.events(session, subject_type="policy", subject_id=stricter)]
    assert standing == {stricter: Standing.RETIRED, reworded: Standing.ACTIVE}
    assert actions == ["policy.proposed", "policy.activated"]


def test_two_who_activate_at_once_leave_one_that_acts(store: Store) -> None:
    ids = [propose(store, TEXT.replace("flag_at: 0.5", f"flag_at: 0.{n}")) for n in (6, 7, 8)]
    together([lambda each=each: activate(store, each) for each in ids])
    with store.session(read_only=True) as session:
        assert [row.standing for row in policies.list_policies(session)].count(Standing.ACTIVE) == 1


def test_shadows_stand_beside_and_the_one_that_acts_cannot_be_one(store: Store) -> None:
    stricter, reworded = propose(store, STRICTER), propose(store, REWORDED)
    shadow(store, stricter)
    activate(store, reworded)
    assert [each.id for each in current(store).shadows] == [stricter]
    with pytest.raises(RequestRefused, match="is the one that acts"):
        shadow(store, reworded)
    assert shadow(store, stricter, on=False) == Standing.PROPOSED
    assert current(store).shadows == ()


def test_a_retired_policy_does_not_become_a_proposal_by_being_no_shadow(store: Store) -> None:
    first, second = propose(store, STRICTER), propose(store, REWORDED)
    activate(store, first)
    activate(store, second)
    assert shadow(store, first, on=False) == Standing.RETIRED


def test_a_bad_policy_is_refused_with_its_line_and_not_stored(store: Store) -> None:
    with pytest.raises(PolicyError, match=r"new\.yaml:\d+"):
        propose(store, STRICTER.replace("flag_at: 0.75", "flag_at: 7"))
    with store.session(read_only=True) as session:
        assert policies.list_policies(session) == []


def test_a_policy_is_named_by_the_beginning_of_its_id_if_only_one_begins_so(store: Store) -> None:
    stricter, reworded = propose(store, STRICTER), propose(store, REWORDED)
    with store.session(read_only=True) as session:
        assert policies.get(session, stricter[:-2]).id == stricter
        with pytest.raises(NotFound, match="could be"):
            policies.get(session, "1+")
        with pytest.raises(NotFound, match="is not stored"):
            policies.get(session, "9+")
        with pytest.raises(NotFound):
            policies.get(session, "")
    assert reworded != stricter


def test_every_policy_that_assessed_can_be_read_later(store: Store) -> None:
    before = parse(TEXT.replace("flag_at: 0.5", "flag_at: 0.55"), "old.yaml")
    with store.session() as session:
        policies.keep(session, before, now=NOW)
        policies.keep(session, before, now=NOW + timedelta(days=1))
    known = Policies(store, default_policy())
    assert known.at(before.id) == before
    assert known.at(default_policy().id) == default_policy()
    assert known.at("1+00000000") is None


def test_a_policy_of_an_earlier_release_weighs_newer_signals_at_nothing(store: Store) -> None:
    lines = TEXT.splitlines(keepends=True)
    start = next(n for n, line in enumerate(lines) if line.startswith("  stripped:"))
    earlier = "".join(lines[:start] + lines[start + 3 :])
    with pytest.raises(PolicyError, match="stripped is missing"):
        parse(earlier, "file")
    with store.session() as session:  # as the earlier release stored it
        session.add(
            StoredPolicy(id="1+old", text=earlier, note=None, standing=Standing.ACTIVE, proposed_by="ada", proposed_at=NOW,
                         activated_by="bo", activated_at=NOW)
        )  # fmt: skip
    assert current(store).active.signals["stripped"].weight == 0


def test_one_that_this_release_cannot_read_is_waited_out_if_it_acts_and_left_out_if_it_is_a_shadow(store: Store) -> None:
    stricter = propose(store, STRICTER)
    shadow(store, stricter)
    with store.session() as session:
        session.execute(update(StoredPolicy).values(text=STRICTER + "\nof_the_future: 1\n"))
    assert current(store).shadows == ()
    with store.session() as session:
        session.execute(update(StoredPolicy).values(standing=Standing.ACTIVE))
    with pytest.raises(PolicyUnreadable, match="Run one release everywhere"):
        current(store)


def test_one_that_this_release_cannot_read_gives_way_by_a_second_person(store: Store) -> None:
    stricter, reworded = propose(store, STRICTER), propose(store, REWORDED, "bo")
    activate(store, stricter)
    with store.session() as session:
        session.execute(update(StoredPolicy).filter_by(id=stricter).values(text=STRICTER + "\nof_the_future: 1\n"))
    with pytest.raises(RequestRefused, match="bo proposed it"):
        activate(store, reworded, "bo")
    assert activate(store, reworded, "ada") == Standing.ACTIVE
    assert current(store).active.text == REWORDED
    with store.session(read_only=True) as session:
        assert audit.events(session, subject_type="policy", subject_id=reworded)[-1].detail == {"instead_of": stricter}


def test_the_shipped_policy_keeps_its_text() -> None:
    shipped = Path(policy_module.__file__).with_name("policy.yaml").read_text(encoding="utf-8")
    assert load_policy(None).text == shipped
    assert parse(shipped, "policy.yaml") == load_policy(None)

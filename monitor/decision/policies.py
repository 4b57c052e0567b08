"""Policies as they are kept: each version whole, who proposed it, who let it act, and which act now.

A policy is proposed by one person. It acts once it is activated: by a second person, where it changes more than words. Beside it
any number of *shadow* policies assess every video without acting. What acts is read from the database before each scan, so an
activation takes effect in the next scan of every process; without any, the file of SOSIE_POLICY or the shipped policy acts. Once
one was activated, no file acts any more.

Texts are kept as they were written, comments included, and never altered. All acts are audited.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache

from sqlalchemy import Index, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from monitor.base import audit
from monitor.base.database import Base, Store, insert_if_absent, locked
from monitor.base.errors import NotFound, PolicyError, PolicyUnreadable, RequestRefused
from monitor.decision.policy import Policy, default_policy, parse
from monitor.decision.policy_diff import moves_a_threshold

_log = logging.getLogger(__name__)


class Standing(StrEnum):
    """What a stored policy does."""

    PROPOSED = "proposed"
    SHADOW = "shadow"
    ACTIVE = "active"
    RETIRED = "retired"


class StoredPolicy(Base):
    """One version of a policy, as stored. `id` is what assessments name: its word and the digest of its text."""

    __tablename__ = "policies"
    __table_args__ = (Index(None, "standing"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    text: Mapped[str]
    note: Mapped[str | None]
    standing: Mapped[str]
    proposed_by: Mapped[str]
    proposed_at: Mapped[datetime]
    activated_by: Mapped[str | None]
    activated_at: Mapped[datetime | None]


@dataclass(frozen=True, slots=True)
class InForce:
    """The policies that one scan goes by, from its start to its end."""

    active: Policy
    shadows: tuple[Policy, ...] = ()


def propose(session: Session, text: str, *, name: str, note: str | None, actor: str, now: datetime) -> StoredPolicy:
    """Keep a policy, and who proposed it. The same text again is the same policy, and stays that of who proposed it first.

    What was merely kept of a file (`keep`) nobody proposed yet. Raises `PolicyError` naming the line in `name`, and `RequestRefused`
    where another text has the same id.
    """
    policy = parse(text, name)
    values = {"text": text, "note": note, "standing": Standing.PROPOSED, "proposed_by": actor, "proposed_at": now}
    new = insert_if_absent(session, StoredPolicy, id=policy.id, **values, activated_by=None, activated_at=None)
    row = locked(session, select(StoredPolicy).filter_by(id=policy.id)).one()
    if row.text != text:
        raise RequestRefused(f"Policy {policy.id}", "is stored with another text", "Give yours a version word of its own")
    if not new and not _was_proposed(row):
        row.note, row.proposed_by, row.proposed_at = note, actor, now
        if row.standing == Standing.RETIRED:
            row.standing = Standing.PROPOSED
        session.flush()
        new = True
    if new:
        _audit(session, policy.id, "policy.proposed", actor=actor, now=now, note=note)
    return row


def activate(session: Session, policy_id: str, *, instead_of: Policy, actor: str, now: datetime) -> StoredPolicy:
    """Let a policy act in place of the policy that acts now (`instead_of`, for when none is stored). Again: nothing changes.

    What it changes is counted from the policy that was activated last, from the shipped one before the first; a file of SOSIE_POLICY
    was approved by nobody, so `instead_of` can only add changes to these. Where the one that acts cannot be read, the change counts as one
    of more than words. Raises `NotFound`, and `RequestRefused` where nobody proposed such a change, or the one who did activates it.
    """
    rows = {row.id: row for row in locked(session, select(StoredPolicy).order_by(StoredPolicy.id))}  # all: two at once must not both act
    chosen = _found(rows, policy_id)
    acting = next((row for row in rows.values() if row.standing == Standing.ACTIVE), None)
    if acting is chosen:
        return chosen
    after = _parsed(chosen.text, chosen.id)
    approved = (default_policy(), instead_of) if acting is None else (_readable(acting),)
    if any(before is None or moves_a_threshold(before, after) for before in approved):
        _require_second_person(chosen, actor)
    if acting is not None:
        acting.standing = Standing.RETIRED
    chosen.standing, chosen.activated_by, chosen.activated_at = Standing.ACTIVE, actor, now
    _audit(session, chosen.id, "policy.activated", actor=actor, now=now, instead_of=instead_of.id if acting is None else acting.id)
    session.flush()
    return chosen


def _require_second_person(chosen: StoredPolicy, actor: str) -> None:
    changes = "changes what is flagged or where cases go"
    if not _was_proposed(chosen):
        raise RequestRefused(
            f"Policy {chosen.id}",
            f"{changes}, and nobody proposed it: it was read from a file",
            f"Save what `sosie policy show {chosen.id}` prints, and `sosie policy propose FILE --as ACCOUNT`; another account activates it",
        )
    if actor == chosen.proposed_by:
        raise RequestRefused(
            f"Policy {chosen.id}",
            f"{changes}, and {actor} proposed it",
            "Have a second person read `sosie policy diff ID` and activate it: `sosie policy activate ID --as ACCOUNT`",
        )


def set_shadow(session: Session, policy_id: str, shadow: bool, *, actor: str, now: datetime) -> StoredPolicy:
    """Have a policy assess every video without acting, or no longer. Raises `NotFound`; `RequestRefused` for the one that acts."""
    row = _found({row.id: row for row in locked(session, select(StoredPolicy).order_by(StoredPolicy.id))}, policy_id)
    if row.standing == Standing.ACTIVE:
        raise RequestRefused(f"Policy {row.id}", "is the one that acts", "Activate another first")
    wanted = Standing.SHADOW if shadow else Standing.PROPOSED
    if row.standing != wanted and (shadow or row.standing == Standing.SHADOW):
        row.standing = wanted
        _audit(session, row.id, "policy.shadowed" if shadow else "policy.unshadowed", actor=actor, now=now)
    session.flush()
    return row


def get(session: Session, policy_id: str) -> StoredPolicy:
    """The stored policy of an id, or of an unambiguous beginning of an id. Raises `NotFound`."""
    return _found({row.id: row for row in session.scalars(select(StoredPolicy))}, policy_id)


def read(row: StoredPolicy) -> Policy:
    """The policy of a row. Raises `PolicyUnreadable`."""
    return _parsed(row.text, row.id)


def list_policies(session: Session) -> list[StoredPolicy]:
    """All stored policies, the newest first."""
    return list(session.scalars(select(StoredPolicy).order_by(StoredPolicy.proposed_at.desc(), StoredPolicy.id)))


class Policies:
    """Which policies act now. Thread-safe; asks the database each time, parses each text once."""

    def __init__(self, store: Store, unstored: Policy) -> None:
        self._store = store
        self._unstored = unstored

    def current(self) -> InForce:
        """The policy that acts and its shadows; a shadow this release cannot read is left out, with a warning.

        Raises `PolicyUnreadable` for the one that acts, and what reading the database raises.
        """
        acts = (Standing.ACTIVE, Standing.SHADOW)
        with self._store.session(read_only=True) as session:
            query = select(StoredPolicy.id, StoredPolicy.text, StoredPolicy.standing).where(StoredPolicy.standing.in_(acts))
            rows = session.execute(query.order_by(StoredPolicy.id)).all()
        active = next((_parsed(text, policy_id) for policy_id, text, standing in rows if standing == Standing.ACTIVE), self._unstored)
        shadows = []
        for policy_id, text, standing in rows:
            if standing == Standing.SHADOW:
                try:
                    shadows.append(_parsed(text, policy_id))
                except PolicyUnreadable as error:
                    _log.warning("%s", error)
        return InForce(active, tuple(shadows))

    def at(self, policy_id: str) -> Policy | None:
        """The policy that assessments name by an id; None: no policy of that id is kept here."""
        if policy_id == self._unstored.id:
            return self._unstored
        with self._store.session(read_only=True) as session:
            row = session.get(StoredPolicy, policy_id)
            return None if row is None else _parsed(row.text, row.id)


_FILE = {"proposed_by": "file", "note": "read from a file"}


def keep(session: Session, policy: Policy, *, now: datetime) -> None:
    """Keep a policy that an assessment names: a file may be edited, an assessment stays. What is kept is left as it is.

    Keeping is no proposal: `activate` takes it for a change that nobody proposed.
    """
    if session.get(StoredPolicy, policy.id) is None:
        values = {"text": policy.text, "standing": Standing.RETIRED, "proposed_at": now, **_FILE}
        insert_if_absent(session, StoredPolicy, id=policy.id, **values, activated_by=None, activated_at=None)


def _was_proposed(row: StoredPolicy) -> bool:
    return {"proposed_by": row.proposed_by, "note": row.note} != _FILE


@lru_cache(maxsize=64)
def _parsed(text: str, policy_id: str) -> Policy:
    try:
        return parse(text, f"policy {policy_id}", of_before=True)
    except PolicyError as error:
        next_step = "Run one release everywhere, or let another act: `sosie policy list`, `sosie policy activate ID --as ACCOUNT`"
        raise PolicyUnreadable(error.thing, f"this release cannot read it: {error.reason}", next_step) from error


def _readable(row: StoredPolicy) -> Policy | None:
    try:
        return read(row)
    except PolicyUnreadable:
        return None


def _found(rows: dict[str, StoredPolicy], policy_id: str) -> StoredPolicy:
    matching: Sequence[StoredPolicy] = [row for row in rows.values() if policy_id and row.id.startswith(policy_id)]
    if policy_id in rows:
        return rows[policy_id]
    if len(matching) != 1:
        reason = "is not stored" if not matching else f"could be {' or '.join(sorted(row.id for row in matching))}"
        raise NotFound(f"Policy {policy_id}", reason, "`sosie policy list` shows all")
    return matching[0]


def _audit(session: Session, policy_id: str, action: str, *, actor: str, now: datetime, **detail: str | None) -> None:
    audit.record(session, now=now, actor=actor, action=action, subject_type="policy", subject_id=policy_id, detail=detail)

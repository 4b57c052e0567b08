"""matches → findings: what is known of each likeness found, and what follows from it under the policy in force, and under shadows."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy.orm import Session

from monitor.base.database import Store
from monitor.base.metrics import Metrics
from monitor.decision.facts import Facts
from monitor.decision.policy import Assessment, Policy, assess, assess_nobody
from monitor.registry import consents, likenesses
from monitor.registry.likenesses import Likeness
from monitor.registry.scope import Use
from monitor.review import verdicts
from monitor.scan.basis import Basis
from monitor.scan.fingerprint import Fingerprint
from monitor.scan.matching import Match, match, voices
from monitor.scan.record import Beside
from monitor.scan.result import Finding, Posted, ranges_text
from monitor.vision.networks import Models

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Decider:
    """Turns matches into findings; the weighing itself is pure (`monitor.decision.policy`). Reads the database, writes nothing."""

    store: Store
    models: Models
    metrics: Metrics

    def decide(
        self, posted: Posted, fingerprint: Fingerprint, matches: Sequence[Match], policy: Policy, basis: Basis
    ) -> tuple[Finding, ...]:
        """One finding for each match with a likeness that is still registered, in the order of the matches."""
        with self.store.session(read_only=True) as session:
            known: Mapping[str, Likeness] = {likeness.id: likeness for likeness in likenesses.list_likenesses(session)}
            facts = [
                (found, likeness, _facts(session, posted, fingerprint, found, likeness, basis))
                for found in matches
                if (likeness := known.get(found.likeness)) is not None  # else it was removed since the search
            ]
        return tuple(Finding(likeness.name, found, its, assess(its, policy)) for found, likeness, its in facts)

    def beside(self, posted: Posted, fingerprint: Fingerprint, findings: Sequence[Finding], basis: Basis) -> tuple[Beside, ...]:
        """What the shadow policies say of a post. A fault of one is logged and counted, and hurts nobody: a shadow acts on nothing."""
        live = {finding.match.likeness: finding.assessment for finding in findings}
        nobody_live = assess_nobody(basis.policy)
        said: list[Beside] = []
        for shadow in basis.policies.shadows:
            try:
                its = self._under(shadow, posted, fingerprint, findings, basis)
            except Exception:  # noqa: BLE001 - whatever it is, the post goes its way
                _log.exception("shadow policy %s failed on post %s; the policy in force is not concerned", shadow.id, posted.id)
                self.metrics.shadow_failures.inc()
                continue
            nobody = assess_nobody(shadow)
            said += [
                Beside(likeness, its.get(likeness, nobody), live.get(likeness, nobody_live))
                for likeness in sorted(live.keys() | its.keys())
            ]
        return tuple(said)

    def _under(
        self, shadow: Policy, posted: Posted, fingerprint: Fingerprint, findings: Sequence[Finding], basis: Basis
    ) -> dict[str, Assessment]:
        """The assessment of each likeness under a shadow policy; a shadow that matches as the policy in force does needs no new search."""
        if shadow.matching == basis.policy.matching:
            return {finding.match.likeness: assess(finding.facts, shadow) for finding in findings}
        matches = match(fingerprint, voices(basis.indexes, self.models, shadow), shadow.matching)
        found = self.decide(posted, fingerprint, matches, shadow, basis)
        return {finding.match.likeness: finding.assessment for finding in found}


def _facts(session: Session, posted: Posted, fingerprint: Fingerprint, found: Match, likeness: Likeness, basis: Basis) -> Facts:
    """What is known of one match, before anything is weighed."""
    origin, probe = fingerprint.provenance, basis.probe
    mark = fingerprint.marks[0] if fingerprint.marks else None
    use = Use(posted.posted_at or datetime.now(UTC), posted.platform, posted.purpose, posted.territory)
    licence = consents.covering(session, likeness.id, use, account=posted.account, certificate=origin.signed_by)
    return Facts(
        name=likeness.name,
        deceased_on=likeness.deceased_on,
        score=found.score,
        z=found.z,
        frames=found.frames,
        seconds=found.seconds,
        ranges=ranges_text(found.ranges),
        state=origin.state.value,
        ai=origin.ai.value,
        signer=origin.signer,
        trust_list=origin.trust_list,
        account=posted.account,
        consent=None if licence.consent is None else f"consent {licence.consent[:8]}",
        breach=licence.breach,
        metadata_ai=origin.metadata_ai.value,
        metadata_where=origin.metadata_where,
        stripped=origin.stripped,
        watermark=None if mark is None else mark.shown_as,
        mark_score=0.0 if mark is None else mark.score,
        synthetic=None if probe is None else probe.probability(fingerprint.frame_vectors),
        probe_basis=None if probe is None else probe.basis,
        recorded=verdicts.held_recorded(session, likeness_id=likeness.id, video_sha256=fingerprint.sha256),
    )

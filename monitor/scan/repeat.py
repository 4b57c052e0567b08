"""Assessments again: from (video, model, index version, trust version, policy version) to the same risk and the same reasons.

An assessment rests on its facts, and the facts on the video. What can still be made anew is made anew, and compared:

- the match, while the video's vectors are held (`monitor.scan.kept_fingerprints`, two days) and the index of that version is kept;
- what the probe says, while they are, from the probe of then, which is kept for good;
- what the file says of itself, while it is held as judged by the same trust lists;
- the weighing, always: facts are kept with their assessment, and policies by their version.

What is not made anew is taken from the stored facts, and the answer says so. Older indexes are not kept, and one that holds somebody who
was removed since is erased at once: the answer says that too. Reads only; pure but for `Repeater`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from monitor.base.errors import SosieError
from monitor.decision.facts import Facts
from monitor.decision.policy import Assessment, Policy, assess, assess_nobody
from monitor.decision.probe.shelf import NO_PROBE
from monitor.decision.probe.teaching import Probe
from monitor.registry import likenesses
from monitor.registry.gallery import Gone
from monitor.review.assessments import NO_LIKENESS
from monitor.review.assessments import Concluded as Kept
from monitor.scan.fingerprint import Fingerprint
from monitor.scan.matching import Match, match, voices
from monitor.scan.pipeline import Pipeline
from monitor.scan.result import ranges_text


@dataclass(frozen=True, slots=True)
class Repetition:
    """One assessment made again.

    `anew` names what was made anew of "match", "provenance", "probe" (where one acted) and "weighing"; `why_not` says of each other
    part what is missing. `differences` are words for people; none: it says the same. `possible` is False where not even the weighing
    could be repeated.
    """

    post: str
    likeness: str | None
    anew: tuple[str, ...]
    why_not: tuple[str, ...]
    differences: tuple[str, ...]

    @property
    def possible(self) -> bool:
        return "weighing" in self.anew

    @property
    def same(self) -> bool:
        return self.possible and not self.differences


@dataclass(frozen=True, slots=True)
class Found:
    """The result of a search in the index of that version now: the match with the likeness, None where there is none."""

    match: Match | None


NOT_KEPT = "the vectors of the video, or the index of that version, are not kept any more"
ERASED = f"the index of then {Gone.ERASED.value}: somebody who was in it has been removed since"


def repeat(
    kept: Kept,
    policy: Policy | None,
    found: Found | str,
    fingerprint: Fingerprint | None,
    probe: Probe | None = None,
    *,
    name: str,
) -> Repetition:
    """Make `kept` again from what there is; None, or words for `found`: not available. `name` is the likeness's, for the sentences."""
    likeness = kept.likeness_id or None
    anew, why_not, differences = [], [], []
    facts = None if kept.facts is None else Facts.from_json(kept.facts, name=name)
    if likeness is not None and facts is None:
        return Repetition(kept.post_id, likeness, (), ("its facts were not kept: it is of release 0.1",), ())
    if isinstance(found, str):
        why_not.append(f"match: {found}")
    else:
        anew.append("match")
        if (found.match is None) != (facts is None):
            differences.append("the likeness is found now" if facts is None else "the likeness is not found any more")
        elif facts is not None and found.match is not None:
            facts = replace(facts, **of_match(found.match))
    if fingerprint is None or fingerprint.provenance.trust_version != kept.trust_version:
        why_not.append("provenance: what the file says is not held as those trust lists judged it")
    else:
        anew.append("provenance")
        if facts is not None:
            told = fingerprint.provenance
            facts = replace(facts, state=told.state.value, ai=told.ai.value, signer=told.signer, trust_list=told.trust_list)
    if facts is not None and kept.probe_version not in (None, NO_PROBE):
        if fingerprint is None or probe is None:
            why_not.append(f"probe: the vectors of the video, or probe {kept.probe_version}, are not kept any more")
        else:
            anew.append("probe")
            facts = replace(facts, synthetic=probe.probability(fingerprint.frame_vectors), probe_basis=probe.basis)
    if policy is None:
        why_not.append(f"weighing: policy {kept.policy_version} is not known here")
    else:
        anew.append("weighing")
        differences += _differences(kept, assess_nobody(policy) if facts is None else assess(facts, policy))
    return Repetition(kept.post_id, likeness, tuple(anew), tuple(why_not), tuple(differences))


def of_match(found: Match) -> dict[str, Any]:
    """The facts that a match gives."""
    return {"score": found.score, "z": found.z, "frames": found.frames, "seconds": found.seconds, "ranges": ranges_text(found.ranges)}


def _differences(kept: Kept, again: Assessment) -> list[str]:
    told = []
    if again.risk != kept.risk:
        told.append(f"risk {again.risk} instead of {kept.risk}")
    if again.flagged != kept.flagged:
        told.append("flagged" if again.flagged else "not flagged")
    if (reasons := [asdict(reason) for reason in again.reasons]) != kept.reasons:
        before, now = ({reason["code"]: reason for reason in each} for each in (kept.reasons, reasons))
        changed = sorted(code for code in before.keys() | now.keys() if before.get(code) != now.get(code))
        told.append(f"other reasons: {', '.join(changed) or 'their order'}")
    return told


class Repeater:
    """Repeats assessments with the parts of a pipeline. Not thread-safe."""

    def __init__(self, pipeline: Pipeline, policy_of: Callable[[str], Policy | None]) -> None:
        self._pipeline = pipeline
        self._policy_of = policy_of

    def repeat(self, kept: Kept) -> Repetition:
        """Make an assessment again. Raises what reading the database raises."""
        pipeline = self._pipeline
        fingerprint = None
        if kept.model_version == pipeline.models.version:
            fingerprint = pipeline.kept.get(kept.video_sha256, pipeline.models.id)
        policy = self._policy_of(kept.policy_version)
        with pipeline.store.session(read_only=True) as session:
            name = likenesses.names(session, {kept.likeness_id}).get(kept.likeness_id, "a likeness that was erased")
        return repeat(kept, policy, self._found(kept, policy, fingerprint), fingerprint, self._probe(kept), name=name)

    def _probe(self, kept: Kept) -> Probe | None:
        if kept.probe_version in (None, NO_PROBE):
            return None
        try:
            return self._pipeline.probes.get(kept.probe_version)
        except SosieError:  # missing or changed: as good as not kept
            return None

    def _found(self, kept: Kept, policy: Policy | None, fingerprint: Fingerprint | None) -> Found | str:
        try:
            indexes = self._pipeline.gallery.at(kept.index_version)
        except SosieError:  # damaged, or of another model: as good as not kept
            return NOT_KEPT
        if indexes is Gone.ERASED:
            return ERASED
        if fingerprint is None or policy is None or isinstance(indexes, Gone):
            return NOT_KEPT
        matches = match(fingerprint, voices(indexes, self._pipeline.models, policy), policy.matching)
        if kept.likeness_id == NO_LIKENESS:
            return Found(matches[0] if matches else None)
        return Found(next((each for each in matches if each.likeness == kept.likeness_id), None))

"""What one scan goes by, read once before the search: an assessment names exactly what its scan used, whatever changes meanwhile."""

from __future__ import annotations

from dataclasses import dataclass

from indexes.likeness import LikenessIndex
from monitor.decision.policies import InForce
from monitor.decision.policy import Policy
from monitor.decision.probe.shelf import NO_PROBE
from monitor.decision.probe.teaching import Probe
from monitor.scan.fingerprint import Fingerprint
from monitor.scan.result import Versions


@dataclass(frozen=True, slots=True)
class Basis:
    """Policies, probe (None: none acts), models and indexes of one scan. `indexes` are in the order of the models' face spaces."""

    policies: InForce
    probe: Probe | None
    indexes: tuple[LikenessIndex, ...]
    index_version: str
    model_version: str

    @property
    def policy(self) -> Policy:
        """The policy that acts."""
        return self.policies.active

    def versions(self, fingerprint: Fingerprint) -> Versions:
        """Every version that an assessment of this fingerprint rests on."""
        return Versions(
            policy=self.policy.id,
            index=self.index_version,
            model=self.model_version,
            trust=fingerprint.provenance.trust_version,
            watermarks=fingerprint.watermarks,
            probe=NO_PROBE if self.probe is None else self.probe.version,
        )

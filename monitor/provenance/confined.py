"""`check` in a killable process, for whoever goes on with the file whatever it says of itself."""

from __future__ import annotations

from pathlib import Path

from monitor.base.errors import DecoderDied, DecoderTimeout
from monitor.intake.sandbox import Sandbox
from monitor.provenance.check import check
from monitor.provenance.manifest import plain
from monitor.provenance.metadata import RULES
from monitor.provenance.trust import TrustLists
from monitor.provenance.types import AI, Provenance, Signal, State

__all__ = ["check_confined"]


def check_confined(sandbox: Sandbox, path: Path, trust: TrustLists, *, source: str) -> Provenance:
    """The provenance of a file, read in a killable process. A file that kills or outlasts its reader is `malformed`: a hostile manifest
    must not keep the video's pictures from being looked at.

    Raises what `check` raises, and `SandboxUnavailable`.
    """
    try:
        return sandbox.run(check, path, trust, source=source)
    except (DecoderDied, DecoderTimeout) as error:
        signal = Signal("malformed", "file", f"It could not be read what it says of its origin: {plain(error.reason)}.")
        return Provenance(State.MALFORMED, AI.UNKNOWN, trust.version, signals=(signal,), rules=RULES)

"""`check`: a file in, its provenance out. The one place that calls c2pa-python.

The parser reads hostile bytes: call this inside `monitor.intake.sandbox` only. It opens no connection: remote
manifests, OCSP and every other host are switched off in the settings, whatever a file asks for.
"""

from __future__ import annotations

import functools
import io
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from c2pa import C2paError, Context, Reader

from monitor.errors import NotFound
from monitor.provenance import metadata
from monitor.provenance.boxes import manifest_store
from monitor.provenance.crowd import MAX_BOXES, is_crowded
from monitor.provenance.formats import HEAD_BYTES, hint
from monitor.provenance.manifest import declared_ai, generator_of, plain, recorded_failures, short_path, signals_of, signed_at_of, signer_of
from monitor.provenance.metadata import Metadata
from monitor.provenance.rubrics import rubric_signals
from monitor.provenance.sentences import explain
from monitor.provenance.tree import history_of
from monitor.provenance.trust import TrustLists
from monitor.provenance.types import AI, Provenance, Signal, State
from monitor.provenance.verdict import Finding, judge

__all__ = ["check"]

_REMOTE = "Remote: must fetch remote manifests from url "
_SIGNALS_KEPT = 50  # of the validator's findings, the active manifest's first
_ABOUT_THE_FILE = (
    C2paError.Assertion,
    C2paError.AssertionNotFound,
    C2paError.Decoding,
    C2paError.Encoding,
    C2paError.Io,
    C2paError.Json,
    C2paError.Manifest,
    C2paError.Other,
    C2paError.ResourceNotFound,
    C2paError.Signature,
    C2paError.Verify,
)


def check(path: Path, trust: TrustLists) -> Provenance:
    """What `path` says of its own origin, judged by the lists in `trust`.

    Reads ISO media once; anything else twice, and once more per trust list when several are loaded and the file is trusted (to name
    the list).
    The container is told by content, never by name. Without a list nothing is `trusted`, and nothing is `tampered` for that.

    Raises `NotFound` when there is no such file, and OSError as it comes when it cannot be read. A fault of the library
    that is not about the file is raised as its C2paError.
    """
    try:
        with _open(path) as file:
            found = _examine(file, trust)
        return _with_metadata(found, metadata.read(path))
    except FileNotFoundError as error:
        raise NotFound(path, "there is no such file", "Check the path") from error


def _examine(file: _WatchedFile, trust: TrustLists) -> Provenance:
    if is_crowded(file):
        return _malformed(f"it holds more than {MAX_BOXES:,} statements, and was not read", trust)
    try:
        with _reader(file, trust) as reader:
            results = reader.get_validation_results() or {}
            store = json.loads(reader.crjson())
    except C2paError as error:
        if file.fault is not None:
            raise file.fault from error
        return _without_manifest(error, trust)
    findings = _findings(results)
    state = judge(findings, signer_trusted=_signer_trusted(results))
    return Provenance(
        state=state,
        ai=declared_ai(store),
        trust_version=trust.version,
        trust_list=_matching_list(file, trust) if state is State.TRUSTED else None,
        signals=(
            *(Signal(f.code, f.where, explain(f.code, ingredient=f.ingredient)) for f in findings[:_SIGNALS_KEPT]),
            *signals_of(store),
            *rubric_signals(store),
            *recorded_failures(store),
        ),
        signer=signer_of(store),
        signed_at=signed_at_of(store),
        generator=generator_of(store),
        manifests=len(store["manifests"]),
        codes=_codes(findings, results),
        history=history_of(store),
    )


def _with_metadata(found: Provenance, besides: Metadata) -> Provenance:
    return replace(
        found,
        metadata_ai=besides.ai,
        metadata_where=besides.where,
        stripped=besides.stripped(has_manifest=found.state not in (State.ABSENT, State.UNSUPPORTED)),
        signals=found.signals + besides.signals,
        rules=metadata.RULES,
    )


def _without_manifest(error: C2paError, trust: TrustLists) -> Provenance:
    """The states in which the library gives no manifest store but an exception. Raises what is not about the file."""
    text = str(error)
    if isinstance(error, C2paError.ManifestNotFound):
        return Provenance(State.ABSENT, AI.UNKNOWN, trust.version)
    if isinstance(error, C2paError.NotSupported):
        return Provenance(State.UNSUPPORTED, AI.UNKNOWN, trust.version)
    if text.startswith(_REMOTE):
        url = plain(text.removeprefix(_REMOTE))
        signal = Signal("remote", url, "The manifest is kept at this address; Sosie does not fetch it.")
        return Provenance(State.REMOTE, AI.UNKNOWN, trust.version, signals=(signal,), remote_url=url)
    if isinstance(error, _ABOUT_THE_FILE):
        return _malformed(plain(text.partition(": ")[2] or text), trust)
    raise error


def _malformed(reason: str, trust: TrustLists) -> Provenance:
    signal = Signal("malformed", "file", f"The container or its manifest breaks its own format: {reason}.")
    return Provenance(State.MALFORMED, AI.UNKNOWN, trust.version, signals=(signal,))


def _matching_list(file: _WatchedFile, trust: TrustLists) -> str:
    """The first list that vouches for the signer on its own; all their names when it takes several together.

    Who vouches for the signer does not hang on the content: where the manifest store can be taken out, the content is not hashed again.
    """
    if len(trust.lists) > 1:
        store = manifest_store(file)
        for candidate in trust.lists:
            with _reader(file if store is None else io.BytesIO(store), trust.alone(candidate)) as reader:
                if _signer_trusted(reader.get_validation_results() or {}):
                    return candidate.name
    return " + ".join(item.name for item in trust.lists)


def _findings(results: Mapping[str, Any]) -> list[Finding]:
    active = results.get("activeManifest", {}).get("failure", [])
    deltas = [status for delta in results.get("ingredientDeltas", []) for status in delta["validationDeltas"]["failure"]]
    found = [Finding(plain(s["code"]), short_path(s.get("url") or "file"), ingredient=False) for s in active]
    found += [Finding(plain(s["code"]), short_path(s.get("url") or "file"), ingredient=True) for s in deltas]
    return sorted(set(found), key=lambda finding: (finding.ingredient, finding.where, finding.code))


def _codes(findings: list[Finding], results: Mapping[str, Any]) -> tuple[str, ...]:
    """Failure codes, those of ingredients with a prefix, and what is noted of the time-stamp: it explains an expired certificate."""
    noted = [status["code"] for status in results.get("activeManifest", {}).get("informational", [])]
    failed = {f"ingredient:{finding.code}" if finding.ingredient else finding.code for finding in findings}
    return tuple(sorted(failed | {plain(code) for code in noted if code.startswith("timeStamp.")}))


def _signer_trusted(results: Mapping[str, Any]) -> bool:
    return any(status["code"] == "signingCredential.trusted" for status in results.get("activeManifest", {}).get("success", []))


def _reader(file: BinaryIO, trust: TrustLists) -> Reader:
    file.seek(0)
    media_type = hint(file.read(HEAD_BYTES))
    file.seek(0)
    return Reader(media_type, file, context=_context(trust))


@functools.lru_cache(maxsize=32)
def _context(trust: TrustLists) -> Context:
    """Settings, parsed once in each process. `verify_trust` stays on: off, it also stops trusting time-stamps."""
    anchors = "".join(item.anchors for item in trust.lists)
    return Context.from_dict(
        {
            "trust": {"trust_config": trust.ekus} | ({"trust_anchors": anchors} if anchors else {}),
            "verify": {"verify_trust": True, "verify_timestamp_trust": True, "remote_manifest_fetch": False, "ocsp_fetch": False},
            "core": {"allowed_network_hosts": []},
        }
    )


class _RawFile(io.FileIO):
    """Remembers the operating system's error, which c2pa-python's stream callbacks would turn into a fault of the file."""

    fault: OSError | None = None

    def readinto(self, buffer: Any, /) -> int | None:
        try:
            return super().readinto(buffer)
        except OSError as error:
            self.fault = error
            raise


class _WatchedFile(io.BufferedReader):
    """A file opened for reading whose `fault` is the read error it met, if any."""

    raw: _RawFile

    @property
    def fault(self) -> OSError | None:
        return self.raw.fault


def _open(path: Path) -> _WatchedFile:
    return _WatchedFile(_RawFile(path))

"""`check`: a file in, its provenance out. The one place that calls c2pa-python.

The parser reads hostile bytes: call this inside `monitor.intake.sandbox` only. It opens no connection: remote
manifests, OCSP and every other host are switched off in the settings, whatever a file asks for.
"""

from __future__ import annotations

import functools
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from c2pa import C2paError, Context, Reader

from monitor.base.errors import NotFound
from monitor.provenance import boxes, metadata
from monitor.provenance.crowd import MAX_BOXES, is_crowded
from monitor.provenance.formats import HEAD_BYTES, hint
from monitor.provenance.history import CODES, History
from monitor.provenance.manifest import declared_ai, generator_of, plain, recorded_failures, signals_of, signed_at_of, signer_of
from monitor.provenance.metadata import Metadata
from monitor.provenance.rubrics import rubric_signals
from monitor.provenance.sentences import explain
from monitor.provenance.signature import chains
from monitor.provenance.tree import history_of
from monitor.provenance.trust import TrustLists
from monitor.provenance.types import AI, USAGES_MISSING, Provenance, Signal, State
from monitor.provenance.verdict import CONTENT, Finding, judge
from monitor.provenance.vouching import usages_missing, vouch

__all__ = ["MAX_STORE_BYTES", "check", "manifest_store", "recheck"]

MAX_STORE_BYTES = 1024 * 1024
"""Of a manifest store that is kept to be judged again; thumbnails make larger ones."""

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

    Reads ISO media once, anything else twice; and the manifest store again for some lists when several are loaded and the file is
    trusted.
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
            raw = _raw(reader, store)
    except C2paError as error:
        if file.fault is not None:
            raise file.fault from error
        return _without_manifest(error, trust)
    return _judged(results, store, raw, trust, lambda lists: _again(raw, file, lists))


def recheck(raw: bytes, before: Provenance, trust: TrustLists) -> Provenance:
    """The provenance `before`, judged by other lists, from the manifest store alone (`manifest_store`), without the file.

    Whether the content is what was signed cannot be seen without the content, and does not hang on trust: that is taken from `before`.
    Raises the library's C2paError for a store that is none.
    """
    with _open_store(raw, trust) as reader:
        results = _about_the_store(reader.get_validation_results() or {}, "activeManifest")
        store = json.loads(reader.crjson())
    if store["manifests"]:
        store["manifests"][0] = _about_the_store(store["manifests"][0], "validationResults")
    codes = {code for code in before.codes if code in CONTENT}
    kept = tuple(Finding(signal.code, signal.where, ingredient=False) for signal in before.signals if signal.code in codes)
    found = _judged(results, store, raw, trust, lambda lists: _about_the_store(_again(raw, None, lists), "activeManifest"), kept)
    beside = tuple(signal for signal in before.signals if signal.code in metadata.SIGNALS)
    return replace(
        before,
        state=found.state,
        trust_version=found.trust_version,
        trust_list=found.trust_list,
        certificate=found.certificate,
        anchor=found.anchor,
        stamp_list=found.stamp_list,
        codes=found.codes,
        signals=found.signals + beside,
        history=_altered(found.history, kept) if kept else found.history,
    )


def manifest_store(path: Path) -> bytes | None:
    """The manifest store in a file, for `recheck`; None if there is none that can be read, or it is larger than `MAX_STORE_BYTES`."""
    try:
        with _open(path) as file:
            raw = boxes.manifest_store(file)  # where it stands in a box of its own, nothing need be hashed for it
            if raw is None:
                with _reader(file, TrustLists()) as reader:
                    raw = _raw(reader, json.loads(reader.crjson()))
    except C2paError:
        return None
    return raw if 0 < len(raw) <= MAX_STORE_BYTES else None


def _judged(
    results: Mapping[str, Any],
    store: Mapping[str, Any],
    raw: bytes,
    trust: TrustLists,
    again: Callable[[TrustLists], Mapping[str, Any]],
    besides: Sequence[Finding] = (),
) -> Provenance:
    labels, signers = [manifest["label"] for manifest in store["manifests"]], chains(raw)
    vouched = vouch(results, labels, signers, trust, again)
    lacking = None if vouched.trusted or not labels else usages_missing(signers.get(labels[0], ()), trust)
    findings = (*besides, *vouched.findings)
    state = judge(findings, signer_trusted=vouched.trusted)
    return Provenance(
        state=state,
        ai=declared_ai(store),
        trust_version=trust.version,
        trust_list=vouched.trust_list if state is State.TRUSTED else None,
        signals=(
            *(Signal(f.code, f.where, explain(f.code, ingredient=f.ingredient)) for f in findings[:_SIGNALS_KEPT]),
            *(() if lacking is None else (Signal(USAGES_MISSING, "file", lacking),)),
            *signals_of(store),
            *rubric_signals(store),
            *recorded_failures(store),
        ),
        signer=signer_of(store),
        certificate=vouched.certificate,
        anchor=vouched.anchor if state is State.TRUSTED else None,
        signed_at=signed_at_of(store),
        stamp_list=vouched.stamp_list,
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
    """The provenance of a file for which the library gives no manifest store but an exception. Raises what is not about the file."""
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


def _codes(findings: Sequence[Finding], results: Mapping[str, Any]) -> tuple[str, ...]:
    """The failure codes, those of ingredients prefixed, and what is noted of the time-stamp, which explains an expired certificate."""
    noted = [status["code"] for status in results.get("activeManifest", {}).get("informational", [])]
    failed = {f"ingredient:{finding.code}" if finding.ingredient else finding.code for finding in findings}
    return tuple(sorted(failed | {plain(code) for code in noted if code.startswith("timeStamp.")}))


def _reader(file: _WatchedFile, trust: TrustLists) -> Reader:
    file.seek(0)
    media_type = hint(file.read(HEAD_BYTES))
    file.seek(0)
    return Reader(media_type, file, context=_context(trust))


def _open_store(raw: bytes, trust: TrustLists) -> Reader:
    return Reader("application/c2pa", io.BytesIO(raw), context=_context(trust))


def _again(raw: bytes, file: _WatchedFile | None, trust: TrustLists) -> Mapping[str, Any]:
    """Validation results under other lists: from the store, which is small, or from the file where the store could not be had."""
    with _open_store(raw, trust) if raw or file is None else _reader(file, trust) as reader:
        return reader.get_validation_results() or {}


def _raw(reader: Reader, store: Mapping[str, Any]) -> bytes:
    """The whole manifest store as it stands in the file; empty where the library does not give it."""
    if not store["manifests"]:
        return b""
    into = io.BytesIO()
    try:
        reader.resource_to_stream(f"self#jumbf=/c2pa/{store['manifests'][0]['label']}", into)
    except C2paError:
        return b""
    return into.getvalue()


def _altered(history: History, findings: Sequence[Finding]) -> History:
    if not history.manifests:
        return history
    active = history.manifests[0]
    codes = tuple(sorted({*active.codes, *(finding.code for finding in findings)})[:CODES])
    return replace(history, manifests=(replace(active, state=State.TAMPERED.value, codes=codes), *history.manifests[1:]))


def _about_the_store(results: Mapping[str, Any], part: str) -> dict[str, Any]:
    """The results without the failures that only say that the content is not here."""
    inside = results.get(part) or {}
    failure = [status for status in inside.get("failure", []) if status["code"] not in CONTENT]
    return {**results, part: {**inside, "failure": failure}}


@functools.lru_cache(maxsize=32)
def _context(trust: TrustLists) -> Context:
    """The library's settings for these lists, parsed once in each process.

    `verify_trust` stays on: off, it also stops trusting time-stamps.
    """
    anchors = [{"trust_anchors": item.anchors, "trust_uri": item.name, "trust_kind": "manifest"} for item in trust.lists if item.anchors]
    return Context.from_dict(
        {
            "trust": {"trust_config": trust.ekus} | ({"anchors": anchors} if anchors else {}),
            "verify": {"verify_trust": True, "verify_timestamp_trust": True, "remote_manifest_fetch": False, "ocsp_fetch": False},
            "core": {"allowed_network_hosts": []},
        }
    )


class _RawFile(io.FileIO):
    """A file that remembers the operating system's error, which c2pa-python's stream callbacks would turn into a fault of the file."""

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

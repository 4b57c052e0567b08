"""One function per parser. Whatever the bytes, it returns; an exception means that the parser broke its promise."""

from __future__ import annotations

import base64
import functools
import io
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from monitor.base.errors import MessageRefused, PolicyError, RequestRefused
from monitor.decision.facts import Facts
from monitor.decision.policy import assess, assess_nobody
from monitor.decision.policy import parse as parse_policy
from monitor.intake.boxes import MAX_BOXES, payload, walk
from monitor.intake.sniff import Kind, sniff_bytes
from monitor.provenance import aigc, manifest, metadata, xmp
from monitor.provenance.boxes import is_iso, read_boxes
from monitor.provenance.check import check
from monitor.provenance.crowd import MAX_BOXES as CROWD
from monitor.provenance.crowd import is_crowded
from monitor.provenance.formats import hint
from monitor.provenance.history import HISTORY_BYTES
from monitor.provenance.outline import outline
from monitor.provenance.png import read_png
from monitor.provenance.rubrics import rubric_signals
from monitor.provenance.sentences import sentences
from monitor.provenance.signature import MANIFESTS, chains, fingerprint, name_of, vouching
from monitor.provenance.tree import history_of
from monitor.provenance.trust import TrustLists
from monitor.provenance.types import AI, Provenance
from monitor.review.queue import _beyond
from monitor.vision.watermark import Sighting
from streams.dead_letters import _post_id
from streams.messages import CaseChanged, DeadLetter, VideoPosted, parse
from tests.fuzz import seeds


@dataclass(frozen=True, slots=True)
class Target:
    """A parser, and well-formed inputs for it. `media`: the shared files are inputs for it too."""

    run: Callable[[bytes], None]
    seeds: Callable[[], Sequence[bytes]]
    media: bool = False


def _walk(content: bytes) -> None:
    """Whatever is taken for a container: bounded, and each box inside the one it stands in."""
    file = io.BytesIO(content)
    seen = list(walk(file, inside=lambda box: box.start))
    assert len(seen) <= MAX_BOXES
    assert all(8 <= box.start <= box.end <= len(content) and len(box.kind) == 4 and len(box.path) <= 12 for box in seen)
    outer = [box for box in seen if not box.path]
    assert all(before.end <= after.start - 8 for before, after in pairwise(outer))
    assert outer == list(walk(file))
    assert all(payload(file, box, 5) == content[box.start : box.end][:5] for box in seen[:50])


def _boxes(content: bytes) -> None:
    found = read_boxes(io.BytesIO(content))
    assert all(0 <= start <= end <= len(content) for start, end in found.manifests)


def _png(content: bytes) -> None:
    assert all(len(text) <= 1024**2 for _, text in read_png(io.BytesIO(content)).texts)


def _crowd(content: bytes) -> None:
    crowded = is_crowded(io.BytesIO(content))
    counted = content.count(b"jumd")
    assert crowded <= (counted > CROWD)
    assert is_iso(io.BytesIO(content)) or crowded == (counted > CROWD)


def _signature(content: bytes) -> None:
    found = chains(content)
    assert len(found) <= MANIFESTS
    for chain in found.values():
        assert len(chain) <= 10
        vouching(chain, chain)
        assert all(len(fingerprint(each)) == 64 and isinstance(name_of(each), str) for each in chain)


def _xmp(content: bytes) -> None:
    assert all(len(each.value) <= 4096 and len(each.namespace) <= 1000 for each in xmp.properties(content))


def _label(content: bytes) -> None:
    text = content.decode("utf-8", "replace")
    assert aigc.label(text) in {None, *AI}
    assert aigc.label(text + " " * aigc.MAX_CHARS) is None


def _metadata(content: bytes) -> None:
    found = metadata.read(_file(content))
    assert len(found.signals) <= 60


def _check(content: bytes) -> None:
    """The whole check, the library included."""
    found = check(_file(content), TrustLists())
    assert Provenance.from_json(json.loads(json.dumps(found.to_json()))) == found
    assert sentences(found)


def _crjson(content: bytes) -> None:
    if (store := _json(content)) is None:
        return
    found = history_of(store)
    assert len(json.dumps(found.to_json())) <= HISTORY_BYTES
    outline(found)
    manifest.declared_ai(store)
    kept = [*manifest.signals_of(store), *rubric_signals(store), *manifest.recorded_failures(store)]
    assert len(kept) <= 200
    assert all(len(signal.where) <= 200 and len(signal.text) <= 1000 for signal in kept)
    for name in (manifest.signer_of(store), manifest.signed_at_of(store), manifest.generator_of(store)):
        assert name is None or len(name) <= 3 * 200


def _stored(content: bytes) -> None:
    """What the database gives back; it may have been written by other hands."""
    if (value := _json(content)) is None:
        return
    for read in (Provenance.from_json, Sighting.from_json, lambda given: Facts.from_json(given, name="N")):
        with suppress(ValueError, TypeError, KeyError):
            found: Any = read(value)
            assert isinstance(found, Provenance | Sighting | Facts)


_POLICY_BYTES = 16 * 1024  # ruamel.yaml reads about 100 KiB/s


def _policy(content: bytes) -> None:
    """A file as an operator writes it, and a stored one of any release."""
    text = content[:_POLICY_BYTES].decode("utf-8", "replace")
    for of_before in (False, True):
        try:
            policy = parse_policy(text, "mine.yaml", of_before=of_before)
        except PolicyError:
            continue
        assert all(reason.text or of_before for reason in assess(seeds.FACTS, policy).reasons)
        assert not assess_nobody(policy).flagged
        assert of_before or assess_nobody(policy).risk < policy.flag_at


def _sniff(content: bytes) -> None:
    assert sniff_bytes(content).name
    assert sniff_bytes(content).kind in Kind
    assert hint(content) in {None, "application/c2pa", "video/mp4", "audio/mpeg", "image/svg+xml"}


def _message(content: bytes) -> None:
    for kind in (VideoPosted, CaseChanged, DeadLetter):
        with suppress(MessageRefused):
            read = parse(kind, content)
            assert parse(kind, read.to_bytes()) == read
    _post_id(content)


def _cursor(content: bytes) -> None:
    for given in (content.decode("utf-8", "surrogateescape"), base64.urlsafe_b64encode(content).decode()):
        with suppress(RequestRefused):
            assert str(_beyond(given)).startswith("cases.priority > ")


TARGETS: Mapping[str, Target] = {
    "boxes": Target(_boxes, seeds.boxes, media=True),
    "check": Target(_check, seeds.files, media=True),
    "crjson": Target(_crjson, seeds.crjson),
    "crowd": Target(_crowd, seeds.files, media=True),
    "cursor": Target(_cursor, seeds.cursors),
    "label": Target(_label, seeds.labels),
    "message": Target(_message, seeds.messages),
    "metadata": Target(_metadata, seeds.files, media=True),
    "policy": Target(_policy, seeds.policies),
    "png": Target(_png, seeds.files, media=True),
    "signature": Target(_signature, seeds.stores),
    "sniff": Target(_sniff, seeds.files, media=True),
    "stored": Target(_stored, seeds.stored),
    "walk": Target(_walk, seeds.boxes, media=True),
    "xmp": Target(_xmp, seeds.xmp),
}


def _json(content: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


@functools.cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="sosie-fuzz-")


def _file(content: bytes) -> Path:
    path = Path(_folder().name) / "input"
    path.write_bytes(content)
    return path

from __future__ import annotations

import struct
from pathlib import Path

import cbor2
import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from monitor.cast.credentials import CAPTURED, Studio
from monitor.provenance.check import manifest_store
from monitor.provenance.signature import MANIFESTS, chains, fingerprint, vouching
from tests.monitor.provenance.hostile import superbox

OURS = Studio("Ours")
LEAF = OURS.certificate.public_bytes(Encoding.DER)
ROOT = OURS.root.public_bytes(Encoding.DER)


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def signature(protected: dict[object, object], unprotected: dict[object, object], *, tagged: bool = True) -> bytes:
    sign1: object = [cbor2.dumps(protected), unprotected, None, b"s"]
    return superbox(b"c2cs", b"c2pa.signature", box(b"cbor", cbor2.dumps(cbor2.CBORTag(18, sign1) if tagged else sign1)))


def store(*signatures: bytes, label: bytes = b"m") -> bytes:
    return superbox(b"c2pa", b"c2pa", superbox(b"c2ma", label, b"".join(signatures)))


def found(content: bytes) -> list[str]:
    return [fingerprint(each) for each in chains(content).get("m", ())]


BOTH = [fingerprint(OURS.certificate), fingerprint(OURS.root)]


def test_the_chain_of_a_signed_file_is_the_studios(tmp_path: Path, plain: Path) -> None:
    OURS.sign(plain, tmp_path / "a.mp4", digital_source_type=CAPTURED, generator="C")
    raw = manifest_store(tmp_path / "a.mp4")
    assert raw is not None
    ((_, chain),) = chains(raw).items()
    assert [fingerprint(each) for each in chain] == BOTH
    assert vouching(chain, [Studio("Else").root, OURS.root]) == OURS.root
    assert vouching(chain[:1], [OURS.root]) == OURS.root
    assert vouching(chain, [Studio("Else").root]) is None


@pytest.mark.parametrize(
    "one",
    [
        signature({33: [LEAF, ROOT]}, {}),
        signature({}, {33: [LEAF, ROOT]}),
        signature({}, {"x5chain": [LEAF, ROOT]}, tagged=False),
    ],
    ids=["protected", "not protected", "by its word, without a tag"],
)
def test_a_chain_is_found_wherever_it_may_stand(one: bytes) -> None:
    assert found(store(one)) == BOTH


def test_one_certificate_need_not_stand_in_a_list() -> None:
    assert found(store(signature({33: LEAF}, {}))) == BOTH[:1]


@pytest.mark.parametrize(
    "content",
    [
        store(signature({33: [LEAF, ROOT]}, {33: [ROOT]})),
        store(signature({33: LEAF, "x5chain": ROOT}, {})),
        store(signature({33: LEAF}, {}), signature({33: ROOT}, {})),
        store(signature({33: LEAF}, {})) + store(signature({33: ROOT}, {})),
        superbox(b"c2pa", b"c2pa", superbox(b"c2ma", b"m", signature({33: LEAF}, {})) * 2),
        store(superbox(b"c2cs", b"c2pa.signature", box(b"cbor", b"\xff") + box(b"cbor", cbor2.dumps([b"", {33: LEAF}, None, b""])))),
    ],
    ids=["two headers", "two words", "two signatures", "two stores", "two manifests of a label", "two contents"],
)
def test_of_two_neither_is_named(content: bytes) -> None:
    assert found(content) == []


@pytest.mark.parametrize(
    "content", [b"", b"\x00" * 40, b"jumb", store(), store(superbox(b"c2cs", b"c2pa.signature", box(b"cbor", b"\xff")))]
)
def test_without_a_signature_there_is_no_chain(content: bytes) -> None:
    assert found(content) == []


def test_a_certificate_of_no_version_ends_the_chain() -> None:
    strange = LEAF.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x22", 1)
    assert strange != LEAF
    assert found(store(signature({33: [LEAF, strange, ROOT]}, {}))) == BOTH[:1]


def test_no_more_than_so_many_manifests_are_looked_at() -> None:
    many = b"".join(superbox(b"c2ma", str(number).encode(), signature({33: LEAF}, {})) for number in range(MANIFESTS + 5))
    assert len(chains(superbox(b"c2pa", b"c2pa", many))) == MANIFESTS

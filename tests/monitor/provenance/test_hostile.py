"""Files that are out to hurt, through the sandbox as production sets it: a state for each, and its worker goes on."""

from __future__ import annotations

import io
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.base.errors import DecoderTimeout
from monitor.base.settings import Settings
from monitor.cast.credentials import GENERATED, Studio
from monitor.intake.sandbox import Sandbox
from monitor.provenance import xmp
from monitor.provenance.boxes import manifest_store
from monitor.provenance.check import check
from monitor.provenance.confined import check_confined
from monitor.provenance.crowd import MAX_BOXES, is_crowded
from monitor.provenance.metadata import RULES
from monitor.provenance.sentences import sentences
from monitor.provenance.trust import TrustLists
from monitor.provenance.types import AI, Provenance, State
from tests.monitor.provenance.hostile import (
    MIB,
    brotli_bomb,
    carrying,
    crowded,
    diamonds,
    inserted,
    jpeg,
    lying,
    nested,
    png,
    signed_with,
    superbox,
    zeros,
)
from tests.monitor.provenance.packets import GENERATED as SOURCE
from tests.monitor.provenance.packets import XMP_UUID, box, mp4, packet

DECLARED = f"<Iptc4xmpExt:DigitalSourceType>{SOURCE}</Iptc4xmpExt:DigitalSourceType>"


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory, plain: Path, studio: Studio) -> Path:
    path = tmp_path_factory.mktemp("good") / "good.mp4"
    studio.sign(plain, path, digital_source_type=GENERATED, generator="G")
    return path


@pytest.fixture(scope="module")
def shared_sandbox() -> Iterator[Sandbox]:
    fields = Settings.model_fields
    with Sandbox(1, fields["decode_memory_bytes"].default, fields["decode_timeout_s"].default) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(shared_sandbox: Sandbox, good: Path, trust: TrustLists) -> Iterator[Sandbox]:
    """A worker that dies, or takes too long, is an error of its test; after each test a good file is still told."""
    yield shared_sandbox
    assert shared_sandbox.run(check, good, trust, source="good").state is State.TRUSTED


def told(found: Provenance) -> str:
    return " ".join(signal.text for signal in found.signals)


def test_every_length_that_lies_in_a_signed_file(sandbox: Sandbox, tmp_path: Path, good: Path, trust: TrustLists) -> None:
    states = set()
    for name, content in lying(good.read_bytes()):
        path = tmp_path / "lie.mp4"
        path.write_bytes(content)
        states.add(sandbox.run(check, path, trust, source=name).state)
    assert states <= {State.MALFORMED, State.TAMPERED, State.TRUSTED}  # trusted: the length that was true, of a box without content
    assert State.MALFORMED in states


@pytest.mark.parametrize("depth", [50, 100_000])
def test_boxes_in_boxes(sandbox: Sandbox, tmp_path: Path, trust: TrustLists, depth: int) -> None:
    assert sandbox.run(check, carrying(tmp_path / "a.mp4", nested(depth)), trust, source="nested").state is State.MALFORMED


def test_a_manifest_of_brotli_that_unfolds_to_64_gib(sandbox: Sandbox, tmp_path: Path, trust: TrustLists) -> None:
    compressed = superbox(b"c2cm", b"urn:c2pa:1", box(b"brob", brotli_bomb(4096)))
    found = sandbox.run(check, carrying(tmp_path / "a.mp4", superbox(b"c2pa", b"c2pa", compressed)), trust, source="brotli")
    assert found.state is State.MALFORMED
    assert "output exceeds maximum size" in told(found)  # so it was unfolded, up to a point


def test_more_ingredients_than_anybody_signs(sandbox: Sandbox, tmp_path: Path, plain: Path, studio: Studio, trust: TrustLists) -> None:
    """The library would read it, and take time that grows with their square."""
    ingredient = {"title": "i", "relationship": "componentOf"}
    many = signed_with(studio, plain, tmp_path / "many.mp4", ingredients=[ingredient] * (MAX_BOXES + 1))
    found = sandbox.run(check, many, trust, source="many")
    assert (found.state, found.ai) == (State.MALFORMED, AI.UNKNOWN)
    assert "more than 2,000 statements" in told(found)

    few = signed_with(studio, plain, tmp_path / "few.mp4", ingredients=[ingredient] * 200)
    assert sandbox.run(check, few, trust, source="few").state is State.TRUSTED
    (tmp_path / "ten.mp4").write_bytes(crowded(few.read_bytes(), 10_000))
    assert "more than 2,000 statements" in told(sandbox.run(check, tmp_path / "ten.mp4", trust, source="ten thousand"))


def test_a_million_ways_through_twenty_diamonds(sandbox: Sandbox, tmp_path: Path, plain: Path, studio: Studio, trust: TrustLists) -> None:
    found = sandbox.run(check, diamonds(studio, plain, tmp_path, 20), trust, source="diamonds")
    assert (found.state, found.manifests) == (State.TRUSTED, 20)
    assert len(found.history.manifests) == 20


def test_a_manifest_of_a_hundred_megabytes(sandbox: Sandbox, tmp_path: Path, plain: Path, studio: Studio, trust: TrustLists) -> None:
    signed = signed_with(studio, plain, tmp_path / "a.mp4", thumbnail=b"Thumbnail").read_bytes()
    path = tmp_path / "big.mp4"
    path.write_bytes(inserted(signed, signed.index(b"Thumbnail") + 1, bytes(100 * MIB)))
    found = sandbox.run(check, path, trust, source="100 MB")
    assert found.state is State.TAMPERED  # read whole, and not what was signed
    path.write_bytes(b"")
    assert sandbox.run(check, carrying(path, superbox(b"c2pa", b"c2pa", bytes(100 * MIB))), trust, source="noise").state is State.MALFORMED


def test_a_manifest_that_outlasts_its_reader_is_malformed_and_does_not_end_the_scan(
    tmp_path: Path, plain: Path, studio: Studio, trust: TrustLists
) -> None:
    signed = signed_with(studio, plain, tmp_path / "a.mp4", thumbnail=b"Thumbnail").read_bytes()
    path = tmp_path / "big.mp4"
    path.write_bytes(inserted(signed, signed.index(b"Thumbnail") + 1, bytes(100 * MIB)))
    with Sandbox(1, Settings.model_fields["decode_memory_bytes"].default, 0.01) as hurried:
        with pytest.raises(DecoderTimeout):
            hurried.run(check, path, trust, source="100 MB")
        found = check_confined(hurried, path, trust, source="100 MB")
    assert (found.state, found.ai, found.rules) == (State.MALFORMED, AI.UNKNOWN, RULES)
    assert "could not be read" in told(found)
    assert sentences(found)


def test_a_long_name_with_many_things_beneath_it(sandbox: Sandbox, tmp_path: Path, plain: Path, studio: Studio, trust: TrustLists) -> None:
    """0.3 MB that made our walk of the store write a name of 200 KB a hundred thousand times."""
    wide = {"label": "org.example", "data": {"k" * 200_000: [0] * 100_000}}
    created = {"label": "c2pa.actions", "data": {"actions": [{"action": "c2pa.created", "digitalSourceType": SOURCE}]}}
    signed = signed_with(studio, plain, tmp_path / "a.mp4", assertions=[created, wide])
    assert sandbox.run(check, signed, trust, source="wide").state is State.TRUSTED


@pytest.fixture(scope="module")
def fresh_sandbox(good: Path, trust: TrustLists) -> Iterator[Sandbox]:
    """A worker whose greatest use of memory is that of a good file so far."""
    with Sandbox(1, Settings.model_fields["decode_memory_bytes"].default, 60) as sandbox:
        sandbox.run(check, good, trust, source="good")
        yield sandbox


@pytest.fixture(scope="module")
def half_a_gibibyte() -> bytes:
    return zeros(512 * MIB)


@pytest.mark.parametrize(
    ("kind", "head", "side"),
    [
        (b"zTXt", b"Comment\0\0", 1),
        (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0", 1),
        (b"iCCP", b"profile\0\0", 1),
        (None, b"", 13_000),  # fewer pixels than Pillow refuses
    ],
    ids=["zTXt", "iTXt", "iCCP", "picture"],
)
def test_png_bombs_are_not_unfolded(
    fresh_sandbox: Sandbox, tmp_path: Path, trust: TrustLists, half_a_gibibyte: bytes, kind: bytes | None, head: bytes, side: int
) -> None:
    chunks = [] if kind is None else [(kind, head + half_a_gibibyte)]
    before = fresh_sandbox.run(resource.getrusage, resource.RUSAGE_SELF, source="usage").ru_maxrss
    found = fresh_sandbox.run(check, png(tmp_path / "bomb.png", *chunks, side=side), trust, source="bomb")
    after = fresh_sandbox.run(resource.getrusage, resource.RUSAGE_SELF, source="usage").ru_maxrss
    assert found.state is State.ABSENT
    assert after - before < 64 * 1024  # KiB


# XMP


LAUGHS = b"".join(b'<!ENTITY l%d "%s">' % (level, b"&l%d;" % (level - 1) * 10) for level in range(1, 12))
ENTITIES = {
    "billion laughs": (b'<!DOCTYPE x [<!ENTITY l0 "ha">' + LAUGHS + b"]>", b"&l11;"),
    "a file": (b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>', b"&e;"),
    "an address": (b'<!DOCTYPE x [<!ENTITY e SYSTEM "http://127.0.0.1:9/x">]>', b"&e;"),
    "a parameter": (b'<!DOCTYPE x [<!ENTITY % p SYSTEM "file:///etc/passwd"> %p;]>', b""),
    "an outer definition": (b'<!DOCTYPE x SYSTEM "file:///etc/passwd">', b""),
}


@pytest.mark.parametrize("name", ENTITIES)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_xmp_with_entities_says_nothing(sandbox: Sandbox, tmp_path: Path, trust: TrustLists, name: str, encoding: str) -> None:
    doctype, use = ENTITIES[name]
    content = packet(DECLARED + f"<xmp:CreatorTool>{use.decode()}</xmp:CreatorTool>").replace(b"<x:xmpmeta", doctype + b"<x:xmpmeta", 1)
    content = content.decode().lstrip("\ufeff").encode(encoding)
    assert xmp.properties(content) == []
    for path in (jpeg(tmp_path / "a.jpg", content[:60_000]), mp4(tmp_path / "a.mp4", box(b"uuid", XMP_UUID, content))):
        found = sandbox.run(check, path, trust, source=name)
        assert (found.state, found.metadata_ai) == (State.ABSENT, AI.UNKNOWN)
        assert not any(signal.code == "program" for signal in found.signals)


def test_the_test_above_would_see_a_value() -> None:
    assert any(each.value == "Tool" for each in xmp.properties(packet(DECLARED + "<xmp:CreatorTool>Tool</xmp:CreatorTool>")))


def test_xmp_in_a_namespace_of_half_a_megabyte(sandbox: Sandbox, tmp_path: Path, trust: TrustLists) -> None:
    """Written out for each of its 5,000 properties it was 2.5 GB."""
    content = packet("<n:a>x</n:a>" * 5000, f'xmlns:n="{"n" * 500_000}" ') + b" " * 16
    assert max((len(each.namespace) for each in xmp.properties(content)), default=0) < 1000
    found = sandbox.run(check, mp4(tmp_path / "a.mp4", *[box(b"uuid", XMP_UUID, content)] * 8), trust, source="namespace")
    assert found.state is State.ABSENT


def test_xmp_in_thousands_of_attributes_of_a_long_namespace(sandbox: Sandbox, tmp_path: Path, trust: TrustLists) -> None:
    content = packet("", f'xmlns:n="{"n" * 500_000}" ' + " ".join(f'n:a{number}=""' for number in range(40_000)))
    assert xmp.properties(content) == []
    assert sandbox.run(check, mp4(tmp_path / "a.mp4", box(b"uuid", XMP_UUID, content)), trust, source="x").state is State.ABSENT


@pytest.mark.parametrize("head", [b"", b"\xff\xd8\xff\xe0"], ids=["ISO media", "JPEG"])
def test_the_count_of_boxes_is_exact_wherever_a_piece_ends(tmp_path: Path, head: bytes) -> None:
    for at in (0, MIB - 30, MIB - 27, MIB - 24):  # its first name lies across the end of a piece
        for number, crowded_now in ((MAX_BOXES, False), (MAX_BOXES + 1, True)):
            store = bytes(at) + b"jumd" * number
            path = tmp_path / "a"
            carrying(path, store)
            if head:
                path.write_bytes(head + store)
            with path.open("rb") as file:
                assert is_crowded(file) is crowded_now


@pytest.mark.shared_data
def test_every_shared_file_has_a_state_and_the_worker_outlives_it(sandbox: Sandbox, shared: Path, trust: TrustLists) -> None:
    """Which state it is, `test_real_files.py` knows."""
    files = [path for folder in ("c2pa", "malformed") for path in sorted((shared / folder).iterdir()) if path.is_file()]
    files = [path for path in files if path.suffix != ".csv"]
    assert len(files) == 79 + 93
    for path in files:
        assert sandbox.run(check, path, trust, source=path.name).state in State


def test_the_store_is_taken_out_only_where_there_is_one_and_it_is_whole(tmp_path: Path, good: Path) -> None:
    def taken(content: bytes) -> bytes | None:
        return manifest_store(io.BytesIO(content))

    signed = good.read_bytes()
    start = signed.index(b"jumb") - 4
    store = taken(signed)
    assert store == signed[start : start + int.from_bytes(signed[start : start + 4], "big")]
    held = carrying(tmp_path / "a.mp4", store or b"").read_bytes()
    assert taken(held) == store
    assert taken(held.replace(b"manifest\0", b"original\0")) is None
    assert taken(held.replace(b"manifest\0", b"manifest.")) != store  # no end of the name: not where it seems
    assert taken(signed + held) is None  # two
    assert taken(b"\xff\xd8\xff" + signed) is None
    assert taken(b"") is None

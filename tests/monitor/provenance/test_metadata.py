"""What stands outside of any manifest, in every format that carries it; what it counts for; and what a hostile file costs."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image, PngImagePlugin

from monitor.cast.credentials import COMPOSITE, Studio
from monitor.provenance.check import check
from monitor.provenance.metadata import RULES, read
from monitor.provenance.sentences import sentences
from monitor.provenance.trust import TrustLists
from monitor.provenance.types import AI, Provenance, State
from tests.monitor.provenance.packets import DECLARED, IPTC, LABEL, XMP_UUID, box, mp4, packet, tagged

PICTURE = Image.new("RGB", (32, 24), (90, 120, 150))


def saved(path: Path, **options: object) -> Path:
    PICTURE.save(path, **options)  # type: ignore[arg-type]  # Pillow's options differ by format
    return path


def png_text(**texts: str) -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    for name, text in texts.items():
        info.add_itxt(name.replace("_", " "), text)
    return info


def exif(tag: int, value: str | bytes, *, inside: bool = False) -> Image.Exif:
    made = Image.Exif()
    (made.get_ifd(0x8769) if inside else made)[tag] = value
    return made


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".avif", ".tif"])
def test_a_picture_declares_by_xmp_whatever_its_format(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"cover{suffix}"
    match suffix:
        case ".png":
            info = PngImagePlugin.PngInfo()
            info.add_itxt("XML:com.adobe.xmp", DECLARED.decode())
            saved(path, pnginfo=info)
        case ".tif":
            saved(path, tiffinfo={700: DECLARED})
        case _:
            saved(path, xmp=DECLARED)
    found = check(path, TrustLists())
    assert (found.metadata_ai, found.state) == (AI.FULLY, State.ABSENT)
    assert found.metadata_where is not None
    assert "DigitalSourceType" in found.metadata_where
    assert found.rules == RULES
    assert any(sentence.startswith("Its metadata says that generative AI made it") for sentence in sentences(found))


@pytest.mark.parametrize(
    "boxes",
    [
        [box(b"uuid", XMP_UUID, DECLARED)],
        [box(b"moov", box(b"udta", box(b"XMP_", DECLARED)))],
        [box(b"moov", box(b"trak", box(b"udta", box(b"XMP_", DECLARED))))],
    ],
    ids=["uuid", "udta", "a track's udta"],
)
def test_a_video_declares_by_xmp(tmp_path: Path, boxes: list[bytes]) -> None:
    assert read(mp4(tmp_path / "a.mp4", *boxes)).ai is AI.FULLY


@pytest.mark.parametrize(
    "term", ["trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia", "composite", "digitalCapture", "other"]
)
@pytest.mark.parametrize("form", ["<p>{}</p>", "a list", "rdf:resource", "attribute"])
def test_every_way_of_writing_a_property_is_read(tmp_path: Path, term: str, form: str) -> None:
    name, value = "Iptc4xmpExt:DigitalSourceType", IPTC + term
    written = {
        "<p>{}</p>": packet(f"<{name}>{value}</{name}>"),
        "a list": packet(f"<{name}><rdf:Bag><rdf:li>{value}</rdf:li></rdf:Bag></{name}>"),
        "rdf:resource": packet(f'<{name} rdf:resource="{value}"/>'),
        "attribute": packet(attributes=f'{name}="{value}"'),
    }[form]
    expected = {
        "trainedAlgorithmicMedia": AI.FULLY,
        "compositeWithTrainedAlgorithmicMedia": AI.PARTLY,
        "composite": AI.MAY,
        "digitalCapture": AI.CAPTURED,
        "other": AI.UNKNOWN,
    }[term]
    assert read(saved(tmp_path / "a.jpg", xmp=written)).ai is expected


def test_chinas_label_in_each_place(tmp_path: Path) -> None:
    xmp = packet(f"<TC260:AIGC>{LABEL}</TC260:AIGC>")
    inside = '{"AIGC": ' + LABEL + "}"
    files = [
        tagged(tmp_path / "tag.mp4", AIGC=LABEL),
        tagged(tmp_path / "comment.mp4", comment=inside),
        saved(tmp_path / "xmp.jpg", xmp=xmp),
        saved(tmp_path / "text.png", pnginfo=png_text(AIGC=LABEL)),
        saved(tmp_path / "comment.jpg", exif=exif(0x9286, b"ASCII\0\0\0" + inside.encode(), inside=True)),
        saved(tmp_path / "description.jpg", exif=exif(0x010E, inside)),
    ]
    assert {file.name: read(file).ai for file in files} == {file.name: AI.FULLY for file in files}
    assert read(tagged(tmp_path / "maybe.mp4", AIGC=LABEL.replace('"1"', '"2"'))).ai is AI.MAY
    for text in ("AIGC", "{}", '{"Label": []}', "[" * 5000, LABEL + "x" * 20_000):
        assert read(saved(tmp_path / "no.png", pnginfo=png_text(AIGC=text))).ai is AI.UNKNOWN


def test_the_name_of_a_program_is_told_and_decides_nothing(tmp_path: Path) -> None:
    for file in (
        tagged(tmp_path / "a.mp4", encoder="Sora", software="Dream Machine"),
        saved(tmp_path / "a.jpg", xmp=packet("<xmp:CreatorTool>Midjourney 7</xmp:CreatorTool>")),
        saved(tmp_path / "b.jpg", exif=exif(0x0131, "Dream Machine")),
    ):
        found = read(file)
        assert found.ai is AI.UNKNOWN
        assert "program" in [signal.code for signal in found.signals]


def test_what_a_removed_manifest_leaves_behind_is_told(tmp_path: Path, plain: Path, studio: Studio, trust: TrustLists) -> None:
    points = packet(attributes='dcterms:provenance="self#jumbf=/c2pa/urn:uuid:1/c2pa.claim"')
    left = check(saved(tmp_path / "left.jpg", xmp=points), trust)
    assert (left.state, left.stripped) == (State.ABSENT, "its XMP still names the manifest self#jumbf=/c2pa/urn:uuid:1/c2pa.claim")
    assert any("manifest was removed" in sentence for sentence in sentences(left))

    signed = tmp_path / "signed.mp4"
    studio.sign(plain, signed, digital_source_type=COMPOSITE, generator="Editor")
    assert check(signed, trust).stripped is None, "a manifest is there"
    renamed = tmp_path / "renamed.mp4"
    renamed.write_bytes(signed.read_bytes().replace(bytes.fromhex("d8fec3d61b0e483c92975828877ec481"), b"somebody else's."))
    found = check(renamed, trust)
    assert found.state is State.ABSENT, "the library no longer finds it"
    assert found.stripped is not None
    assert "uuid 736f6d65626f647920656c736527732e" in found.stripped


def test_metadata_is_told_beside_a_manifest_and_leaves_what_that_says(
    tmp_path: Path, plain: Path, studio: Studio, trust: TrustLists
) -> None:
    both = tmp_path / "both.mp4"
    with_xmp = tmp_path / "xmp.mp4"
    with_xmp.write_bytes(plain.read_bytes() + box(b"uuid", XMP_UUID, DECLARED))
    studio.sign(with_xmp, both, digital_source_type=COMPOSITE, generator="Editor")
    found = check(both, trust)
    assert (found.state, found.ai, found.metadata_ai) == (State.TRUSTED, AI.MAY, AI.FULLY)


def test_what_earlier_releases_stored_is_read_as_not_yet_looked_at() -> None:
    stored = Provenance(State.ABSENT, AI.UNKNOWN, "t").to_json()
    for name in ("metadata_ai", "metadata_where", "stripped", "rules"):
        del stored[name]
    read_again = Provenance.from_json(stored)
    assert (read_again.metadata_ai, read_again.rules) == (AI.UNKNOWN, 0)


ENTITIES = b'<!DOCTYPE x [<!ENTITY a "%s"><!ENTITY e SYSTEM "file:///etc/passwd">]>'


@pytest.mark.parametrize(
    "hostile",
    [
        ENTITIES % b"ha" + b"<x>&a;&e;</x>",
        b"<!DOCTYPE lolz [" + b"".join(b'<!ENTITY l%d "%s">' % (n, b"&l%d;" % (n - 1) * 10) for n in range(1, 12)) + b"]><l>&l11;</l>",
        b"<a>" * 100_000,
        b"<a " + b" ".join(b'b%d="c"' % n for n in range(100_000)) + b"/>",
        b'<?xml version="1.0" encoding="nothing"?><a/>',
        b"\xff" * 1000,
    ],
    ids=["external entity", "billion laughs", "depth", "attributes", "encoding", "garbage"],
)
def test_hostile_xmp_costs_little_and_says_nothing(tmp_path: Path, hostile: bytes) -> None:
    declaring = hostile + DECLARED
    found = read(mp4(tmp_path / "a.mp4", box(b"uuid", XMP_UUID, declaring)))
    assert found.ai is AI.UNKNOWN
    assert "root:" not in str(found)


@pytest.mark.parametrize(
    "content",
    [
        box(b"moov", b"\xff\xff\xff\xffudta") + b"\0" * 64,
        b"\0\0\0\1uuid" + b"\xff" * 8 + XMP_UUID,
        b"\0\0\0\4moov" * 1000,
        box(b"moov", *[box(b"udta")] * 50_000),
        box(b"moov", box(b"meta", box(b"keys", b"\0" * 4, b"\xff\xff\xff\xff", b"\xff\xff\xff\xffmdta"), box(b"ilst", b"\xff" * 64))),
        box(b"uuid", XMP_UUID) + box(b"moov", box(b"udta", box(b"\xa9too", b""))),
    ],
    ids=["beyond the file", "64 bits", "too short", "many", "keys", "empty"],
)
def test_boxes_that_lie_say_nothing(tmp_path: Path, content: bytes) -> None:
    assert read(mp4(tmp_path / "a.mp4", content)).ai is AI.UNKNOWN


def test_boxes_nested_a_million_deep_are_not_followed(tmp_path: Path) -> None:
    deep = b"".join((8 * (n + 1)).to_bytes(4, "big") + b"moov" for n in reversed(range(100_000)))
    assert read(mp4(tmp_path / "a.mp4", deep)).ai is AI.UNKNOWN


@pytest.mark.shared_data
def test_real_files_that_lost_their_manifest(shared: Path) -> None:
    names = ("contentauth__c2pa-rs__no_manifest.jpg", "contentauth__c2pa-rs__video1_no_manifest.mp4")
    found = {name: check(shared / "c2pa" / name, TrustLists()) for name in names}
    assert all("its XMP still names the manifest self#jumbf" in str(each.stripped) for each in found.values())


@pytest.mark.shared_data
def test_no_other_real_file_is_said_to_be_stripped_or_generated(shared: Path) -> None:
    """They declare in their manifests, if at all."""
    files = [path for folder in ("c2pa", "malformed") for path in sorted((shared / folder).iterdir()) if path.is_file()]
    files += sorted(path for path in (shared / "videos").rglob("*") if path.is_file())
    found = {path.name: check(path, TrustLists()) for path in files if path.suffix != ".csv"}
    assert len(found) > 200
    assert {name for name, each in found.items() if each.metadata_ai in (AI.FULLY, AI.PARTLY)} == set()
    assert {name for name, each in found.items() if each.stripped} == {
        "contentauth__c2pa-rs__no_manifest.jpg",
        "contentauth__c2pa-rs__video1_no_manifest.mp4",
    }

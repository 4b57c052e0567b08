"""Well-formed inputs for each target, made in a second or two; the shared files too, where a long run has them."""

from __future__ import annotations

import functools
import io
import json
import tempfile
from datetime import date
from pathlib import Path

from c2pa import Context, Reader
from PIL import Image

from monitor.cast.credentials import GENERATED, Studio
from monitor.decision.facts import Facts
from monitor.decision.policy import default_policy
from monitor.provenance.boxes import manifest_store
from monitor.provenance.check import check
from monitor.provenance.trust import TrustLists
from tests.conftest import SHARED
from tests.monitor.provenance.hostile import jpeg, nested, png, superbox
from tests.monitor.provenance.making import clip
from tests.monitor.provenance.packets import DECLARED, FTYP, LABEL, XMP_UUID, box, mp4, packet, tagged
from tests.monitor.provenance.stores import manifest, taken

_SHARED_BYTES = 200_000


@functools.cache
def files() -> tuple[bytes, ...]:
    """Media: signed MP4s, MOV, MKV, and pictures with metadata."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        studio, plain = Studio("Seeds"), clip(folder / "plain.mp4")
        studio.sign(plain, folder / "a.mp4", digital_source_type=GENERATED, generator="G")
        studio.sign(
            plain, folder / "b.mp4", digital_source_type="humanEdits", generator="E", parent=folder / "a.mp4", part=folder / "a.mp4"
        )
        clip(folder / "c.mkv")
        clip(folder / "c.mov")
        tagged(folder / "tagged.mp4", AIGC=LABEL, comment="c")
        mp4(folder / "xmp.mp4", box(b"uuid", XMP_UUID, DECLARED), box(b"moov", box(b"udta", box(b"XMP_", DECLARED))))
        png(folder / "a.png", (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + DECLARED), (b"tEXt", b"AIGC\0" + LABEL.encode()))
        jpeg(folder / "a.jpg", DECLARED)
        made = [path.read_bytes() for path in sorted(folder.iterdir())]
    return (*made, *_pictures(), FTYP + box(b"mdat", b"x"))


def _pictures() -> list[bytes]:
    exif = Image.Exif()
    exif[0x0131] = "Dream"
    exif.get_ifd(0x8769)[0x9286] = b"ASCII\0\0\0" + LABEL.encode()
    made = []
    for kind in ("JPEG", "WEBP", "PNG", "TIFF", "GIF"):
        file = io.BytesIO()
        Image.new("RGB", (8, 8)).save(
            file, kind, **({} if kind == "GIF" else {"exif": exif}), **({"comment": b"c"} if kind == "GIF" else {})
        )
        made.append(file.getvalue())
    return made


@functools.cache
def crjson() -> tuple[bytes, ...]:
    """Manifest stores as the library tells them, and of shapes that nobody signs."""
    action = {
        "action": "c2pa.created",
        "digitalSourceType": "http://c2pa.org/digitalsourcetype/empty",
        "softwareAgent": {"name": "A"},
        "when": "x",
    }
    wide = manifest("a", taken("b", "parentOf"), taken("a"), taken(None), assertions={"c2pa.actions.v2": {"actions": [action] * 3}})
    made = [json.dumps({"manifests": [wide, manifest("b", taken("a"))]}).encode()]
    for content in files():
        if b"jumdc2pa" in content:
            offline = Context.from_dict({"verify": {"remote_manifest_fetch": False}})
            with offline as context, Reader("video/mp4", io.BytesIO(content), context=context) as reader:
                made.append(reader.crjson().encode())
    return tuple(made)


@functools.cache
def stores() -> tuple[bytes, ...]:
    """Manifest stores as they stand in files."""
    found = [manifest_store(io.BytesIO(content)) for content in files()]
    return tuple(store for store in found if store)


@functools.cache
def stored() -> tuple[bytes, ...]:
    """Provenance as it is kept in the database."""
    made = []
    with tempfile.NamedTemporaryFile() as file:
        for content in files()[:4]:
            Path(file.name).write_bytes(content)
            made.append(json.dumps(check(Path(file.name), TrustLists()).to_json()).encode())
    return tuple(made)


def xmp() -> tuple[bytes, ...]:
    listed = packet("<dc:x xmlns:dc='u'><rdf:Bag><rdf:li>a</rdf:li></rdf:Bag></dc:x>", 'xmp:CreatorTool="T" ')
    return DECLARED, listed, DECLARED.decode().encode("utf-16"), b'<!DOCTYPE x [<!ENTITY a "b">]>' + DECLARED


def labels() -> tuple[bytes, ...]:
    return LABEL.encode(), b'{"AIGC": ' + LABEL.encode() + b"}"


def boxes() -> tuple[bytes, ...]:
    return (*(content for content in files() if content[4:8] == b"ftyp"), nested(20), superbox(b"c2pa", b"c2pa", superbox(b"c2ma", b"a")))


def messages() -> tuple[bytes, ...]:
    """The published examples."""
    folder = Path(__file__).parent.parent.parent / "docs" / "messages"
    return tuple(path.read_bytes() for path in sorted(folder.glob("*.json")) if not path.name.endswith(".schema.json"))


def cursors() -> tuple[bytes, ...]:
    return (json.dumps([1, 0.5, "2026-07-01T12:00:00+00:00", "case-1"]).encode(),)


FACTS = Facts(
    name="{N}",
    deceased_on=date.min,
    score=1.0,
    frames=8,
    seconds=2.0,
    ranges="0:01.0 to 0:03.0",
    state="tampered",
    ai="fully",
    signer=None,
    trust_list=None,
    account=None,
    consent=None,
    stripped="{",
    watermark="{0}",
    mark_score=1.0,
    synthetic=1.0,
    breach="}",
)


def policies() -> tuple[bytes, ...]:
    shipped = default_policy().text
    lines = shipped.splitlines(keepends=True)
    bare = "".join(line for line in lines if not line.lstrip().startswith("#"))
    earlier = bare.replace("{score}", "{score:>6}").replace("flag_at: 0.5", "flag_at: &at 0.5\n")
    return tuple(text.encode() for text in (shipped, bare, earlier))


def shared() -> tuple[bytes, ...]:
    """The small ones among the shared files; none where there is no such folder."""
    paths = [path for folder in ("c2pa", "malformed") for path in sorted((SHARED / folder).glob("*")) if path.is_file()]
    return tuple(path.read_bytes() for path in paths if path.suffix != ".csv" and path.stat().st_size <= _SHARED_BYTES)

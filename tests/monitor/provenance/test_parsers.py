"""Our parsers of what strangers write: whatever the bytes, an answer and no error."""

from __future__ import annotations

import io
import json

from hypothesis import given
from hypothesis import strategies as st

from monitor.provenance import aigc, xmp
from monitor.provenance.boxes import read_boxes
from monitor.provenance.types import AI
from tests.monitor.provenance.packets import DECLARED, FTYP, XMP_UUID, box

KINDS = st.sampled_from([b"moov", b"udta", b"meta", b"trak", b"keys", b"ilst", b"uuid", b"XMP_", b"hdlr", b"jumb", b"free", b"\xa9too"])


@st.composite
def boxes(draw: st.DrawFn, depth: int = 3) -> bytes:
    """Boxes in boxes, some of which lie about their length."""
    inner = st.binary(max_size=40) | st.just(XMP_UUID + DECLARED)
    content = draw(inner if depth == 0 else inner | st.lists(boxes(depth - 1), max_size=4).map(b"".join))
    made = bytearray(box(draw(KINDS), content))
    if draw(st.booleans()):
        made[:4] = draw(st.binary(min_size=4, max_size=4))
    return bytes(made)


@given(st.lists(boxes(), max_size=6).map(b"".join))
def test_boxes(content: bytes) -> None:
    found = read_boxes(io.BytesIO(FTYP + content))
    assert all(isinstance(packet, bytes) for _, packet in found.xmp)


@given(st.binary(max_size=500))
def test_boxes_of_noise(content: bytes) -> None:
    found = read_boxes(io.BytesIO(content))
    assert all(0 <= start <= end <= len(content) for start, end in found.manifests)
    assert sum(len(packet) for _, packet in found.xmp) <= len(content)


@given(st.binary(max_size=300) | st.text().map(str.encode), st.integers(0, len(DECLARED)))
def test_xmp_with_noise_somewhere(noise: bytes, at: int) -> None:
    found = xmp.properties(DECLARED[:at] + noise + DECLARED[at:])
    assert all(len(each.value) <= 4096 for each in found)


LABELS = st.recursive(
    st.none() | st.integers() | st.text() | st.sampled_from(["1", "2", "3"]),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["Label", "AIGC"]) | st.text(), inner),
)


@given(st.text() | LABELS.map(json.dumps))
def test_labels(text: str) -> None:
    for written in (text, '{"AIGC": ' + text + "}"):
        assert aigc.label(written) in {None, *AI}

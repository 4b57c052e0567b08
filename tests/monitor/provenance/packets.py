"""Makes what the metadata tests read: XMP packets, boxes, and files that carry them."""

from __future__ import annotations

import struct
from pathlib import Path

import av
import numpy as np

IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"
GENERATED = f"{IPTC}trainedAlgorithmicMedia"
LABEL = (
    '{"Label":"1","ContentProducer":"001","ProduceID":"7","ReservedCode1":"","ContentPropagator":"","PropagateID":"","ReservedCode2":""}'
)
XMP_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")


def packet(properties: str = "", attributes: str = "") -> bytes:
    """An XMP packet with these properties (elements) and attributes of its description."""
    return (
        '<?xpacket begin="\N{ZERO WIDTH NO-BREAK SPACE}" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
        'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" xmlns:dcterms="http://purl.org/dc/terms/" '
        'xmlns:TC260="http://www.tc260.org.cn/ns/AIGC/1.0/" xmlns:xmp="http://ns.adobe.com/xap/1.0/" '
        f'{attributes}>{properties}</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    ).encode()


DECLARED = packet(f"<Iptc4xmpExt:DigitalSourceType>{GENERATED}</Iptc4xmpExt:DigitalSourceType>")


def box(kind: bytes, *content: bytes) -> bytes:
    payload = b"".join(content)
    return struct.pack(">I4s", 8 + len(payload), kind) + payload


FTYP = box(b"ftyp", b"isom\0\0\2\0isomiso2")


def mp4(path: Path, *boxes: bytes) -> Path:
    """ISO media that holds these boxes and nothing to play."""
    path.write_bytes(FTYP + b"".join(boxes))
    return path


def tagged(path: Path, **tags: str) -> Path:
    """A playable MP4 with tags as FFmpeg writes them (`-movflags use_metadata_tags`)."""
    with av.open(str(path), "w", options={"movflags": "use_metadata_tags"}) as container:
        container.metadata.update(tags)
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((48, 64, 3), number * 20, np.uint8), format="rgb24")))
        container.mux(stream.encode())
    return path

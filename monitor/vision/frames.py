"""Frames of a video file: what it is (`probe`), a sparse sample of it (`sample`), exact stills of it (`stills`).

To be called inside the sandbox: the bytes are untrusted, and FFmpeg is large. All pictures are uint8 RGB (h, w, 3), as
displayed: upright, pixels square. All times are seconds from the stream's start. Nothing here is thread-safe towards
one file handle, and nothing is shared between calls.

Usage::

    chunk = sample(path, None, options)
    while True:
        use(chunk.frames)
        if chunk.cursor is None:
            break
        chunk = sample(path, chunk.cursor, options)
"""

from monitor.vision.container import VideoInfo, probe
from monitor.vision.sampling import Chunk, Cursor, Frame, SampleOptions, sample
from monitor.vision.stills import stills

__all__ = ["Chunk", "Cursor", "Frame", "SampleOptions", "VideoInfo", "probe", "sample", "stills"]

"""Sampling a video: the fewest decoded frames that leave no gap longer than asked.

Key packets come first: encoders put one on most cuts, and it decodes alone. A gap that two of them leave is filled
from within the group of pictures, evenly, and decoding stops with the last frame needed. What looks the same as the
frame kept before is dropped: a still camera on a still scene yields one frame, however long.

The work of one call is bounded, so that a wall-clock limit on it can be: at most `max_frames` frames are looked at,
and about `CALL_PIXELS` decoded. A cursor carries on at a group of pictures, not at the start of the file.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray
from PIL import Image

from monitor.base.errors import UnreadableMedia
from monitor.vision.container import OpenVideo, VideoInfo, open_video, probe
from monitor.vision.decoding import GroupDecoder, may_skip_unreferenced
from monitor.vision.demux import Bookmark, Piece, pieces
from monitor.vision.display import Renderer

CALL_PIXELS = 2_500_000_000
"""Ends a call early. 45 s of 720p at 60/s decoded in full; ten seconds of CPU or so."""

GROUP_PIXELS = 10_000_000_000
"""A group of pictures this deep is not followed further, since each call must decode it from its key packet again:
six minutes of 720p at 30/s without one key frame. The video counts as truncated there."""

KEY_SPACING = 0.25
"""Key frames closer than this share of the gap to the last sample are passed over: streams of key frames only."""

SAME_LEVELS = 8
"""Two frames are the same when no cell of their 32×18 grey thumbnails differs by more than this many of 255 levels.

A cell is 20×20 pixels of a 640×360 frame, less than the smallest face worth finding, so that a face that appears in a
still scene changes several; a mean over the picture would not notice it. Compression noise stays at 1–3 levels."""

THUMBNAIL = (32, 18)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SampleOptions:
    """How to sample. `gap_s`: longest time between two sampled frames, as far as the video has frames. `max_s`: of a longer video,
    only so much."""

    gap_s: float = 1.0
    short_side_px: int = 360
    max_frames: int = 64
    max_s: float = 4 * 3600.0


@dataclass(frozen=True, slots=True)
class Frame:
    """A sampled frame. `time_s` from the stream's start; `image` uint8 RGB (h, w, 3) as displayed: upright, square pixels."""

    time_s: float
    image: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Cursor:
    """The place where the next call goes on, and what to know there. Opaque to callers; picklable; for the same file and options only."""

    group: Bookmark
    last_s: float
    thumbnail: bytes
    info: VideoInfo


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some frames, in order of time; possibly none, where nothing moved. `cursor` is None when this was the last.

    `truncated_at_s`: the video goes on after this moment, and was not looked at.
    """

    frames: tuple[Frame, ...]
    cursor: Cursor | None
    info: VideoInfo
    truncated_at_s: float | None


def sample(path: Path, cursor: Cursor | None, options: SampleOptions) -> Chunk:
    """The next frames of a video; begin with no cursor, go on with each chunk's cursor until there is none.

    Deterministic in the file and the options. The first decodable frame is always among the frames. Damaged parts are
    passed over. Raises as `open_video`, and `UnreadableMedia` where the whole file holds no decodable frame.
    """
    info = cursor.info if cursor else probe(path)
    with open_video(path, draft=True) as video:
        return _Call(video, info, cursor, options).run()


class _Call:
    """One call of `sample`."""

    def __init__(self, video: OpenVideo, info: VideoInfo, cursor: Cursor | None, options: SampleOptions) -> None:
        self._video = video
        self._info = info
        self._options = options
        self._decoder = GroupDecoder(video)
        self._render = Renderer(video.stream.sample_aspect_ratio, short_side_px=options.short_side_px)
        self._start = cursor.group if cursor else None
        self._last_s = cursor.last_s if cursor else None
        self._thumbnail = cursor.thumbnail if cursor else b""
        self._key_spacing_s = options.gap_s * (1.0 if video.stream.codec_context.codec.intra_only else KEY_SPACING)
        self._group: Bookmark | None = None
        self._group_s = 0.0
        self._frames: list[Frame] = []
        self._looked = 0
        self._catch_up_pixels = 0

    def run(self) -> Chunk:
        options, depth_pixels = self._options, 0
        for piece in pieces(self._video, self._start):
            if piece.mark:
                if self._looked and self._looked + self._planned(piece) > options.max_frames:
                    return self._to_be_continued(piece.mark)
                self._group, self._group_s, depth_pixels = piece.mark, piece.start_s, self._decoder.pixels
            for time_s, frame in self._look(piece):
                if time_s > options.max_s:
                    return self._end(truncated_at_s=options.max_s)
                self._keep(time_s, frame)
                if self._looked >= options.max_frames or self._decoder.pixels - self._catch_up_pixels > CALL_PIXELS:
                    return self._to_be_continued(self._group)
            if piece.end_s > options.max_s:
                return self._end(truncated_at_s=options.max_s)
            if not piece.complete and self._decoder.pixels - depth_pixels > GROUP_PIXELS:
                return self._end(truncated_at_s=self._last_s)
        return self._end()

    def _look(self, piece: Piece) -> Iterator[tuple[float, VideoFrame]]:
        """The frames of this piece to look at. Resume it only after `_last_s` was moved to the frame's time."""
        gap_s, wants_key = self._options.gap_s, self._wants_key(piece)
        if piece.complete and not self._planned(piece):
            return
        if piece.mark and piece.complete and wants_key and not fills(piece.start_s, piece.end_s, gap_s):
            self._decoder.begin()
            if found := self._decoder.key_frame(piece.packets[0]):
                yield found[0]
                return
        skip = may_skip_unreferenced(piece.packets, gap_s)
        if piece.mark:
            self._decoder.begin(skip_unreferenced=skip)
        yield from self._thinned(piece, wants_key, watch=skip)
        if skip and (self._last_s is None or fills(self._last_s, piece.end_s, gap_s)):
            # More frames are marked as unreferenced than an honest encoder marks, or the frame rate varies.
            if piece.mark:
                self._decoder.begin()
                yield from self._thinned(piece, self._last_s is None, watch=False)
            else:
                self._decoder.skip_unreferenced(False)

    def _thinned(self, piece: Piece, wants_first: bool, *, watch: bool) -> Iterator[tuple[float, VideoFrame]]:
        gap_s = self._options.gap_s
        decoded = self._decoder.frames(piece.packets, complete=piece.complete)
        in_group = ((time_s, frame) for time_s, frame in decoded if time_s >= self._group_s)
        # What this piece leaves out is gone when the next one comes: do not leave the whole gap to its first frame.
        end_s = piece.end_s if piece.complete else piece.end_s + gap_s / 2
        for time_s, frame in thin(in_group, self._last_s, end_s, gap_s, wants_first=wants_first):
            if watch and piece.mark and self._last_s is not None and time_s > self._last_s + gap_s + 1e-6:
                return
            yield time_s, frame
        if not piece.complete:
            for _ in decoded:
                pass

    def _wants_key(self, piece: Piece) -> bool:
        if self._last_s is None:
            return True
        return piece.mark is not None and piece.start_s - self._last_s >= self._key_spacing_s

    def _planned(self, piece: Piece) -> int:
        if self._wants_key(piece):
            return 1 + fills(piece.start_s, piece.end_s, self._options.gap_s)
        assert self._last_s is not None
        return fills(self._last_s, piece.end_s, self._options.gap_s)

    def _keep(self, time_s: float, frame: VideoFrame) -> None:
        if not self._looked:
            self._catch_up_pixels = self._decoder.pixels
        self._looked += 1
        self._last_s = time_s
        try:
            image = self._render(frame)
        except ValueError as error:
            self._decoder.reason = str(error)
            return
        thumbnail = grey_thumbnail(image)
        if not self._thumbnail or differ(self._thumbnail, thumbnail):
            self._frames.append(Frame(time_s, image))
            self._thumbnail = thumbnail

    def _to_be_continued(self, group: Bookmark | None) -> Chunk:
        assert group is not None, "the first piece begins a group"
        assert self._last_s is not None, "a call goes on until it has looked at a frame"
        cursor = Cursor(group, self._last_s, self._thumbnail, self._info)
        return Chunk(tuple(self._frames), cursor, self._info, None)

    def _end(self, truncated_at_s: float | None = None) -> Chunk:
        if not self._thumbnail:
            reason = f" ({self._decoder.reason})" if self._decoder.reason else ""
            raise UnreadableMedia(
                self._video.path, f"not one of its frames can be decoded{reason}", "Try to play it; fetch or export it again"
            )
        return Chunk(tuple(self._frames), None, self._info, truncated_at_s)


def fills(start_s: float, end_s: float, gap_s: float) -> int:
    """How many frames are needed between two others, for no gap to be longer."""
    return max(0, math.ceil((end_s - start_s) / gap_s - 1e-6) - 1)


def thin(
    frames: Iterable[tuple[float, T]], last_s: float | None, end_s: float, gap_s: float, *, wants_first: bool
) -> Iterator[tuple[float, T]]:
    """The fewest frames, of `frames` in order of time, that leave no gap longer than `gap_s` between `last_s` and `end_s`.

    They lie evenly, and none is read beyond the last of them. With `wants_first` the first frame after `last_s` is one
    of them in any case. Where the frames lie further apart than `gap_s`, so do those chosen.
    """
    if not wants_first and last_s is not None and not fills(last_s, end_s, gap_s):
        return
    held: tuple[float, T] | None = None
    for time_s, frame in frames:
        if last_s is not None and time_s <= last_s:
            continue
        if wants_first or last_s is None:
            yield time_s, frame
            last_s, wants_first = time_s, False
        else:
            if held and time_s > last_s + gap_s:
                yield held
                last_s, held = held[0], None
            wanted = fills(last_s, end_s, gap_s)
            if wanted and time_s >= last_s + (end_s - last_s) / (wanted + 1) - 1e-6:
                yield time_s, frame
                last_s, held = time_s, None
            else:
                held = (time_s, frame)
        if not fills(last_s, end_s, gap_s):
            return
    if held and last_s is not None:
        yield held


def grey_thumbnail(image: NDArray[np.uint8]) -> bytes:
    """32×18 grey levels, each the mean of its part of the picture."""
    return Image.fromarray(image).convert("L").resize(THUMBNAIL, Image.Resampling.BOX).tobytes()


def differ(one: bytes, other: bytes) -> bool:
    """Whether two thumbnails show different pictures (`SAME_LEVELS`)."""
    difference = np.frombuffer(one, np.uint8).astype(np.int16) - np.frombuffer(other, np.uint8)
    return bool(np.abs(difference).max() > SAME_LEVELS)

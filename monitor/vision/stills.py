"""Evidence stills: the very frames that sampling saw, decoded in full.

Two runs. The first demuxes, without decoding, to find which group of pictures holds each moment; it gives every packet
the same time as sampling did. The second decodes only those groups, from their key packets, leaving nothing out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from av.video.frame import VideoFrame

from monitor.base.errors import UnreadableMedia
from monitor.vision.container import OpenVideo, open_video
from monitor.vision.decoding import GroupDecoder
from monitor.vision.demux import Bookmark, pieces, timed_packets
from monitor.vision.display import Renderer
from monitor.vision.sampling import Frame

SAME_MOMENT_S = 1e-4
"""Times closer than this are one moment: they may have been rounded on their way through a database."""


@dataclass(slots=True)
class _Place:
    """The place of the frame shown at a moment, as far as known: of the last frame not after the moment, or else of the first."""

    moment_s: float
    group: Bookmark | None = None
    time_s: float = float("inf")

    def consider(self, time_s: float, group: Bookmark) -> None:
        due, was_due = self.is_due(time_s), self.is_due(self.time_s)
        if (due and (not was_due or time_s > self.time_s)) or (not due and not was_due and time_s < self.time_s):
            self.time_s, self.group = time_s, group

    def is_due(self, time_s: float) -> bool:
        return time_s <= self.moment_s + SAME_MOMENT_S


def stills(path: Path, times_s: Sequence[float], max_side_px: int) -> list[Frame]:
    """The frame on screen at each moment, in the order asked, no side longer than `max_side_px`, never scaled up.

    For a time that `sample` gave, exactly that frame; before the first frame, the first. Where the frame is damaged, the
    nearest one before it in its group of pictures (or else after). All are in memory at once: ask for few.
    Raises as `open_video`, and `UnreadableMedia` where nothing can be decoded around a moment.
    """
    with open_video(path) as video:
        places = _locate(video, times_s)
    found: dict[float, Frame] = {}
    for group in {place.group.number: place.group for place in places if place.group}.values():
        wanted = sorted({place.time_s for place in places if place.group == group})
        try:
            with open_video(path) as video:
                found |= _decode(video, group, wanted, max_side_px)
        except ValueError as error:
            raise UnreadableMedia(
                path, f"the frame at {wanted[0]:.2f} s cannot be shown ({error})", "Look at the video itself at that moment"
            ) from error
    missing = [place.moment_s for place in places if place.time_s not in found]
    if missing:
        raise UnreadableMedia(path, f"the frame at {missing[0]:.2f} s cannot be decoded", "Look at the video itself at that moment")
    return [found[place.time_s] for place in places]


def _locate(video: OpenVideo, times_s: Sequence[float]) -> list[_Place]:
    places = [_Place(moment_s) for moment_s in times_s]
    latest_s = max(times_s, default=float("-inf"))
    before: Bookmark | None = None
    group: Bookmark | None = None
    group_s = 0.0
    groups_past = 0
    for timed in timed_packets(video):
        if timed.mark:
            before, group, group_s = group, timed.mark, timed.time_s
            groups_past += timed.time_s > latest_s + SAME_MOMENT_S
            if groups_past > 1:
                break
        if timed.packet.is_discard or group is None:
            continue
        for place in places:
            # Frames shown before their group's key frame need the group before as well.
            place.consider(timed.time_s, group if timed.time_s >= group_s or before is None else before)
    return places


def _decode(video: OpenVideo, group: Bookmark, wanted: list[float], max_side_px: int) -> dict[float, Frame]:
    """The frame of each wanted time, for frames of one group or those shown before the next group's key frame."""
    render = Renderer(video.stream.sample_aspect_ratio, long_side_px=max_side_px)
    pending = set(wanted)
    found: dict[float, Frame] = {}
    nearest: dict[float, tuple[float, VideoFrame]] = {}
    for time_s, frame in _frames(video, group):
        if time_s in pending:
            found[time_s] = Frame(time_s, render(frame))
            pending.remove(time_s)
            if not pending:
                break
        for moment_s in pending:
            if moment_s not in nearest or nearest[moment_s][0] < time_s < moment_s:
                nearest[moment_s] = (time_s, frame)
    for moment_s in pending & nearest.keys():
        time_s, frame = nearest[moment_s]
        found[moment_s] = Frame(time_s, render(frame))
    return found


def _frames(video: OpenVideo, group: Bookmark) -> Iterator[tuple[float, VideoFrame]]:
    """A group and the one after, decoded as in playing: the first frames of the latter may be shown before its key frame."""
    decoder = GroupDecoder(video)
    decoder.begin()
    groups = 0
    for piece in pieces(video, group):
        groups += piece.mark is not None
        if groups > 2:
            break
        yield from decoder.frames(piece.packets, complete=False)
    yield from decoder.frames((), complete=True)

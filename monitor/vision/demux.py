"""Packets of one video stream, each with a time, in groups of pictures; and how to come back to a group later.

*Time* is identity here: sampling names a frame by its time, and evidence stills are cut by that time from another
run over the file. So a packet's time depends on the file alone, not on how it was reached:

- seconds since the earliest of the stream's first presentation times (edited-out packets aside);
- a packet without a presentation time takes its decoding time, or else its number times the frame duration;
- where time jumps back by more than `RESTART_S` or on by more than `LEAP_S` (joined transport streams), it goes on
  from where it was.

Memory: packets of at most one piece are held, `PIECE_PACKETS` or `PIECE_BYTES`, whichever comes first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import TypeAlias

import av
from av.packet import Packet
from av.video.stream import VideoStream

from monitor.vision.container import OpenVideo, open_video

PIECE_PACKETS = 600
PIECE_BYTES = 64 * 1024**2
RESTART_S = 10.0
LEAP_S = 3600.0

HEAD_PACKETS = 64
HEAD_BYTES = 8 * 1024**2
READ_ERRORS = 8
SEEK_PACKETS = 5_000
DEFAULT_FRAME_S = 1 / 25

VideoPacket: TypeAlias = "Packet[VideoStream]"


@dataclass(frozen=True, slots=True)
class Clock:
    """The state, at one packet, of the clock that turns time stamps into seconds."""

    shift_s: float = 0.0
    newest_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Bookmark:
    """A packet to come back to: its number in the stream, what it is recognised by after a seek, and the clock there."""

    number: int
    pts: int
    dts: int | None
    position: int | None
    size: int
    clock: Clock


@dataclass(frozen=True, slots=True)
class TimedPacket:
    packet: VideoPacket
    pts: int
    time_s: float
    mark: Bookmark | None
    """Set where decoding may begin."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A group of pictures, or a part of a very long one, in decoding order.

    `mark`: the bookmark of the group's key packet; None where this piece continues the group of the one before.
    `complete`: the group ends with this piece. `end_s`: when the next group begins, or else the last time in this piece.
    """

    packets: tuple[TimedPacket, ...]
    mark: Bookmark | None
    complete: bool
    end_s: float

    @property
    def start_s(self) -> float:
        return self.packets[0].time_s


def pieces(video: OpenVideo, start: Bookmark | None = None) -> Iterator[Piece]:
    """The stream from `start` (or its beginning) to its readable end. Reading errors end it early; they are not raised."""
    held: list[TimedPacket] = []
    size = 0
    for timed in timed_packets(video, start):
        full = len(held) >= PIECE_PACKETS or size >= PIECE_BYTES
        if held and (timed.mark or full):
            complete = timed.mark is not None
            end_s = timed.time_s if complete else max(each.time_s for each in held)
            yield Piece(tuple(held), held[0].mark, complete, end_s)
            held, size = [], 0
        held.append(timed)
        size += timed.packet.size
    if held:
        yield Piece(tuple(held), held[0].mark, True, max(each.time_s for each in held))


def timed_packets(video: OpenVideo, start: Bookmark | None = None) -> Iterator[TimedPacket]:
    """The packets of the stream with their times, one by one where `pieces` groups them.

    The first one is always a place to begin, whatever its flag says.
    """
    packets = _packets(video)
    head = list(_head(packets))
    stamps = [stamp for packet in head if not packet.is_discard and (stamp := _stamp(packet)) is not None]
    timer = _Timer(video.stream, min(stamps, default=0))
    if start is None or start.number == 0:
        yield from _timed(_chain(head, packets), timer, 0, Clock())
        return
    found = _sought(video, start)
    if found is not None:
        yield from _timed(found, timer, start.number, start.clock)
        return
    with open_video(video.path) as again:
        yield from _timed(islice(_packets(again), start.number, None), timer, start.number, start.clock)


def _timed(packets: Iterator[VideoPacket], timer: _Timer, number: int, clock: Clock) -> Iterator[TimedPacket]:
    first = number
    for packet in packets:
        pts = timer.pts(packet, number)
        packet.pts = pts
        mark = Bookmark(number, pts, packet.dts, _position(packet), packet.size, clock) if packet.is_keyframe or number == first else None
        time_s, clock = timer.time(packet, pts, clock)
        yield TimedPacket(packet, pts, time_s, mark)
        number += 1


class _Timer:
    def __init__(self, stream: VideoStream, origin: int) -> None:
        self._tick_s = float(stream.time_base) if stream.time_base else DEFAULT_FRAME_S
        self._frame_s = float(1 / stream.average_rate) if stream.average_rate else DEFAULT_FRAME_S
        self._origin = origin

    def pts(self, packet: VideoPacket, number: int) -> int:
        stamp = _stamp(packet)
        return stamp if stamp is not None else round(number * self._frame_s / self._tick_s)

    def time(self, packet: VideoPacket, pts: int, clock: Clock) -> tuple[float, Clock]:
        time_s = (pts - self._origin) * self._tick_s + clock.shift_s
        if packet.is_discard:
            return time_s, clock
        if not clock.newest_s - RESTART_S <= time_s <= clock.newest_s + LEAP_S:
            clock = replace(clock, shift_s=clock.shift_s + clock.newest_s + self._frame_s - time_s)
            time_s = clock.newest_s + self._frame_s
        return time_s, (replace(clock, newest_s=time_s) if time_s > clock.newest_s else clock)


def _stamp(packet: VideoPacket) -> int | None:
    return packet.pts if packet.pts is not None else packet.dts


def _position(packet: VideoPacket) -> int | None:
    return packet.pos if packet.pos is not None and packet.pos >= 0 else None


def _packets(video: OpenVideo) -> Iterator[VideoPacket]:
    for _ in range(READ_ERRORS):
        try:
            for packet in video.container.demux(video.stream):
                if packet.size:
                    yield packet
            return
        except av.FFmpegError:
            continue


def _head(packets: Iterator[VideoPacket]) -> Iterator[VideoPacket]:
    size = 0
    for packet in islice(packets, HEAD_PACKETS):
        yield packet
        size += packet.size
        if size >= HEAD_BYTES:
            return


def _chain(head: list[VideoPacket], rest: Iterator[VideoPacket]) -> Iterator[VideoPacket]:
    """The packets of the head, each let go of as it is handed on, then the rest."""
    head.reverse()
    while head:
        yield head.pop()
    yield from rest


def _sought(video: OpenVideo, start: Bookmark) -> Iterator[VideoPacket] | None:
    """Packets from the bookmark on, reached by the container's own index; None where that does not lead there."""
    if start.position is None:
        return None
    try:
        video.container.seek(start.pts if start.dts is None else start.dts, stream=video.stream, backward=True)
    except (av.FFmpegError, OverflowError):
        return None
    packets = _packets(video)
    for packet in islice(packets, SEEK_PACKETS):
        if (_stamp(packet), _position(packet), packet.size) == (start.pts, start.position, start.size):
            return _chain([packet], packets)
    return None

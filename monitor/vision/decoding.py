"""Decoding stretches of a group of pictures. A packet that cannot be decoded costs its frames, nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import av
from av.video.frame import VideoFrame

from monitor.vision.container import OpenVideo
from monitor.vision.demux import TimedPacket, VideoPacket

LONGEST_B_RUN = 17
"""x264 and x265 put at most 16 frames in a row that no other frame refers to."""


class GroupDecoder:
    """Decodes one group of pictures at a time, from its key packet. Not thread-safe.

    `pixels` counts what was given to the decoder so far. `reason` is the decoder's last complaint, for the error where
    nothing could be decoded.
    """

    def __init__(self, video: OpenVideo) -> None:
        self._context = video.stream.codec_context
        self._times: dict[int, float] = {}
        self.pixels = 0
        self.reason = ""

    def begin(self, *, skip_unreferenced: bool = False) -> None:
        """Forget the group before; the next packet given is a key packet."""
        self._context.flush_buffers()
        self._times = {}
        self.skip_unreferenced(skip_unreferenced)

    def skip_unreferenced(self, skip: bool) -> None:
        """Set whether frames that no other frame refers to are left out, from the next packet on."""
        self._context.skip_frame = "NONREF" if skip else "DEFAULT"

    def key_frame(self, packet: TimedPacket) -> list[tuple[float, VideoFrame]]:
        """The frame of a key packet alone: [] or [(time_s, frame)]. Call `begin` before and after."""
        self._times[packet.pts] = packet.time_s
        return [*self._decode(packet.packet), *self._decode(None)]

    def frames(self, packets: Sequence[TimedPacket], *, complete: bool) -> Iterator[tuple[float, VideoFrame]]:
        """(time_s, frame) in display order, decoding only as far as the caller reads on.

        With `complete`, the frames the decoder holds back for reordering come out too; call `begin` after it.
        """
        self._times |= {each.pts: each.time_s for each in packets}
        for each in packets:
            yield from self._decode(each.packet)
        if complete:
            yield from self._decode(None)

    def _decode(self, packet: VideoPacket | None) -> list[tuple[float, VideoFrame]]:
        if packet is not None:
            self.pixels += self._context.width * self._context.height
        try:
            frames = self._context.decode(packet)
        except av.FFmpegError as error:
            self.reason = error.strerror or str(error)
            return []
        return [(self._times[frame.pts], frame) for frame in frames if frame.pts in self._times]


def may_skip_unreferenced(packets: Sequence[TimedPacket], gap_s: float) -> bool:
    """Whether leaving out frames that no other refers to still leaves one in every gap, for encoders as they are.

    Skipping them halves the work. An encoder may also mark more frames so than these ever do: check what came out.
    """
    times = [each.time_s for each in packets]
    return len(times) * gap_s >= LONGEST_B_RUN * (max(times) - min(times))

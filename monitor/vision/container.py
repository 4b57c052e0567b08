"""Opening a local video file, and only that.

FFmpeg can follow playlists, concatenation scripts, SDP descriptions and URLs into other files and the network.
Here it may not: the path is opened by the `file` protocol, no other protocol is allowed to anything opened in
turn, and only demuxers whose whole content lies in the one file are tried (no hls, dash, concat, image2, sdp).

Runs inside the sandbox. Nothing here reads further than the header and the first frames.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Discard, Disposition
from av.video.stream import VideoStream

from monitor.base import disk_errors
from monitor.base.errors import NotAVideo, NotFound, TooLarge, UnreadableMedia
from monitor.vision.display import ABSURD_ASPECT, MAX_PIXELS, display_size, quarter_turns

DEMUXERS = "mov,matroska,avi,flv,live_flv,mpegts,mpeg,mpegvideo,gif,ogg,asf,ivf,obu,h264,hevc,m4v,mxf,nut,yuv4mpegpipe"
OTHER_PICTURES = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
PROBE_PACKETS = 32


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What the file says of its picture. `width` and `height` are as displayed: turned, pixels square.

    `rotation_deg` is the clockwise turn (0, 90, 180, 270) the display applies to the coded picture.
    `duration_s` is what the container claims, or None where it claims nothing; it may be wrong.
    """

    container: str
    codec: str
    width: int
    height: int
    duration_s: float | None
    rotation_deg: int


@dataclass(frozen=True, slots=True)
class OpenVideo:
    path: Path
    container: InputContainer
    stream: VideoStream


@contextmanager
def open_video(path: Path, *, draft: bool = False) -> Iterator[OpenVideo]:
    """The file's main video stream, ready to demux and to decode on one thread; closed on exit.

    A `draft` leaves out the loop filter between key frames: a sixth less work, and pictures that differ by little
    (43 dB or more on real 720p seen at 360 lines, after 250 frames in a row).
    Raises `NotFound`; `NotAVideo` (a folder, nothing in it, sound only, a playlist or another format Sosie does not
    open); `UnreadableMedia` (damaged header, unknown codec, absurd shape); `TooLarge` (more than `MAX_PIXELS`).
    """
    with _open(path) as container:
        stream = _main_stream(path, container)
        for other in container.streams:
            if other.index != stream.index:
                other.discard = Discard.all
        context = stream.codec_context
        _check_size(path, context.width, context.height)
        context.thread_type = "NONE"
        context.thread_count = 1
        context.options = {"max_pixels": str(MAX_PIXELS), "skip_loop_filter": "nokey" if draft else "default"}
        yield OpenVideo(path, container, stream)


def probe(path: Path) -> VideoInfo:
    """Read the header and the first frame. Raises as `open_video` does; a file without a decodable frame is no error here."""
    with open_video(path) as video:
        stream, context = video.stream, video.stream.codec_context
        turns = _first_turn(video)
        width, height = display_size(context.width, context.height, stream.sample_aspect_ratio)
        if turns % 2:
            width, height = height, width
        return VideoInfo(video.container.format.name, context.codec.canonical_name, width, height, _duration_s(video), turns * 90)


def _open(path: Path) -> InputContainer:
    try:
        if path.is_dir():
            raise NotAVideo(path, "is a folder", "Name a file in it")
        if path.stat().st_size == 0:
            raise NotAVideo(path, "is empty (0 bytes)", "Fetch or export it again")
        return av.open(
            f"file:{path.absolute()}",
            mode="r",
            container_options={"format_whitelist": DEMUXERS, "protocol_whitelist": "file"},
            metadata_errors="replace",
        )
    except FileNotFoundError:
        raise NotFound(path, "no such file", "Check the path") from None
    except av.ArgumentError:
        raise NotAVideo(
            path,
            "is in a format Sosie does not open (a playlist, sound or a picture)",
            "Give an MP4, WebM, MKV, MOV, AVI, TS, FLV or GIF file",
        ) from None
    except av.FFmpegError as error:
        raise UnreadableMedia(
            path, f"its beginning is no video, or damaged ({error.strerror})", "Try to play it; fetch or export it again"
        ) from error
    except OSError as error:
        if not isinstance(error, PermissionError) and (named := disk_errors.named(error, path)) is not None:
            raise named from error
        raise UnreadableMedia(path, f"cannot be opened ({error.strerror})", "Check its permissions") from error


def _main_stream(path: Path, container: InputContainer) -> VideoStream:
    streams = [stream for stream in container.streams.video if not stream.disposition & OTHER_PICTURES]
    if not streams:
        reason = "holds sound only" if container.streams.audio else "holds no video track"
        raise NotAVideo(path, reason, "Give a file with moving pictures")
    best = container.streams.best("video")
    stream = best if best in streams else streams[0]
    if stream.codec_context is None:
        raise UnreadableMedia(path, "its codec is not known here", "Convert it to H.264 and try again")
    return stream


def _check_size(path: Path, width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise TooLarge(path, f"its pictures have {width}x{height} pixels, more than {MAX_PIXELS}", "Scale it down and try again")
    if width and height and max(width, height) > ABSURD_ASPECT * min(width, height):
        raise UnreadableMedia(path, f"its pictures measure {width}x{height}: strips, not pictures", "Check where the file comes from")


def _first_turn(video: OpenVideo) -> int:
    """The turn of the first frame, which is decoded for that, because the display matrix travels with decoded frames."""
    packets = video.container.demux(video.stream)
    try:
        for packet, _ in zip(packets, range(PROBE_PACKETS), strict=False):
            for frame in packet.decode():
                return quarter_turns(frame)
    except av.FFmpegError:
        pass
    return 0


def _duration_s(video: OpenVideo) -> float | None:
    stream = video.stream
    if stream.duration is not None and stream.time_base is not None:
        seconds = float(stream.duration * stream.time_base)
    elif video.container.duration is not None:
        seconds = video.container.duration / av.time_base
    else:
        return None
    return seconds if seconds > 0 else None

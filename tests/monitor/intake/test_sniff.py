"""Formats told by content: real files made by real encoders, heads by hand, and the malformed collection."""

from __future__ import annotations

import io
import wave
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from monitor.base.errors import NotAVideo, NotFound
from monitor.intake.sniff import HEAD_BYTES, Kind, Sniffed, require_video, sniff, sniff_bytes

VIDEOS = [
    ("mp4", "mpeg4", {}, "MP4"),
    ("mp4", "mpeg4", {"movflags": "frag_keyframe+empty_moov"}, "MP4"),
    ("mov", "mpeg4", {}, "MOV"),
    ("3gp", "mpeg4", {}, "3GP"),
    ("matroska", "mpeg4", {}, "Matroska"),
    ("webm", "libvpx", {}, "WebM"),
    ("avi", "mpeg4", {}, "AVI"),
    ("mpegts", "mpeg2video", {}, "MPEG-TS"),
    ("vob", "mpeg2video", {}, "MPEG-PS"),
    ("flv", "flv", {}, "FLV"),
    ("ogg", "libvpx", {}, "Ogg"),
    ("h264", "libx264", {}, "raw H.264"),
    ("hevc", "libx265", {"x265-params": "log-level=none"}, "raw HEVC"),
    ("gif", "gif", {}, "GIF"),
    ("asf", "mpeg4", {}, "WMV"),
    ("ivf", "libvpx", {}, "IVF"),
    ("yuv4mpegpipe", "wrapped_avframe", {}, "Y4M"),
]
SOUNDS = [
    ("ipod", "aac", "M4A sound file"),
    ("mp3", "libmp3lame", "MP3 sound file"),
    ("adts", "aac", "AAC sound file"),
    ("flac", "flac", "FLAC sound file"),
    ("ogg", "libopus", "Ogg sound file"),
    ("matroska", "libopus", "Matroska sound file"),
    ("webm", "libopus", "Matroska sound file"),
    ("aiff", "pcm_s16be", "AIFF sound file"),
]
PICTURES = ["JPEG", "PNG", "TIFF", "BMP", "WebP", "AVIF"]
HEADS = [
    (b"", "empty file", Kind.OTHER),
    (b"just words, with \xc3\xa9 and \n lines", "text file", Kind.OTHER),
    (b"\xff\xfeh\x00i\x00", "text file", Kind.OTHER),
    (b"a" * (HEAD_BYTES - 1) + b"\xc3", "text file", Kind.OTHER),
    (b"  <!DOCTYPE html><html>", "web page", Kind.OTHER),
    (b'<?xml version="1.0"?><svg xmlns="x">', "SVG picture", Kind.PICTURE),
    (b"%PDF-1.7\n", "PDF document", Kind.OTHER),
    (b"PK\x03\x04rest\x00", "ZIP archive", Kind.OTHER),
    (b"OggS" + bytes(24) + b"\x80theora", "Ogg", Kind.VIDEO),
    (b"OggS" + bytes(24) + b"\x01vorbis", "Ogg sound file", Kind.AUDIO),
    (b"\x00\x00\x00\x18styp" + b"msdh" + bytes(12), "fragmented MP4", Kind.VIDEO),
    (b"\x00\x00\x00\x18moof" + bytes(16), "fragmented MP4", Kind.VIDEO),
    (b"\x00\x00\x00\x08wide\x00\x01\x00\x00mdat", "MOV", Kind.VIDEO),
    (b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic", "HEIC picture", Kind.PICTURE),
    (b"\x00\x00\x00\x18ftypmif1\x00\x00\x00\x00mif1avif", "AVIF picture", Kind.PICTURE),
    (b"\x00\x00\x00\x04ftypheic", "unknown data", Kind.OTHER),
    (b"\x00\x00\x01\x00\x01\x00\x10\x10", "unknown data", Kind.OTHER),
    (bytes(1000), "unknown data", Kind.OTHER),
    (b"\x7fELF\x02\x01\x01", "unknown data", Kind.OTHER),
]


def encode(path: Path, container: str, codec: str, options: dict[str, str]) -> None:
    with av.open(str(path), "w", format=container, options=options if "movflags" in options else {}) as output:
        stream = output.add_stream(codec, rate=25, options={} if "movflags" in options else options)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height = 176, 144
        stream.pix_fmt = "rgb8" if codec == "gif" else "yuv420p"
        for shade in range(10):
            frame = av.VideoFrame.from_ndarray(np.full((144, 176, 3), shade * 20, np.uint8), format="rgb24")
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))


def encode_sound(path: Path, container: str, codec: str) -> None:
    rng = np.random.default_rng(1)
    with av.open(str(path), "w", format=container) as output:
        stream = output.add_stream(codec, rate=48000)
        assert isinstance(stream, av.AudioStream)
        stream.layout = "stereo"
        for _ in range(8):
            samples = rng.integers(-9000, 9000, (1, 2 * 4800), np.int16)
            frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="stereo")
            frame.rate = 48000
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))


@pytest.mark.parametrize(("container", "codec", "options", "name"), VIDEOS, ids=[f"{video[3]}-{len(video[2])}" for video in VIDEOS])
def test_videos_are_known_whatever_their_name(tmp_path: Path, container: str, codec: str, options: dict[str, str], name: str) -> None:
    path = tmp_path / "holiday.jpg"
    encode(path, container, codec, options)
    assert sniff(path) == require_video(path, "holiday") == Sniffed(Kind.VIDEO, name)


@pytest.mark.parametrize(("container", "codec", "name"), SOUNDS, ids=[f"{sound[0]}-{sound[1]}" for sound in SOUNDS])
def test_sounds_are_no_videos(tmp_path: Path, container: str, codec: str, name: str) -> None:
    path = tmp_path / "song.mp4"
    encode_sound(path, container, codec)
    assert sniff(path) == Sniffed(Kind.AUDIO, name)
    with pytest.raises(NotAVideo, match=f"this is an? {name}, not a video"):
        require_video(path, "song.mp4")


def test_a_wav_is_a_sound(tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "song.mp4"), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(100))
    assert sniff(tmp_path / "song.mp4") == Sniffed(Kind.AUDIO, "WAV sound file")


@pytest.mark.parametrize("format", PICTURES)
def test_pictures_are_sent_to_likeness_add(tmp_path: Path, format: str) -> None:
    path = tmp_path / "clip.mp4"
    buffer = io.BytesIO()
    Image.new("RGB", (32, 32)).save(buffer, format)
    path.write_bytes(buffer.getvalue())
    assert sniff(path) == Sniffed(Kind.PICTURE, f"{format} picture")
    with pytest.raises(NotAVideo) as caught:
        require_video(path, "https://clips.example/clip.mp4")
    assert caught.value.thing == "https://clips.example/clip.mp4"
    assert f"{format} picture, not a video" in str(caught.value)
    assert "`sosie likeness add NAME PICTURE`" in str(caught.value)


@pytest.mark.parametrize(("head", "name", "kind"), HEADS, ids=[f"{number}-{head[1]}" for number, head in enumerate(HEADS)])
def test_heads(head: bytes, name: str, kind: Kind) -> None:
    assert sniff_bytes(head) == Sniffed(kind, name)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the file is empty"),
        (b"<html><body>Sign in</body></html>", "this is a web page"),
        (b"words", "this is a text file"),
        (b"\x00\x01\x02 junk \xff\xfe" * 9, "no video format Sosie knows"),
    ],
)
def test_other_content_is_refused_in_words(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)
    with pytest.raises(NotAVideo, match=words) as caught:
        require_video(path, "clip.mp4")
    assert caught.value.next_step


def test_a_missing_file_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        require_video(tmp_path / "none.mp4", "none.mp4")


@given(st.one_of(st.binary(max_size=400), st.builds(lambda head, rest: head[0] + rest, st.sampled_from(HEADS), st.binary(max_size=64))))
def test_any_bytes_have_a_kind(head: bytes) -> None:
    assert sniff_bytes(head).name


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix not in (".csv", ".pem", ".der", ".cfg", ".crt"))


@pytest.mark.shared_data
def test_every_malformed_file_has_a_kind(shared: Path) -> None:
    kinds = {path.name: sniff(path) for path in _files(shared / "malformed") if path.suffix != ".csv"}
    assert len(kinds) == 93
    assert kinds["Pillow__truncated_jpeg.jpg"].kind is Kind.PICTURE
    assert kinds["c2pa-rs__nested_moov_1000.mp4"].kind is Kind.VIDEO
    assert kinds["fuzzing-corpus__12_systems.ogg"].kind is Kind.AUDIO
    assert kinds["fuzzing-corpus__481921.ogg"].kind is Kind.VIDEO
    assert kinds["fuzzing-corpus__new.avi"].name == "ZIP archive"
    assert kinds["sora-watermark-remover__01c3c7c2-d393-47e4-82c6-530da647b5cc.mp4"].name == "text file"


@pytest.mark.shared_data
def test_every_real_video_is_known(shared: Path) -> None:
    videos = [path for path in _files(shared / "videos") if path.suffix in (".mp4", ".mov", ".webm", ".mkv", ".avi")]
    assert videos
    assert {sniff(path).kind for path in videos} == {Kind.VIDEO}

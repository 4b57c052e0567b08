"""Opening: what is a video, what is not, and that nothing but the one local file is ever read."""

from __future__ import annotations

import shutil
import socket
import threading
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from monitor.base.errors import NotAVideo, NotFound, SosieError, UnreadableMedia
from monitor.intake.sandbox import Sandbox
from monitor.vision.frames import SampleOptions, probe, sample, stills
from tests.monitor.vision.footage import X264, film, numbered, write


class TestProbe:
    def test_says_what_the_file_is(self, tmp_path: Path) -> None:
        info = probe(film(tmp_path / "x.mp4", 50, options=X264))
        assert "mp4" in info.container
        assert (info.codec, info.width, info.height, info.duration_s, info.rotation_deg) == ("h264", 192, 128, 2.0, 0)

    def test_an_unknown_duration_is_none(self, tmp_path: Path) -> None:
        assert probe(film(tmp_path / "x.264", 10, options=X264, container="h264")).duration_s is None

    def test_size_is_as_displayed(self, tmp_path: Path) -> None:
        def anamorphic(stream: av.VideoStream) -> None:
            stream.codec_context.sample_aspect_ratio = Fraction(2, 1)
            stream.set_display_rotation(90)

        info = probe(film(tmp_path / "x.mp4", 5, options=X264, prepare=anamorphic))
        assert (info.width, info.height, info.rotation_deg) == (128, 384, 270)


class TestNotAVideo:
    def test_no_such_file(self, tmp_path: Path) -> None:
        with pytest.raises(NotFound):
            probe(tmp_path / "x.mp4")

    def test_a_folder(self, tmp_path: Path) -> None:
        with pytest.raises(NotAVideo, match="folder"):
            probe(tmp_path)

    def test_an_empty_file(self, tmp_path: Path) -> None:
        (tmp_path / "x.mp4").touch()
        with pytest.raises(NotAVideo, match="empty"):
            probe(tmp_path / "x.mp4")

    def test_sound_only(self, tmp_path: Path) -> None:
        with pytest.raises(NotAVideo, match="sound only"):
            probe(sound(tmp_path / "x.m4a"))

    def test_the_cover_of_a_sound_file_is_no_video(self, tmp_path: Path) -> None:
        with pytest.raises(NotAVideo, match="sound only"):
            probe(sound(tmp_path / "x.mp4", cover=True))

    def test_noise(self, tmp_path: Path) -> None:
        (tmp_path / "x.mp4").write_bytes(np.random.default_rng(0).bytes(5000))
        with pytest.raises((NotAVideo, UnreadableMedia)):
            probe(tmp_path / "x.mp4")


def sound(path: Path, *, cover: bool = False) -> Path:
    with av.open(str(path), "w") as out:
        stream = out.add_stream("aac", rate=44100)
        picture = out.add_stream("mjpeg", rate=1) if cover else None
        if picture is not None:
            picture.width, picture.height, picture.pix_fmt = 64, 64, "yuvj420p"
            picture.disposition = av.stream.Disposition.attached_pic
            out.mux(picture.encode(av.VideoFrame.from_ndarray(numbered(5, (64, 64))).reformat(format="yuvj420p")))
            out.mux(picture.encode(None))
        frame = av.AudioFrame(format="fltp", layout="stereo", samples=1024)
        frame.rate, frame.pts = 44100, 0
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


class Listener:
    """A loopback port that counts who comes."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self.visits = 0
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.visits += 1
            connection.close()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()


@pytest.fixture
def listener() -> Iterator[Listener]:
    listener = Listener()
    yield listener
    listener.close()


PLAYLISTS = {
    "hls": "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{url}/x.ts\n#EXT-X-ENDLIST\n",
    "hls-of-a-file": "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{file}\n#EXT-X-ENDLIST\n",
    "ffconcat": "ffconcat version 1.0\nfile '{file}'\n",
    "ffconcat-url": "ffconcat version 1.0\nfile '{url}/x.ts'\n",
    "dash": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" profiles="urn:mpeg:dash:profile:isoff-on-demand:2011" '
    'type="static"><Period><AdaptationSet><Representation id="1" bandwidth="1"><BaseURL>{url}/x.mp4</BaseURL></Representation>'
    "</AdaptationSet></Period></MPD>",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video {port} RTP/AVP 96\na=rtpmap:96 H264/90000\n",
    "rtsp-redirect": "[Reference]\nRef1={url}/x.asf\n",
}


class TestNothingElseIsOpened:
    @pytest.mark.parametrize("suffix", [".mp4", ".m3u8", ".ffconcat", ".mpd", ".sdp"])
    @pytest.mark.parametrize("kind", PLAYLISTS)
    def test_a_playlist_that_lies_leads_nowhere(self, tmp_path: Path, listener: Listener, kind: str, suffix: str) -> None:
        film(tmp_path / "real.ts", 10, options=X264)
        text = PLAYLISTS[kind].format(url=f"http://127.0.0.1:{listener.port}", file="real.ts", port=listener.port)
        path = tmp_path / f"x{suffix}"
        path.write_text(text)
        for attempt in (lambda: probe(path), lambda: sample(path, None, SampleOptions()), lambda: stills(path, [0.0], 64)):
            with pytest.raises((NotAVideo, UnreadableMedia)):
                attempt()
        assert listener.visits == 0

    @pytest.mark.parametrize("name", ["concat:real.mp4", "%d.mp4", "subfile,,start,0,end,9,,:real.mp4", "http:x.mp4", "-", "a b#?.mp4"])
    def test_a_name_is_only_a_name(self, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        real = film(tmp_path / "real.mp4", 10, options=X264)
        with pytest.raises(NotFound):
            probe(Path(name))
        shutil.copy(real, tmp_path / name)
        assert probe(Path(name)).width == 192


@pytest.mark.shared_data
class TestRealFiles:
    def test_every_video_is_sampled(self, shared: Path) -> None:
        videos = sorted(p for p in (shared / "videos").rglob("*") if p.suffix in (".mp4", ".mkv", ".gif"))
        assert videos
        for path in videos:
            info = probe(path)
            cursor, times = None, []
            while True:
                chunk = sample(path, cursor, SampleOptions(max_frames=16))
                times += [frame.time_s for frame in chunk.frames]
                assert all(frame.image.ndim == 3 and min(frame.image.shape[:2]) <= 360 for frame in chunk.frames)
                cursor = chunk.cursor
                if cursor is None:
                    break
            assert times[0] == pytest.approx(0, abs=0.1), path.name
            assert times == sorted(set(times)), path.name
            assert info.duration_s is None or times[-1] <= info.duration_s + 1.0, path.name

    def test_every_malformed_file_gives_an_error_or_frames(self, shared: Path) -> None:
        files = sorted(path for path in (shared / "malformed").iterdir() if path.suffix != ".csv")
        assert len(files) == 93
        with Sandbox(workers=1, memory_bytes=2 * 1024**3, timeout_s=60) as sandbox:
            outcomes = {path.name: outcome(sandbox, path) for path in files}
        assert {name: text for name, text in outcomes.items() if text in ("", "decoder_died", "decoder_timeout")} == {}


def outcome(sandbox: Sandbox, path: Path) -> str:
    try:
        chunk = sandbox.run(sample, path, None, SampleOptions(), source=path.name)
    except SosieError as error:
        return error.code
    return f"{len(chunk.frames)} frames" if chunk.frames else ""


def test_a_damaged_header_is_unreadable(tmp_path: Path) -> None:
    path = write(tmp_path / "x.mp4", [numbered(1)], options=X264)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UnreadableMedia, match=r"x\.mp4"):
        probe(path)

"""What a sample of a video is: sparse, gapless, without repetitions, resumable, bounded."""

from __future__ import annotations

import dataclasses
import os
import pickle
import re
import struct
from pathlib import Path

import numpy as np
import psutil
import pytest

from monitor.base.errors import NotAVideo, NotFound, TooLarge, UnreadableMedia
from monitor.vision.frames import Chunk, Frame, SampleOptions, sample
from monitor.vision.sampling import differ, fills, grey_thumbnail, thin
from tests.monitor.vision.footage import X264, film, number_in, numbered, write


def chunks(path: Path, options: SampleOptions) -> list[Chunk]:
    """All chunks; the cursor goes through pickle, as it does on its way out of the sandbox and back."""
    result = [sample(path, None, options)]
    while result[-1].cursor is not None:
        result.append(sample(path, pickle.loads(pickle.dumps(result[-1].cursor)), options))
        assert len(result) < 1000, "the cursor does not move"
    return result


def sampled(path: Path, options: SampleOptions = SampleOptions()) -> list[Frame]:  # noqa: B008
    return [frame for chunk in chunks(path, options) for frame in chunk.frames]


def largest_gap(frames: list[Frame], end_s: float) -> float:
    times = [frame.time_s for frame in frames] + [end_s]
    return float(np.diff(times).max())


KINDS = [
    pytest.param("x.mp4", {"options": X264 | {"g": "60"}}, id="h264-mp4"),
    pytest.param("x.mp4", {"options": X264 | {"g": "250"}}, id="h264-long-groups"),
    pytest.param("x.mp4", {"options": {"g": "1", "preset": "ultrafast"}}, id="h264-intra"),
    pytest.param("x.mkv", {"options": X264 | {"g": "60", "x264-params": "open-gop=1"}}, id="h264-mkv-open-gop"),
    pytest.param("x.264", {"options": X264 | {"g": "60"}, "container": "h264"}, id="h264-raw"),
    pytest.param("x.ts", {"options": X264 | {"g": "60"}}, id="h264-ts"),
    pytest.param("x.flv", {"options": X264 | {"g": "60"}}, id="h264-flv"),
    pytest.param(
        "x.mp4", {"options": X264 | {"g": "60"}, "container_options": {"movflags": "frag_keyframe+empty_moov"}}, id="h264-fragmented"
    ),
    pytest.param("x.avi", {"codec": "mpeg4", "options": {"g": "60", "bf": "2"}}, id="mpeg4-avi"),
    pytest.param("x.mov", {"codec": "mjpeg", "pix_fmt": "yuvj420p"}, id="mjpeg-mov"),
    pytest.param("x.gif", {"codec": "gif", "pix_fmt": "rgb8"}, id="gif"),
    pytest.param("x.webm", {"codec": "libvpx-vp9", "options": {"g": "60", "deadline": "realtime", "cpu-used": "8"}}, id="vp9-webm"),
    pytest.param(
        "x.mp4", {"codec": "libx265", "options": {"preset": "ultrafast", "x265-params": "keyint=60:log-level=none:pools=1"}}, id="hevc-mp4"
    ),
    pytest.param("x.mp4", {"codec": "libsvtav1", "options": {"preset": "12", "g": "60", "svtav1-params": "lp=1"}}, id="av1-mp4"),
]


@pytest.mark.parametrize(("name", "how"), KINDS)
class TestEveryContainerAndCodec:
    def test_no_gap_is_longer_than_asked_and_few_frames_are_looked_at(self, tmp_path: Path, name: str, how: dict[str, object]) -> None:
        path = film(tmp_path / name, 200, **how)
        found = sampled(path)
        assert found[0].time_s == 0
        assert largest_gap(found, 8.0) <= 1.0 + 0.2  # raw streams carry no times: theirs are right to a few frames
        assert len(found) <= 32
        assert [number_in(frame.image) for frame in found] == sorted({number_in(frame.image) for frame in found})

    def test_resuming_in_small_steps_gives_the_same_frames(self, tmp_path: Path, name: str, how: dict[str, object]) -> None:
        path = film(tmp_path / name, 200, **how)
        in_steps = chunks(path, SampleOptions(max_frames=2))
        assert all(len(chunk.frames) <= 2 for chunk in in_steps)
        stepped = [frame for chunk in in_steps for frame in chunk.frames]
        whole = sampled(path)
        assert [frame.time_s for frame in stepped] == [frame.time_s for frame in whole]
        assert all(np.array_equal(one.image, other.image) for one, other in zip(stepped, whole, strict=True))


def test_the_encoder_of_the_test_before_left_no_real_time_behind() -> None:
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


class TestTimes:
    def test_a_frame_carries_the_time_it_is_shown_at(self, tmp_path: Path) -> None:
        path = film(tmp_path / "x.mp4", 120, options=X264 | {"g": "40"})
        assert all(number_in(frame.image) == round(frame.time_s * 25) for frame in sampled(path))

    def test_times_begin_at_zero_wherever_the_container_begins(self, tmp_path: Path) -> None:
        path = film(tmp_path / "x.ts", 60, options=X264, ticks=lambda number: number + 10_000)
        assert sampled(path)[0].time_s == 0

    def test_variable_frame_rate(self, tmp_path: Path) -> None:
        def ticks(number: int) -> int:
            return number if number < 50 else 50 + (number - 50) * 75  # 25/s, then one frame every three seconds

        path = film(tmp_path / "x.mp4", 60, options=X264 | {"g": "250"}, ticks=ticks)
        found = sampled(path)
        assert [number_in(frame.image) for frame in found if frame.time_s > 2] == list(range(51, 60))
        assert largest_gap([frame for frame in found if frame.time_s <= 2], 2.0) <= 1.0

    def test_joined_streams_whose_clock_starts_again(self, tmp_path: Path) -> None:
        def ticks(number: int) -> int:
            return number + 5000

        first = film(tmp_path / "a.ts", 500, options=X264 | {"g": "50"}, ticks=ticks)
        joined = tmp_path / "x.ts"
        joined.write_bytes(first.read_bytes() * 2)
        found = sampled(joined, SampleOptions(max_frames=5))
        assert [frame.time_s for frame in found] == sorted(frame.time_s for frame in found)
        assert largest_gap(found, 39.0) <= 1.2

    def test_only_the_first_seconds_are_looked_at_and_the_result_says_so(self, tmp_path: Path) -> None:
        path = film(tmp_path / "x.mp4", 200, options=X264 | {"g": "60"})
        cut = chunks(path, SampleOptions(max_s=3.0))
        assert cut[-1].truncated_at_s == 3.0
        assert 2.0 <= cut[-1].frames[-1].time_s <= 3.0
        assert chunks(path, SampleOptions(max_s=8.0))[-1].truncated_at_s is None


class TestRepetition:
    def test_a_still_scene_gives_one_frame(self, tmp_path: Path) -> None:
        path = write(tmp_path / "x.mp4", (numbered(77) for _ in range(500)), options=X264 | {"g": "50"})
        assert [frame.time_s for frame in sampled(path, SampleOptions(max_frames=5))] == [0.0]

    def test_something_small_appearing_in_a_still_scene_is_kept(self, tmp_path: Path) -> None:
        """About the smallest face worth finding, in a quiet grey room."""

        def scene(number: int) -> np.ndarray:
            picture = np.full((360, 640, 3), 90, np.uint8)
            if number >= 100:
                picture[200:240, 300:340] = 140
            return picture

        path = write(tmp_path / "x.mp4", (scene(number) for number in range(200)), options={"preset": "ultrafast", "g": "50"})
        times = [frame.time_s for frame in sampled(path)]
        assert len(times) == 2
        assert times[1] == pytest.approx(4.0, abs=1.0)

    def test_noise_is_no_difference(self) -> None:
        rng = np.random.default_rng(0)
        still = np.full((360, 640, 3), 128, np.uint8)
        noisy = (still + rng.normal(0, 12, still.shape)).clip(0, 255).astype(np.uint8)
        assert not differ(grey_thumbnail(still), grey_thumbnail(noisy))


class TestSize:
    def test_the_short_side_is_bounded_and_nothing_is_scaled_up(self, tmp_path: Path) -> None:
        path = film(tmp_path / "x.mp4", 3, options=X264)
        assert sample(path, None, SampleOptions(short_side_px=64)).frames[0].image.shape == (64, 96, 3)
        assert sample(path, None, SampleOptions()).frames[0].image.shape == (128, 192, 3)

    def test_a_shape_that_is_no_picture_is_refused(self, tmp_path: Path) -> None:
        path = write(tmp_path / "x.mkv", [np.zeros((16, 4096, 3), np.uint8)], codec="ffv1", pix_fmt="bgr0")
        with pytest.raises(UnreadableMedia, match="4096x16"):
            sample(path, None, SampleOptions())

    def test_too_many_pixels_are_refused(self, tmp_path: Path) -> None:
        path = film(tmp_path / "x.avi", 2, codec="rawvideo", pix_fmt="bgr24")
        path.write_bytes(
            re.sub(rb"(?s)(strf.{8})\xc0\0\0\0.{4}", lambda found: found[1] + struct.pack("<ii", 9000, 9000), path.read_bytes())
        )
        with pytest.raises(TooLarge, match="9000x9000"):
            sample(path, None, SampleOptions())


class TestDamage:
    def test_damaged_packets_cost_only_themselves(self, tmp_path: Path) -> None:
        path = film(tmp_path / "x.mp4", 400, options=X264 | {"g": "50"})
        whole = sampled(path)
        data = bytearray(path.read_bytes())
        rng = np.random.default_rng(3)
        for start in range(len(data) // 3, len(data) // 2, 40):
            data[start : start + 20] = rng.bytes(20)
        path.write_bytes(data)
        found = sampled(path)
        undamaged = {frame.time_s: frame for frame in whole if frame.time_s < 4 or frame.time_s > 10}
        assert found[0].time_s == 0
        assert len(undamaged.keys() & {frame.time_s for frame in found}) >= len(undamaged) // 2

    def test_a_file_cut_short_gives_what_is_there(self, tmp_path: Path) -> None:
        path = film(tmp_path / "x.ts", 400, options=X264 | {"g": "50"})
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        found = sampled(path)
        assert 5 <= found[-1].time_s <= 11

    def test_no_decodable_frame_at_all(self, tmp_path: Path) -> None:
        path = film(tmp_path / "x.mp4", 10, options=X264)
        before, mark, after = path.read_bytes().partition(b"mdat")
        coded, _, header = after.partition(b"moov")
        path.write_bytes(before + mark + bytes(len(coded) - 4) + after[len(coded) - 4 :])
        assert header
        with pytest.raises(UnreadableMedia, match="not one of its frames"):
            sample(path, None, SampleOptions())


class TestLength:
    @pytest.mark.parametrize(("hours", "changes_every_s"), [(0.5, 15), pytest.param(3, 90, marks=pytest.mark.long)])
    def test_hours_in_bounded_memory(self, tmp_path: Path, hours: float, changes_every_s: int) -> None:
        length_s, first_s = round(hours * 3600), round(hours * 1200)

        def scene(second: int) -> np.ndarray:
            return numbered(second // changes_every_s, (64, 36))

        path = write(tmp_path / "x.mp4", (scene(second) for second in range(length_s)), rate=1, options={"preset": "ultrafast", "g": "50"})
        process = psutil.Process(os.getpid())
        sample(path, None, SampleOptions())
        before = process.memory_info().rss
        found = chunks(path, SampleOptions())
        grown = process.memory_info().rss - before
        kept = [frame for chunk in found for frame in chunk.frames]
        assert len(kept) == length_s // changes_every_s
        assert [number_in(frame.image) for frame in kept] == list(range(len(kept)))
        assert all(chunk.truncated_at_s is None for chunk in found)
        assert grown < 64 * 1024**2
        third = chunks(path, SampleOptions(max_s=first_s))
        assert third[-1].truncated_at_s == first_s
        assert sum(len(chunk.frames) for chunk in third) == pytest.approx(first_s // changes_every_s, abs=1)

    def test_one_group_of_pictures_longer_than_any_buffer(self, tmp_path: Path) -> None:
        path = film(tmp_path / "x.mp4", 2000, options=X264 | {"g": "99999", "sc_threshold": "0"})
        found = sampled(path, SampleOptions(max_frames=16))
        assert largest_gap(found, 79.96) <= 1.0 + 1e-6
        assert len(found) <= 90


class TestRefusals:
    def test_no_file(self, tmp_path: Path) -> None:
        with pytest.raises(NotFound):
            sample(tmp_path / "none.mp4", None, SampleOptions())

    def test_a_cursor_is_small_and_frozen(self, tmp_path: Path) -> None:
        path = film(tmp_path / "x.mp4", 100, options=X264)
        cursor = sample(path, None, SampleOptions(max_frames=1)).cursor
        assert cursor is not None
        assert len(pickle.dumps(cursor)) < 4000
        with pytest.raises(dataclasses.FrozenInstanceError):
            cursor.last_s = 0.0  # type: ignore[misc]


class TestThin:
    """The choice of frames, on plain numbers."""

    @pytest.mark.parametrize(("end_s", "gap_s", "expected"), [(1.0, 1.0, 0), (1.01, 1.0, 1), (2.0, 1.0, 1), (2.4, 1.0, 2), (0.0, 1.0, 0)])
    def test_fills(self, end_s: float, gap_s: float, expected: int) -> None:
        assert fills(0.0, end_s, gap_s) == expected

    def test_reads_no_further_than_needed(self) -> None:
        frames = iter([(number / 25, number) for number in range(60)])
        assert list(thin(frames, None, 2.4, 1.0, wants_first=True)) == [(0.0, 0), (0.8, 20), (1.6, 40)]
        assert next(frames) == (41 / 25, 41)

    def test_sparse_frames_are_all_taken(self) -> None:
        frames = [(float(second), second) for second in range(0, 20, 3)]
        assert list(thin(frames, 0.0, 21.0, 1.0, wants_first=False)) == frames[1:]

    def test_nothing_needed_reads_nothing(self) -> None:
        frames = iter([(0.5, 0)])
        assert list(thin(frames, 0.0, 1.0, 1.0, wants_first=False)) == []
        assert next(frames) == (0.5, 0)


def test_not_a_video_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "x.mp4").write_bytes(b"")
    with pytest.raises(NotAVideo, match=r"x\.mp4"):
        sample(tmp_path / "x.mp4", None, SampleOptions())

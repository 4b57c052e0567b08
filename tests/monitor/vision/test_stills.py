"""Evidence stills show the very frame that sampling saw, in full quality."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from monitor.base.errors import NotAVideo, UnreadableMedia
from monitor.vision.frames import SampleOptions, sample, stills
from tests.monitor.vision.footage import X264, film, number_in, write
from tests.monitor.vision.test_sampling import KINDS, sampled


def moving_picture(number: int) -> NDArray[np.uint8]:
    """Something that a codec has to work for, never the same twice."""
    rows, columns = np.indices((180, 320))
    waves = np.sin((columns + 3 * number) / 9) + np.cos((rows - 2 * number) / 7)
    return np.stack([(waves + 2) * 60, np.roll((waves + 2) * 60, number, 0), np.full_like(waves, (number * 7) % 256)], axis=2).astype(
        np.uint8
    )


def psnr_db(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    error = np.mean((one.astype(np.float64) - other) ** 2)
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


@pytest.mark.parametrize(("name", "how"), KINDS)
def test_the_same_frames_as_sampled(tmp_path: Path, name: str, how: dict[str, object]) -> None:
    path = film(tmp_path / name, 130, **how)
    seen = sampled(path)
    again = stills(path, [frame.time_s for frame in seen], 4096)
    assert [frame.time_s for frame in again] == [frame.time_s for frame in seen]
    assert [number_in(frame.image) for frame in again] == [number_in(frame.image) for frame in seen]


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("x.mp4", {"options": {"g": "250", "bf": "3", "preset": "fast"}}),
        ("x.mp4", {"options": {"g": "50", "bf": "3", "preset": "fast", "x264-params": "open-gop=1"}}),
        ("x.webm", {"codec": "libvpx-vp9", "options": {"g": "250", "deadline": "realtime", "cpu-used": "8", "b": "2M"}}),
        ("x.mp4", {"codec": "libx265", "options": {"preset": "ultrafast", "x265-params": "keyint=250:log-level=none:pools=1"}}),
    ],
    ids=["h264-long-groups", "h264-open-gop", "vp9", "hevc"],
)
def test_the_same_picture_as_the_source(tmp_path: Path, name: str, how: dict[str, object]) -> None:
    """Only the right frame comes close to the source's: its neighbours are far."""
    path = write(tmp_path / name, (moving_picture(number) for number in range(150)), **how)
    shown = stills(path, [frame.time_s for frame in sampled(path)], 4096)
    assert shown
    for frame in shown:
        number = round(frame.time_s * 25)
        assert psnr_db(frame.image, moving_picture(number)) > 26
        assert psnr_db(frame.image, moving_picture(number)) > psnr_db(frame.image, moving_picture(number + 1)) + 6


def test_sampled_pictures_differ_little_from_exact_ones(tmp_path: Path) -> None:
    """Sampling leaves out unreferenced frames and the loop filter; what it shows must still be that frame and no other."""
    path = write(tmp_path / "x.mp4", (moving_picture(number) for number in range(250)), options={"g": "250", "bf": "3"})
    seen = sampled(path)
    exact = stills(path, [frame.time_s for frame in seen], 4096)
    assert exact
    for one, other in zip(seen, exact, strict=True):
        neighbour = moving_picture(round(one.time_s * 25) + 1)
        assert psnr_db(one.image, other.image) > psnr_db(other.image, neighbour) + 3


def test_variable_frame_rate(tmp_path: Path) -> None:
    path = film(tmp_path / "x.mp4", 60, options=X264, ticks=lambda number: number * number)
    seen = sampled(path)
    assert [number_in(frame.image) for frame in stills(path, [frame.time_s for frame in seen], 512)] == [
        number_in(frame.image) for frame in seen
    ]


def test_joined_streams_whose_clock_starts_again(tmp_path: Path) -> None:
    first = film(tmp_path / "a.ts", 300, options=X264 | {"g": "50"}, ticks=lambda number: number + 5000)
    second = film(tmp_path / "b.ts", 300, options=X264 | {"g": "50"}, ticks=lambda number: number)
    joined = tmp_path / "x.ts"
    joined.write_bytes(first.read_bytes() + second.read_bytes())
    seen = sampled(joined)
    assert seen[-1].time_s > 20
    assert [number_in(frame.image) for frame in stills(joined, [frame.time_s for frame in seen], 512)] == [
        number_in(frame.image) for frame in seen
    ]


class TestMoments:
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        return film(tmp_path / "x.mp4", 100, options=X264 | {"g": "30"})

    def test_in_the_order_asked_repetitions_included(self, path: Path) -> None:
        assert [number_in(frame.image) for frame in stills(path, [2.0, 0.4, 2.0], 512)] == [50, 10, 50]

    def test_between_two_frames_the_one_on_screen(self, path: Path) -> None:
        assert [number_in(frame.image) for frame in stills(path, [1.03], 512)] == [25]

    def test_rounded_times_still_mean_the_same_frame(self, path: Path) -> None:
        assert [number_in(frame.image) for frame in stills(path, [1.16 - 4e-5, 1.16 + 4e-5], 512)] == [29, 29]

    def test_before_the_first_and_after_the_last(self, path: Path) -> None:
        assert [number_in(frame.image) for frame in stills(path, [-3.0, 500.0], 512)] == [0, 99]

    def test_every_single_frame_of_open_groups(self, tmp_path: Path) -> None:
        path = film(tmp_path / "x.mkv", 60, options=X264 | {"g": "12", "x264-params": "open-gop=1"})
        assert [number_in(frame.image) for frame in stills(path, [number / 25 for number in range(60)], 512)] == list(range(60))

    def test_none_asked(self, path: Path) -> None:
        assert stills(path, [], 512) == []

    def test_the_long_side_is_bounded(self, path: Path) -> None:
        assert stills(path, [0.0], 96)[0].image.shape == (64, 96, 3)
        assert stills(path, [0.0], 9000)[0].image.shape == (128, 192, 3)


def test_errors(tmp_path: Path) -> None:
    (tmp_path / "x.mp4").write_bytes(b"nothing of the kind")
    with pytest.raises((NotAVideo, UnreadableMedia)):
        stills(tmp_path / "x.mp4", [0.0], 512)


@pytest.mark.shared_data
def test_real_videos(shared: Path) -> None:
    videos = sorted((shared / "videos" / "faces_talking").glob("*.mp4"))[:4]
    assert videos
    for path in videos:
        seen = sample(path, None, SampleOptions(short_side_px=8192, max_frames=6)).frames
        exact = stills(path, [frame.time_s for frame in seen], 8192)
        assert [frame.time_s for frame in exact] == [frame.time_s for frame in seen]
        assert min(psnr_db(one.image, other.image) for one, other in zip(seen, exact, strict=True)) > 30, path.name

"""Films decode to the promised size and length, move, and survive being copied."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from monitor.cast.film import film, frames, recompress
from monitor.cast.people import person

Picture = np.ndarray


def decoded(path: Path) -> list[Picture]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("film") / "original.mp4"
    film(path, [person(4)], seconds=1.2, seed=1, size=(180, 320))
    return path


def test_size_length_rate_and_codec(original: Path) -> None:
    with av.open(str(original)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.width, stream.height, stream.average_rate) == ("h264", 320, 180, 25)
    assert len(decoded(original)) == 30


def test_a_seed_is_a_film(original: Path, tmp_path: Path) -> None:
    film(tmp_path / "again.mp4", [person(4)], seconds=1.2, seed=1, size=(180, 320))
    film(tmp_path / "other.mp4", [person(4)], seconds=1.2, seed=2, size=(180, 320))
    assert all(np.array_equal(a, b) for a, b in zip(decoded(original), decoded(tmp_path / "again.mp4"), strict=True))
    assert not np.array_equal(decoded(original)[0], decoded(tmp_path / "other.mp4")[0])


def test_people_move_and_scenes_are_cut() -> None:
    pictures = [picture.astype(int) for picture in frames([person(4)], seconds=4.8, seed=3, size=(90, 160), fps=10)]
    steps = [np.abs(a - b).mean() for a, b in pairwise(pictures)]
    assert min(steps) > 0
    assert np.argmax(steps) == 23
    assert max(steps) > 4 * np.median(steps)


def test_several_people_and_nobody() -> None:
    nobody, one, two = (
        next(frames(cast, seconds=1, seed=3, size=(180, 320), fps=25)) for cast in ([], [person(4)], [person(4), person(5)])
    )
    assert np.abs(nobody.astype(int) - one).mean() > 5
    assert np.abs(two.astype(int) - one).mean() > 5


def test_a_copy_is_smaller_captioned_and_still_the_same_film(original: Path, tmp_path: Path) -> None:
    recompress(original, tmp_path / "plain.mp4", crf=20)
    recompress(original, tmp_path / "copy.mp4", crf=38, scale=0.5, caption="look who is back", crop=0.05)
    plain, copy = decoded(tmp_path / "plain.mp4"), decoded(tmp_path / "copy.mp4")
    assert len(copy) == len(plain) == 30
    assert copy[0].shape == (80, 144, 3)
    assert (tmp_path / "copy.mp4").stat().st_size < (tmp_path / "plain.mp4").stat().st_size
    assert np.abs(plain[5].astype(int) - decoded(original)[5]).mean() < 4
    assert copy[0][-6:-1].mean() < 70 < plain[0][-6:-1].mean()


def test_a_mirrored_copy_is_mirrored(original: Path, tmp_path: Path) -> None:
    recompress(original, tmp_path / "mirrored.mp4", crf=18, mirror=True)
    mirrored, straight = decoded(tmp_path / "mirrored.mp4")[3][:, ::-1], decoded(original)[3]
    assert np.abs(mirrored.astype(int) - straight).mean() < 4


def test_letterbox_blackens_both_edges(tmp_path: Path) -> None:
    film(tmp_path / "wide.mp4", [person(4)], seconds=0.2, seed=1, size=(180, 320), letterbox=0.1)
    first = decoded(tmp_path / "wide.mp4")[0]
    assert max(first[:14].mean(), first[-14:].mean()) < 12
    assert first[40:140].mean() > 40


def test_what_cannot_be_read_is_not_copied(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no film")
    with pytest.raises(av.FFmpegError):
        recompress(tmp_path / "text.mp4", tmp_path / "copy.mp4", crf=30)

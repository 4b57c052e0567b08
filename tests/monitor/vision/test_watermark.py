"""The detector, with a mark made here on films of the cast, and with the real Sora overlay on real clips."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from monitor.vision.frames import Frame
from monitor.vision.watermark import SEEN, SIZES, Sighting, Template, Watch, mark_luma
from tests.clips import Picture
from tests.monitor.vision import marks
from tools import evaluate_watermarks as evaluation


def seen(frames: Sequence[Frame], *templates: Template, end_s: float = 5.0) -> tuple[Sighting, ...]:
    watch = Watch(templates or (marks.template(),))
    watch.look(frames)
    return watch.sightings(end_s)


def recompressed(pictures: Sequence[Picture], quality: int) -> list[Picture]:
    done = []
    for picture in pictures:
        data = io.BytesIO()
        Image.fromarray(picture).save(data, "JPEG", quality=quality)
        done.append(np.asarray(Image.open(data)))
    return done


@pytest.fixture(scope="module")
def scenes() -> list[Picture]:
    return marks.footage(10)


@pytest.mark.parametrize(
    ("size", "placing", "quality"),
    [
        pytest.param(0.14, marks.still, 75, id="where it stands still"),
        pytest.param(0.14, marks.moving, 75, id="where it moves"),
        pytest.param(0.14, marks.fading, 75, id="where it fades and is gone for a third of the time"),
        pytest.param(0.09, marks.moving, 75, id="where it is small"),
        pytest.param(0.28, marks.moving, 75, id="where it is large"),
        pytest.param(0.14, marks.moving, 20, id="where the picture is much compressed"),
    ],
)
def test_a_mark_is_seen(scenes: list[Picture], size: float, placing: marks.Placing, quality: int) -> None:
    (found,) = seen(marks.shown(recompressed(marks.marked(scenes, size=size, placing=placing), quality)))
    assert found.score >= 0.9
    assert found.shown_as == "Quill"
    x, y, opacity = placing(round(found.at_s / 0.5))
    left, top, right, bottom = found.box
    assert (left < x < right, top < y < bottom) == (True, True)
    assert opacity > 0.4, "the clearest moment is one at which it is there"
    assert found.ranges


def test_footage_without_it_or_with_another_one_gives_no_sighting(scenes: list[Picture]) -> None:
    for pictures in (scenes, marks.footage(6, seed=8), marks.marked(scenes, mark=marks.other_mark())):
        (found,) = seen(marks.shown(pictures))
        assert found.score < 0.2
        assert found.ranges == ()


def test_of_several_marks_only_the_one_that_is_there_is_seen_and_stands_first(scenes: list[Picture]) -> None:
    other = marks.template(marks.other_mark(), name="other", generator=None)
    first, second = seen(marks.shown(marks.marked(scenes)), other, marks.template())
    assert (first.name, first.score >= SEEN) == ("quill", True)
    assert (second.shown_as, second.score >= SEEN) == ("other", False)


def test_ranges_say_when_it_is_there(scenes: list[Picture]) -> None:
    (found,) = seen(marks.shown([*marks.marked(scenes[:6]), *scenes[6:]]))
    assert found.ranges == ((0.0, 3.0),)


def test_one_frame_of_many_is_no_sighting_and_one_frame_alone_can_be(scenes: list[Picture]) -> None:
    (lucky,) = seen(marks.shown([*marks.marked(scenes[:1]), *scenes[1:]]))
    assert lucky.score < SEEN
    (alone,) = seen(marks.shown(marks.marked(scenes[:1])))
    assert alone.score >= SEEN


def test_what_is_seen_adds_up_over_chunks(scenes: list[Picture]) -> None:
    frames = marks.shown(marks.marked(scenes, placing=marks.moving))
    watch = Watch([marks.template()])
    for start in range(0, len(frames), 3):
        watch.look(frames[start : start + 3])
        watch.look(())
    (found,) = watch.sightings(5.0)
    assert found.score >= 0.9
    assert found.ranges[0][0] == 0.0


def test_still_pictures_of_one_colour_tiny_ones_and_none_are_no_sighting() -> None:
    assert seen(()) == ()
    assert Watch(()).sightings(1.0) == ()
    for side in ((360, 640), (16, 24), (2, 2)):
        for level in (0, 128, 255):
            (found,) = seen([Frame(0.0, np.full((*side, 3), level, np.uint8))])
            assert (found.score < 0.1, found.ranges) == (True, ())


def test_equal_frames_give_equal_sightings(scenes: list[Picture]) -> None:
    frames = marks.shown(marks.marked(scenes))
    first, again = seen(frames), seen(marks.shown(marks.marked(scenes)))
    assert first
    assert again == first


def test_a_sighting_survives_json_and_nothing_else_passes_for_one(scenes: list[Picture]) -> None:
    (found,) = seen(marks.shown(marks.marked(scenes[:3])))
    assert Sighting.from_json(found.to_json()) == found
    assert Sighting.from_json(replace(found, generator=None).to_json()).generator is None
    for broken in ({"name": "x"}, found.to_json() | {"box": [1, 2]}, found.to_json() | {"score": "high"}):
        with pytest.raises((KeyError, TypeError, ValueError)):
            Sighting.from_json(broken)


def test_a_mark_on_transparency_is_cut_to_its_extent_and_a_dark_one_lies_on_light() -> None:
    wide = np.zeros((300, 500, 4), np.uint8)
    wide[100:160, 200:370] = marks.made_mark()
    assert mark_luma(wide).shape[0] < 90
    assert mark_luma(wide)[0, 0] < 100
    dark = marks.made_mark()
    dark[..., :3] = 0
    assert mark_luma(dark)[0, 0] > 150


@pytest.mark.parametrize(
    ("picture", "reason"),
    [
        (np.zeros((40, 40, 4), np.uint8), "is wholly transparent"),
        (np.full((40, 40, 4), 255, np.uint8), "shows nothing"),
        (np.dstack((np.zeros((8, 40, 3), np.uint8), np.full((8, 40), 255, np.uint8))), "shows a mark of 40x8 pixels"),
    ],
)
def test_a_picture_that_shows_no_mark_is_refused_with_what_is_wrong(picture: Picture, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        mark_luma(picture)


def test_the_sizes_promised_are_those_searched(scenes: list[Picture]) -> None:
    for size in (SIZES[0] * 1.05, SIZES[1] * 0.9):
        (found,) = seen(marks.shown(marks.marked(scenes, size=size)))
        assert found.score >= SEEN, size


@pytest.mark.shared_data
@pytest.mark.parametrize(
    "names", [("d12.mp4",), pytest.param(("d12.mp4", "634.mp4", "short_hamilton_clip.mp4"), marks=pytest.mark.long)], ids=len
)
def test_the_real_sora_overlay_is_seen_on_real_clips_and_not_without_it(shared: Path, tmp_path: Path, names: tuple[str, ...]) -> None:
    template = evaluation.sora_template(shared)
    clips = [clip for clip in evaluation.unmarked(shared) if clip.name.endswith(names)]
    assert len(clips) == len(names)
    for clip in clips:
        pictures = evaluation.excerpt(clip, 5.0)
        for treatment, expected in (
            (evaluation.Treatment("", crf=30), True),
            (evaluation.Treatment("", crf=38, size=0.8, crop=0.03), True),
            (evaluation.Treatment("", crf=30, mark="none"), False),
        ):
            target = tmp_path / "treated.mp4"
            evaluation.encode(target, evaluation.treated(pictures, treatment, shared), treatment.crf)
            assert (evaluation.scores(target, template)[0] >= SEEN) is expected, (clip.name, treatment)


@pytest.mark.shared_data
def test_real_marked_frames_are_seen(shared: Path) -> None:
    files = list((shared / "videos" / "sora_frames").glob("*.jpg"))
    assert files
    for file in files:
        picture = cv2.cvtColor(cv2.imread(str(file)), cv2.COLOR_BGR2RGB)
        (found,) = seen([Frame(0.0, np.asarray(picture, np.uint8))], evaluation.sora_template(shared))
        assert found.score >= SEEN, file.name

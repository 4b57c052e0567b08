"""What any face detector must do, run against each of ours; and the crop an encoder sees."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from monitor.base.errors import ModelError
from monitor.cast.drawing import face_box, portrait
from monitor.cast.people import person
from monitor.cast.shot import Shot
from monitor.vision.detectors import load_detector
from monitor.vision.faces import Detector, Face, face_crop

Picture = NDArray[np.uint8]


@pytest.fixture(scope="module", params=["mtcnn", pytest.param("yunet", marks=pytest.mark.shared_data)])
def detector(request: pytest.FixtureRequest, shared: Path) -> Detector:
    return load_detector("mtcnn" if request.param == "mtcnn" else shared / "models" / "yunet_n_dynamic.onnx")


def picture(seed: int = 0, size: tuple[int, int] = (360, 360), **shot: float) -> Picture:
    return portrait(person(seed), Shot(place=seed, **shot), size)  # type: ignore[arg-type]


class TestAnyDetector:
    def test_finds_the_face_where_it_was_drawn(self, detector: Detector) -> None:
        seeds = range(100, 112)
        for seed, faces in zip(seeds, detector.detect([picture(seed) for seed in seeds]), strict=True):
            assert len(faces) == 1, f"person {seed}"
            assert overlap(faces[0].box, face_box(person(seed), Shot(place=seed))) > 0.4, f"person {seed}"

    def test_names_landmarks_in_the_order_they_are_seen(self, detector: Detector) -> None:
        ((face,),) = detector.detect([picture(7)])
        left_eye, right_eye, nose, left_mouth, right_mouth = face.landmarks
        assert face.landmarks.shape == (5, 2)
        assert face.landmarks.dtype == np.float32
        assert left_eye[0] < nose[0] < right_eye[0]
        assert left_mouth[0] < nose[0] < right_mouth[0]
        assert max(left_eye[1], right_eye[1]) < nose[1] < min(left_mouth[1], right_mouth[1])

    def test_keeps_boxes_inside_the_picture(self, detector: Detector) -> None:
        cut = [picture(seed)[60:, 110:280] for seed in range(6)]
        found = detector.detect(cut)
        assert any(found)
        for image, faces in zip(cut, found, strict=True):
            for face in faces:
                x0, y0, x1, y1 = face.box
                assert 0 <= x0 < x1 <= image.shape[1]
                assert 0 <= y0 < y1 <= image.shape[0]
                assert 0 < face.confidence <= 1

    def test_finds_nobody_in_blank_and_noisy_pictures(self, detector: Detector) -> None:
        rng = np.random.default_rng(3)
        blank = [np.full((240, 320, 3), grey, dtype=np.uint8) for grey in (0, 127, 255)]
        noise = [rng.integers(0, 256, (240, 320, 3), dtype=np.uint8) for _ in range(4)]
        assert detector.detect(blank + noise) == [[]] * 7

    def test_answers_in_order_whatever_the_sizes(self, detector: Detector) -> None:
        images = [picture(1), picture(2, (240, 426)), np.zeros((240, 426, 3), np.uint8), picture(3, (200, 150)), picture(4)]
        together = detector.detect(images)
        alone = [detector.detect([image])[0] for image in images]
        assert [len(faces) for faces in together] == [1, 1, 0, 1, 1]
        for one, other in zip(together, alone, strict=True):
            assert np.allclose([face.box for face in one], [face.box for face in other], atol=0.1)

    def test_gives_the_same_faces_every_time(self, detector: Detector) -> None:
        image = picture(5)
        ((first,), (second,)) = detector.detect([image, image.copy()])
        assert first.box == second.box
        assert first.landmarks.tolist() == second.landmarks.tolist()

    @pytest.mark.parametrize("size", [(1, 1), (1, 400), (5, 7), (19, 19), (20, 20), (21, 900)])
    def test_survives_tiny_and_thin_pictures(self, detector: Detector, size: tuple[int, int]) -> None:
        assert detector.detect([np.full((*size, 3), 90, dtype=np.uint8)]) == [[]]

    def test_takes_no_pictures(self, detector: Detector) -> None:
        assert detector.detect([]) == []

    def test_puts_the_largest_face_first(self, detector: Detector) -> None:
        scene = np.concatenate([picture(1, scale=0.1), picture(2, scale=0.2)], axis=1)
        ((first, second),) = detector.detect([scene])
        assert first.height_px > 1.5 * second.height_px
        assert first.box[0] > 360 > second.box[2]

    def test_finds_a_face_that_fills_a_large_picture(self, detector: Detector) -> None:
        large = np.asarray(cv2.resize(picture(8, scale=0.3), (1800, 1800), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)
        ((face,),) = detector.detect([large])
        assert face.height_px > 700

    def test_leaves_the_picture_alone_and_takes_views(self, detector: Detector) -> None:
        image = picture(9)
        before = image.copy()
        image.flags.writeable = False
        ((face,),) = detector.detect([image])
        ((mirrored,),) = detector.detect([image[:, ::-1]])
        assert (image == before).all()
        assert mirrored.box[0] == pytest.approx(360 - face.box[2], abs=15)

    def test_names_its_weights(self, detector: Detector) -> None:
        kind, version, sha256 = detector.id.split()[:3]
        assert kind in ("mtcnn", "yunet")
        assert version
        assert len(sha256) == 64


class TestLoadingYuNet:
    def test_says_how_to_get_the_file_if_it_is_something_else(self, tmp_path: Path) -> None:
        file = tmp_path / "face.onnx"
        file.write_bytes(b"this is not a network" * 100)
        with pytest.raises(ModelError, match=r"not a YuNet face detector.*face_detection_yunet_2023mar.onnx") as caught:
            load_detector(file)
        assert caught.value.thing == str(file)

    def test_says_so_if_there_is_no_file(self, tmp_path: Path) -> None:
        with pytest.raises(ModelError, match="No such file"):
            load_detector(tmp_path / "none.onnx")

    @pytest.mark.shared_data
    def test_refuses_another_network(self, shared: Path) -> None:
        with pytest.raises(ModelError, match="not a YuNet"):
            load_detector(shared / "models" / "mobilefacenet_foamliu.onnx")


class TestFaceCrop:
    def test_is_the_widened_square_around_the_face(self) -> None:
        image = np.arange(100 * 200 * 3, dtype=np.uint32).reshape(100, 200, 3).astype(np.uint8)
        assert (face_crop(image, face_at(80, 40, 100, 60), margin=0.25) == image[35:65, 75:105]).all()

    def test_takes_the_longer_side(self) -> None:
        image = np.zeros((100, 200, 3), dtype=np.uint8)
        assert face_crop(image, face_at(80, 20, 90, 60), margin=0.0).shape == (40, 40, 3)

    def test_repeats_the_edge_beyond_the_picture(self) -> None:
        image = np.zeros((50, 50, 3), dtype=np.uint8)
        image[:, 0] = 200
        crop = face_crop(image, face_at(0, 10, 20, 30), margin=0.5)
        assert crop.shape == (40, 40, 3)
        assert (crop[:, :11] == 200).all()
        assert (crop[:, 11:] == 0).all()


def face_at(x0: float, y0: float, x1: float, y1: float) -> Face:
    return Face((x0, y0, x1, y1), np.zeros((5, 2), dtype=np.float32), 1.0)


def overlap(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> float:
    """Intersection over union."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(0.0, width) * max(0.0, height)
    return shared / (sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)) - shared)

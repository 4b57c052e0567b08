"""Faces to vectors: alignment, scaling, batches, and files that are no face encoder."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from monitor.base.errors import ModelError
from monitor.vision.alignment import TEMPLATE, align, similarity
from monitor.vision.detectors import load_detector
from monitor.vision.face_encoder import load_face_encoder
from monitor.vision.faces import Face
from monitor.vision.pictures import decode_picture
from tests.monitor.vision.onnx_file import write_mean_encoder

Points = NDArray[np.float64]


def turned(degrees: float, scale: float, shift: tuple[float, float]) -> Points:
    """The template's points as they would lie in some picture."""
    turn = np.radians(degrees)
    matrix = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return TEMPLATE @ matrix.T + np.array(shift)


def a_face(landmarks: Points = TEMPLATE) -> Face:
    return Face((0.0, 0.0, 112.0, 112.0), landmarks.astype(np.float32), 0.99)


def plain(red: int, green: int, blue: int) -> NDArray[np.uint8]:
    return np.full((112, 112, 3), (red, green, blue), dtype=np.uint8)


class TestAlignment:
    @pytest.mark.parametrize("degrees", [0, 25, -80, 175])
    @pytest.mark.parametrize("scale", [0.3, 1.0, 6.0])
    def test_undoes_any_turn_scale_and_shift(self, degrees: float, scale: float) -> None:
        points = turned(degrees, scale, (40.0, -7.0))
        matrix = similarity(points)
        assert np.allclose(points @ matrix[:, :2].T + matrix[:, 2], TEMPLATE, atol=1e-6)

    def test_never_mirrors(self) -> None:
        mirrored = TEMPLATE * (-1.0, 1.0)
        assert np.linalg.det(similarity(mirrored)[:, :2]) > 0

    def test_is_the_least_squares_answer(self) -> None:
        rng = np.random.default_rng(1)
        points = turned(12, 2.0, (5.0, 9.0)) + rng.normal(0, 3, (5, 2))
        matrix = similarity(points)

        def error(moved: Points) -> float:
            return float(((points @ moved[:, :2].T + moved[:, 2] - TEMPLATE) ** 2).sum())

        best = error(matrix)
        for _ in range(200):
            a, b, x, y = rng.normal(0, 0.01, 4)
            assert error(matrix + np.array([[a, -b, x], [b, a, y]])) >= best

    def test_survives_landmarks_that_are_one_point(self) -> None:
        assert align(plain(9, 9, 9), np.full((5, 2), 30.0)).shape == (112, 112, 3)

    def test_a_face_looks_alike_in_a_large_and_a_small_picture(self) -> None:
        rng = np.random.default_rng(4)
        large = np.asarray(cv2.GaussianBlur(rng.integers(0, 256, (1200, 1200, 3), dtype=np.uint8), (0, 0), 6), dtype=np.uint8)
        large = np.asarray(cv2.normalize(large, None, 0, 255, cv2.NORM_MINMAX), dtype=np.uint8)  # type: ignore[call-overload]
        small = np.asarray(cv2.resize(large, (240, 240), interpolation=cv2.INTER_AREA), dtype=np.uint8)
        points = turned(10, 8.0, (100.0, 100.0))
        one, other = align(large, points), align(small, (points + 0.5) / 5 - 0.5)
        assert np.abs(one.astype(int) - other.astype(int)).mean() < 6


class TestEncoding:
    def test_gives_unit_rows_whatever_the_batch(self, tmp_path: Path) -> None:
        rng = np.random.default_rng(0)
        images = [rng.integers(0, 256, (140, 150, 3), dtype=np.uint8) for _ in range(70)]
        faces = [a_face()] * 70
        one = load_face_encoder(write_mean_encoder(tmp_path / "one.onnx", batch=1)).encode(images, faces)
        open_ended = load_face_encoder(write_mean_encoder(tmp_path / "open.onnx", batch="n")).encode(images, faces)
        assert one.shape == (70, 3)
        assert one.dtype == np.float32
        assert np.linalg.norm(one, axis=1) == pytest.approx(np.ones(70), abs=1e-5)
        assert np.allclose(one, open_ended, atol=1e-5)

    def test_gives_no_rows_for_no_faces(self, tmp_path: Path) -> None:
        assert load_face_encoder(write_mean_encoder(tmp_path / "m.onnx")).encode([], []).shape == (0, 3)

    def test_wants_a_picture_per_face(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="shorter"):
            load_face_encoder(write_mean_encoder(tmp_path / "m.onnx")).encode([plain(0, 0, 0)], [])

    def test_scales_pixels_like_insightface_unless_told(self, tmp_path: Path) -> None:
        row = load_face_encoder(write_mean_encoder(tmp_path / "m.onnx")).encode([plain(255, 0, 0)], [a_face()])[0]
        assert row == pytest.approx(np.array([1, -1, -1]) / np.sqrt(3), abs=1e-4)

    def test_scales_pixels_as_the_sidecar_says(self, tmp_path: Path) -> None:
        file = write_mean_encoder(tmp_path / "m.onnx")
        file.with_suffix(".json").write_text(json.dumps({"mean": [0, 0, 0], "std": [1, 1, 2], "channel_order": "bgr"}))
        row = load_face_encoder(file).encode([plain(80, 0, 30)], [a_face()])[0]
        assert row == pytest.approx(np.array([30, 0, 40]) / 50, abs=1e-4)

    def test_tells_scalings_apart_in_its_space(self, tmp_path: Path) -> None:
        file = write_mean_encoder(tmp_path / "m.onnx")
        before = load_face_encoder(file).space
        file.with_suffix(".json").write_text(json.dumps({"mean": [0, 0, 0], "std": [255, 255, 255]}))
        after = load_face_encoder(file).space
        assert before.weights_sha256 == after.weights_sha256
        assert before.id != after.id
        assert (after.model, after.dim) == ("m", 3)


class TestRefusing:
    @pytest.mark.parametrize(
        ("sidecar", "reason"),
        [
            ("{", "does not tell how to scale"),
            ("[]", "does not tell how to scale"),
            ('{"mean": [1, 2, 3]}', "the key 'std' is missing"),
            ('{"mean": [127.5], "std": [1]}', "does not tell how to scale"),
            ('{"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}', "multiply both by 255"),
            ('{"mean": [0, 0, 0], "std": [0, 1, 1]}', "std is not positive"),
            ('{"mean": [0, 0, 0], "std": [1, 1, 1], "channel_order": "gbr"}', "neither rgb nor bgr"),
        ],
    )
    def test_a_sidecar_that_makes_no_sense(self, tmp_path: Path, sidecar: str, reason: str) -> None:
        file = write_mean_encoder(tmp_path / "m.onnx")
        file.with_suffix(".json").write_text(sidecar)
        with pytest.raises(ModelError, match=reason) as caught:
            load_face_encoder(file)
        assert caught.value.thing.endswith("m.json")

    def test_a_network_for_other_pictures(self, tmp_path: Path) -> None:
        with pytest.raises(ModelError, match=r"\[1, 3, 96, 96\].*112"):
            load_face_encoder(write_mean_encoder(tmp_path / "m.onnx", side_px=96))

    def test_a_batch_it_cannot_fill(self, tmp_path: Path) -> None:
        with pytest.raises(ModelError, match="exactly 4 faces"):
            load_face_encoder(write_mean_encoder(tmp_path / "m.onnx", batch=4))

    def test_a_file_that_is_no_network(self, tmp_path: Path) -> None:
        file = tmp_path / "m.onnx"
        file.write_bytes(b"\x08\x01 not a network")
        with pytest.raises(ModelError, match="does not run as a face encoder"):
            load_face_encoder(file)

    def test_no_file(self, tmp_path: Path) -> None:
        with pytest.raises(ModelError, match="No such file"):
            load_face_encoder(tmp_path / "m.onnx")


@pytest.mark.shared_data
@pytest.mark.parametrize("setting", ["mtcnn", "yunet"])
def test_tells_people_apart(shared: Path, setting: str) -> None:
    """ROC-AUC over all pairs of 30 people's press pictures; measured 0.997 (MTCNN) and 0.999 (YuNet) on all 430."""
    detector = load_detector("mtcnn" if setting == "mtcnn" else shared / "models" / "yunet_n_dynamic.onnx")
    encoder = load_face_encoder(shared / "models" / "mobilefacenet_foamliu.onnx")
    people = sorted(folder for folder in (shared / "faces").iterdir() if folder.is_dir())[:30]
    paths = [path for folder in people for path in sorted(folder.glob("*.jpg"))[:4]]
    images = [decode_picture(path) for path in paths]
    faces = [found[0] for found in detector.detect(images)]
    vectors = encoder.encode(images, faces)
    names = np.array([path.parent.name for path in paths])
    pairs = np.triu_indices(len(paths), 1)
    scores, same = (vectors @ vectors.T)[pairs], (names[:, None] == names)[pairs]
    ranks = scores.argsort().argsort() + 1
    wins = ranks[same].sum() - same.sum() * (same.sum() + 1) / 2
    assert encoder.space.dim == 128
    assert '"mean":[123.675' in encoder.space.preprocessing, "the shared file is known, and scaled as it was trained"
    assert wins / (same.sum() * (~same).sum()) >= 0.99

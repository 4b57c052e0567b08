"""Pictures from outside: every honest kind is shown right, every other one is refused in words."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from monitor.base.errors import NotFound, SosieError, TooLarge, UnreadableMedia
from monitor.vision.pictures import decode_picture, jpeg_bytes
from tests.monitor.vision.footage import X264, film

PHOTO = np.dstack(np.meshgrid(np.linspace(0, 255, 90), np.linspace(255, 0, 60))).astype(np.uint8)
PHOTO = np.dstack([PHOTO, np.full((60, 90), 128, np.uint8)])


def saved(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)
    return path


def close(one: np.ndarray, other: np.ndarray, tolerance: float = 6.0) -> bool:
    return one.shape == other.shape and bool(np.abs(one.astype(int) - other).mean() < tolerance)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tiff", ".bmp", ".avif"])
def test_photographs_of_every_format(tmp_path: Path, suffix: str) -> None:
    picture = decode_picture(saved(tmp_path / f"x{suffix}", Image.fromarray(PHOTO)))
    assert picture.dtype == np.uint8
    assert close(picture, PHOTO)


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = saved(tmp_path / "x.jpg", Image.fromarray(PHOTO), exif=exif, quality=95)
    assert close(decode_picture(path), np.rot90(PHOTO, -1))


def test_transparency_lies_on_white(tmp_path: Path) -> None:
    layer = np.dstack([PHOTO, np.zeros((60, 90), np.uint8)])
    layer[:, 45:, 3] = 255
    picture = decode_picture(saved(tmp_path / "x.png", Image.fromarray(layer, "RGBA")))
    assert (picture[:, :45] == 255).all()
    assert (picture[:, 45:] == PHOTO[:, 45:]).all()


def test_a_palette_with_a_transparent_colour(tmp_path: Path) -> None:
    indexed = Image.fromarray(np.repeat([[0, 1]], 8, axis=0).astype(np.uint8), "P")
    indexed.putpalette([10, 20, 30, 200, 100, 50])
    picture = decode_picture(saved(tmp_path / "x.png", indexed, transparency=0))
    assert picture[0].tolist() == [[255, 255, 255], [200, 100, 50]]


def test_grey_of_sixteen_bits_keeps_its_range(tmp_path: Path) -> None:
    grey = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    for name in ("x.png", "x.tiff"):
        picture = decode_picture(saved(tmp_path / name, Image.fromarray(grey)))
        assert picture[0, 0].tolist() == [0, 0, 0]
        assert picture[-1, -1].tolist() == [255, 255, 255]
        assert np.abs(picture[..., 0].astype(int) - (grey >> 8)).max() <= 1


@pytest.mark.parametrize("mode", ["CMYK", "L", "1", "LA", "YCbCr", "LAB"])
def test_other_colour_models(tmp_path: Path, mode: str) -> None:
    image = Image.fromarray(PHOTO).convert("RGB")
    if mode == "LAB":
        image = Image.new("LAB", (90, 60), (128, 0, 0))
    path = saved(tmp_path / "x.tiff", image.convert(mode) if mode != "LAB" else image)
    assert decode_picture(path).shape == (60, 90, 3)


def test_an_animation_gives_its_first_frame(tmp_path: Path) -> None:
    frames = [Image.fromarray(np.full((20, 20, 3), level, np.uint8)) for level in (10, 250)]
    path = saved(tmp_path / "x.webp", frames[0], save_all=True, append_images=frames[1:], lossless=True)
    assert np.abs(decode_picture(path).astype(int) - 10).max() <= 2


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_the_longest_side_is_bounded_and_nothing_is_scaled_up(tmp_path: Path, suffix: str) -> None:
    large = Image.fromarray(PHOTO).resize((3000, 2000))
    assert decode_picture(saved(tmp_path / f"x{suffix}", large), max_side_px=600).shape == (400, 600, 3)
    assert decode_picture(saved(tmp_path / f"y{suffix}", Image.fromarray(PHOTO)), max_side_px=600).shape == (60, 90, 3)


class TestRefusals:
    def test_no_such_file(self, tmp_path: Path) -> None:
        with pytest.raises(NotFound):
            decode_picture(tmp_path / "x.png")

    def test_a_folder(self, tmp_path: Path) -> None:
        with pytest.raises(UnreadableMedia, match="folder"):
            decode_picture(tmp_path)

    @pytest.mark.parametrize(("width", "height"), [(60_000, 50_000), (12_000, 10_000)])
    def test_a_bomb(self, tmp_path: Path, width: int, height: int) -> None:
        (tmp_path / "x.png").write_bytes(png_claiming(width, height))
        with pytest.raises(TooLarge, match="more than 100000000"):
            decode_picture(tmp_path / "x.png")

    def test_a_strip(self, tmp_path: Path) -> None:
        with pytest.raises(UnreadableMedia, match="strip"):
            decode_picture(saved(tmp_path / "x.png", Image.new("RGB", (4000, 2))))

    @pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
    def test_cut_short(self, tmp_path: Path, suffix: str) -> None:
        path = saved(tmp_path / f"x{suffix}", Image.fromarray(PHOTO).resize((400, 300)))
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        with pytest.raises(UnreadableMedia, match="cut short or damaged"):
            decode_picture(path)

    def test_a_video(self, tmp_path: Path) -> None:
        with pytest.raises(UnreadableMedia, match="no picture"):
            decode_picture(film(tmp_path / "x.jpg", 5, container="mp4", options=X264))

    def test_a_gif_is_no_photograph(self, tmp_path: Path) -> None:
        with pytest.raises(UnreadableMedia, match="no picture"):
            decode_picture(saved(tmp_path / "x.gif", Image.fromarray(PHOTO)))

    def test_nothing(self, tmp_path: Path) -> None:
        (tmp_path / "x.jpg").touch()
        with pytest.raises(UnreadableMedia):
            decode_picture(tmp_path / "x.jpg")


def png_claiming(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header promises many pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


def test_evidence_jpegs_show_the_picture_and_carry_nothing_else() -> None:
    with Image.open(io.BytesIO(jpeg_bytes(PHOTO, 92))) as image:
        assert image.format == "JPEG"
        assert not image.getexif()
        assert close(np.asarray(image.convert("RGB")), PHOTO)


@pytest.mark.shared_data
def test_every_malformed_file_gives_an_error_or_a_picture(shared: Path) -> None:
    files = sorted((shared / "malformed").iterdir())
    assert files
    for path in files:
        assert outcome(path) in ("a picture", f"an error naming {path}")


def outcome(path: Path) -> str:
    try:
        picture = decode_picture(path)
    except SosieError as error:
        return f"an error naming {error.thing}"
    return "a picture" if picture.ndim == 3 and picture.size else "nothing"

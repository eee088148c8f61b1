from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from runner.core.errors import InputError
from runner.data.images import image_size, image_sizes, read_image


def _gradient(width: int = 32, height: int = 20) -> np.ndarray:
    return np.add.outer(np.arange(height) * 5, np.arange(width) * 4).astype(np.uint8)


def test_grey_and_colour_are_exact(nasty: Path) -> None:
    grey = _gradient()
    Image.fromarray(grey).save(nasty / "grey.png")
    colour = np.stack([grey, grey // 2, 255 - grey], axis=2)
    Image.fromarray(colour).save(nasty / "colour.png")

    assert (read_image(nasty / "grey.png") == grey[:, :, None]).all()
    assert (read_image(nasty / "colour.png") == colour).all()
    pixels = read_image(nasty / "grey.png")
    assert pixels.shape == (20, 32, 3) and pixels.dtype == np.uint8
    assert pixels.flags.writeable and pixels.flags.c_contiguous


@pytest.mark.parametrize("suffix", ["png", "tif", "pgm"])
def test_16_bit_is_scaled_and_not_clipped(tmp_path: Path, suffix: str) -> None:
    values = np.linspace(0, 65535, 32 * 20).astype(np.uint16).reshape(20, 32)
    path = tmp_path / f"deep.{suffix}"
    if suffix == "pgm":
        path.write_bytes(b"P5 32 20 65535\n" + values.astype(">u2").tobytes())
    else:
        Image.fromarray(values).save(path)
    pixels = read_image(path)
    assert np.abs(pixels[:, :, 1].astype(float) - values / 257).max() <= 0.51
    assert pixels.max() == 255 and pixels.min() == 0


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr"])
def test_every_mode_gives_rgb(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("image.tif" if mode in ("CMYK", "YCbCr") else "image.png")
    source = Image.fromarray(np.full((10, 12, 3), 200, np.uint8)).convert(mode)
    source.save(path)
    pixels = read_image(path)
    assert pixels.shape == (10, 12, 3)
    if mode in ("1", "P"):  # dithered
        assert abs(pixels.mean() - 200) < 30
    else:
        assert np.abs(pixels.astype(int) - 200).max() <= 3


def test_cmyk_jpeg_and_transparent_palette(tmp_path: Path) -> None:
    Image.new("CMYK", (12, 10), (0, 255, 255, 0)).save(tmp_path / "cmyk.jpg", quality=95)
    red = read_image(tmp_path / "cmyk.jpg")[5, 5].astype(int)
    assert red[0] > 240 and red[1] < 15 and red[2] < 15

    palette = Image.new("P", (12, 10), 1)
    palette.putpalette([0, 0, 0, 10, 200, 30])
    palette.save(tmp_path / "palette.png", transparency=bytes([0, 128]))
    assert read_image(tmp_path / "palette.png")[5, 5].tolist() == [10, 200, 30]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_applied(tmp_path: Path, orientation: int) -> None:
    path = tmp_path / "photo.jpg"
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(_gradient(64, 32)).save(path, exif=exif, quality=95)
    turned = orientation >= 5
    upright = (32, 64) if turned else (64, 32)
    assert image_size(path) == upright
    assert image_sizes(path) == ((64, 32), upright)
    assert read_image(path).shape[1::-1] == upright
    # the annotation's size decides where the two differ
    assert read_image(path, (32, 64)).shape[1::-1] == upright
    assert read_image(path, (64, 32)).shape[1::-1] == (64, 32)
    if orientation == 6:  # the left edge of the stored pixels is the top of the upright ones
        assert np.abs(read_image(path)[0, ::-1].astype(int) - read_image(path, (64, 32))[:, 0].astype(int)).max() <= 2


@pytest.mark.filterwarnings("ignore:.*EXIF.*", "ignore:.*Truncated.*", "ignore:.*Metadata.*")
@pytest.mark.parametrize("kind", ["jpg", "png", "tif"])
def test_damaged_files_are_named(nasty: Path, kind: str) -> None:
    whole = nasty / f"whole.{kind}"
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(whole)
    data = whole.read_bytes()
    for length in (0, 1, 10, 100, len(data) // 3, len(data) // 2, len(data) * 9 // 10):
        path = nasty / f"cut {length}.{kind}"
        path.write_bytes(data[:length])
        with pytest.raises(InputError) as caught:
            read_image(path)
        assert str(path) in str(caught.value), length


def test_what_is_no_image(tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("hello")
    Image.fromarray(np.full((4, 4), 0.5, np.float32)).save(tmp_path / "float.tif")
    Image.fromarray(np.full((4, 4), 100_000, np.int32)).save(tmp_path / "wide.tif")
    for path, word in (
        ("text.jpg", "unreadable image"),
        ("none.jpg", "missing"),
        (".", "folder"),
        ("float.tif", "floating"),
        ("wide.tif", "32-bit"),
    ):
        with pytest.raises(InputError, match=word):
            read_image(tmp_path / path)
    with pytest.raises(InputError, match="missing"):
        image_size(tmp_path / "none.jpg")
    with pytest.raises(InputError, match="unreadable image"):
        image_size(tmp_path / "text.jpg")


def test_the_size_of_a_png_is_known_without_its_pixels(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(_gradient(64, 32)).save(path, exif=exif)
    data = path.read_bytes()
    at = data.index(b"eXIf") - 4
    chunk = data[at : at + 12 + int.from_bytes(data[at : at + 4], "big")]
    end = data.index(b"IEND") - 4
    late = tmp_path / "late.png"
    late.write_bytes(data[:at] + data[at + len(chunk) : end] + chunk + data[end:])
    for one in (path, late):
        assert image_sizes(one) == ((64, 32), (32, 64)) and read_image(one).shape == (64, 32, 3)
    path.write_bytes(data[: data.index(b"IDAT") + 30])
    assert image_sizes(path) == ((64, 32), (32, 64))


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize("exif", [b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0XX", b"Exif\0\0II*\0\x08\0\0\0\x05\0\x12\x01"])
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_damaged_exif_data_say_nothing(tmp_path: Path, suffix: str, exif: bytes) -> None:
    path = tmp_path / f"photo.{suffix}"
    Image.fromarray(_gradient(64, 32)).save(path, exif=exif)
    assert image_sizes(path) == ((64, 32), (64, 32)) and read_image(path).shape == (32, 64, 3)


def test_an_image_without_a_defined_white_is_refused_by_its_size_too(tmp_path: Path) -> None:
    Image.fromarray(np.full((4, 6), 0.5, np.float32)).save(tmp_path / "float.tif")
    Image.fromarray(np.full((4, 6), 0.5, np.float32)).save(tmp_path / "float.pfm")
    Image.fromarray(np.full((4, 6), 70_000, np.int32)).save(tmp_path / "wide.tif")
    Image.fromarray(np.full((4, 6), -1, np.int32)).save(tmp_path / "negative.tif")
    for name, word in (("float.tif", "floating"), ("float.pfm", "floating"), ("wide.tif", "32-bit"), ("negative.tif", "32-bit")):
        for read in (image_size, read_image):
            with pytest.raises(InputError, match=f"{name}.*{word}"):
                read(tmp_path / name)
    Image.fromarray(np.full((4, 6), 65_535, np.int32)).save(tmp_path / "narrow.tif")
    Image.fromarray(np.full((4, 6), 65_535, np.uint16)).save(tmp_path / "narrow.png")
    for name in ("narrow.tif", "narrow.png"):
        assert image_size(tmp_path / name) == (6, 4) and read_image(tmp_path / name).min() == 255

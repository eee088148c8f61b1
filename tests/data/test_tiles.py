"""Tiles of large images: where they lie, what is read of the file, and how boxes are merged."""

from __future__ import annotations

import itertools
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from runner.core.errors import InputError
from runner.data.images import read_image
from runner.data.tiles import LargeImage, merge_tiles, tile_areas


@given(st.integers(1, 300), st.integers(1, 300), st.integers(20, 200), st.floats(0, 0.9))
def test_tiles_cover_the_image_with_the_overlap_asked_for(width: int, height: int, tile: int, overlap: float) -> None:
    areas = tile_areas(width, height, tile, overlap)
    seen = np.zeros((height, width), dtype=bool)
    for x, y, across, down in areas:
        assert (across, down) == (min(tile, width), min(tile, height)) and x + across <= width and y + down <= height
        seen[y : y + down, x : x + across] = True
    assert seen.all() and len(set(areas)) == len(areas)
    for first, second in itertools.pairwise(sorted({x for x, *_ in areas})):
        assert first + tile - second >= int(overlap * tile)


def box(x: float, y: float, width: float, height: float, score: float, label: int = 0) -> dict[str, Any]:
    return {"category_id": label, "bbox": [x, y, width, height], "score": score}


def test_an_object_in_the_overlap_is_one_box() -> None:
    left, right = (0, 0, 100, 100), (60, 0, 100, 100)
    found = [(left, [box(70, 10, 20, 20, 0.8)]), (right, [box(10.5, 10, 20, 20, 0.9)])]
    assert merge_tiles(found, 160, 100) == [{"category_id": 0, "bbox": [70.5, 10, 20, 20], "score": 0.9}]
    other_class = [(left, [box(70, 10, 20, 20, 0.8)]), (right, [box(10.5, 10, 20, 20, 0.9, label=1)])]
    assert [item["score"] for item in merge_tiles(other_class, 160, 100)] == [0.9, 0.8]


def test_a_whole_box_goes_before_the_better_one_that_a_border_cuts() -> None:
    left, right = (0, 0, 100, 100), (60, 0, 100, 100)
    found = [(left, [box(80, 10, 20, 20, 0.95)]), (right, [box(20, 10, 40, 20, 0.4)])]  # the left tile sees half of it
    assert merge_tiles(found, 160, 100) == [{"category_id": 0, "bbox": [80, 10, 40, 20], "score": 0.4}]
    at_the_edge = [(right, [box(80, 10, 20, 20, 0.95)])]
    assert len(merge_tiles([*at_the_edge, (left, [])], 160, 100)) == 1


def test_boxes_of_one_tile_are_left_to_the_model() -> None:
    close = [box(10, 10, 20, 20, 0.9), box(11, 10, 20, 20, 0.8)]
    assert len(merge_tiles([((0, 0, 100, 100), close), ((60, 0, 100, 100), [])], 160, 100)) == 2


def pixels(height: int = 150, width: int = 200) -> Any:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("name", "mode", "options"),
    [
        ("a.tif", "RGB", {}),
        ("a.tif", "L", {}),
        ("a.tif", "RGB", {"compression": "tiff_lzw"}),
        ("a.bmp", "RGB", {}),
        ("a.ppm", "RGB", {}),
        ("a.pgm", "L", {}),
        ("a.png", "RGB", {}),
        ("a.jpg", "RGB", {"exif": "rotated"}),
    ],
)
def test_regions_are_those_of_the_whole_image(tmp_path: Path, name: str, mode: str, options: dict[str, Any]) -> None:
    file = tmp_path / name
    if options.get("exif"):
        exif = Image.Exif()
        exif[0x0112] = 6
        options = {"exif": exif}
    Image.fromarray(pixels()).convert(mode).save(file, **options)
    whole, image = read_image(file), LargeImage(file)
    assert (image.height, image.width) == whole.shape[:2]
    for x, y, width, height in tile_areas(image.width, image.height, 64, 0.2):
        assert np.array_equal(image.read((x, y, width, height)), whole[y : y + height, x : x + width])
    small, factor = image.reduced(50)
    assert factor == 4 and abs(small.astype(float).mean() - whole.mean()) < 2
    image.close()


def test_an_uncompressed_image_is_never_decoded_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    side = 12_000
    file = tmp_path / "large.ppm"
    with open(file, "wb") as target:
        target.write(b"P6\n%d %d\n255\n" % (side, side))
        target.truncate(target.tell() + side * side * 3)  # zeros that take no space
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1_000_000)
    monkeypatch.setattr("psutil.virtual_memory", lambda: type("Memory", (), {"available": 0}))
    image = LargeImage(file)
    assert image.read((side - 10, side - 10, 10, 10)).shape == (10, 10, 3)
    assert Image.MAX_IMAGE_PIXELS == 1_000_000
    image.close()
    packed = tmp_path / "packed.png"
    Image.fromarray(pixels()).save(packed)
    with pytest.raises(
        InputError, match=r"packed\.png: an image of 200 x 150 pixels, which has to be decoded whole.*TIFF without compression"
    ):
        LargeImage(packed)


@pytest.mark.parametrize("name", ["a.png", "a.ppm"])
def test_a_truncated_image(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    Image.fromarray(pixels()).save(file)
    file.write_bytes(file.read_bytes()[:-5000])
    with pytest.raises(InputError, match="truncated"), closing(LargeImage(file)) as image:
        image.read((0, 0, 200, 150))

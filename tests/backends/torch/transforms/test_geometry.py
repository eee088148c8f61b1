"""Resizes, borders, flips and crops against PaddleDetection's arithmetic, written out by hand; test_twin_transforms asks
PaddleDetection itself."""

from __future__ import annotations

import re
from collections.abc import Callable

import cv2
import numpy as np
import pytest

from runner.backends.torch.transforms import geometry, schema
from runner.backends.torch.transforms.sample import ImageSample, sample_rng
from runner.backends.torch.transforms.steps import build_steps
from runner.core.errors import InputError

MakeSample = Callable[..., ImageSample]


@pytest.mark.parametrize(
    ("size", "target", "expected"),
    [
        ((600, 800), (800, 1333), (800, 1067)),
        ((400, 1000), (800, 1333), (533, 1333)),
        ((1000, 400), (1333, 800), (1333, 533)),
        ((333, 500), (100, 100), (67, 100)),
        ((50, 50), (800, 1333), (800, 800)),
    ],
)
def test_keeping_the_ratio_bounds_both_sides(
    sample: MakeSample, size: tuple[int, int], target: tuple[int, int], expected: tuple[int, int]
) -> None:
    before = sample(*size, [[0, 0, 400, 200]])
    resized = geometry.resize(before, target, keep_ratio=True, interp=1)
    factor = min(min(target) / min(size), max(target) / max(size))
    assert resized.size == expected
    assert resized.scale == (factor, factor)
    np.testing.assert_array_equal(resized.image, cv2.resize(before.image, None, None, fx=factor, fy=factor))
    assert resized.boxes.tolist() == [pytest.approx([0, 0, min(400, size[1]) * factor, min(200, size[0]) * factor])]


def test_a_factor_that_leaves_the_size_still_moves_the_pixels(sample: MakeSample) -> None:
    resized = geometry.resize(sample(10, 200), (10, 199.9), keep_ratio=True, interp=1)  # type: ignore[arg-type]
    assert resized.size == (10, 200) and resized.scale[0] == pytest.approx(0.9995)


def test_sizes_round_half_to_even(sample: MakeSample) -> None:
    assert geometry.resize(sample(40, 90), (20, 2000), keep_ratio=True, interp=1).size == (20, 45)
    assert geometry.resize(sample(20, 45), (10, 2000), keep_ratio=True, interp=1).size == (10, 22)


def test_boxes_are_scaled_and_clipped(sample: MakeSample) -> None:
    resized = geometry.resize(sample(40, 60, [[-3, 10, 30, 50]]), (33, 47), keep_ratio=False, interp=1)
    assert resized.boxes.tolist() == [[0, pytest.approx(10 * 33 / 40), pytest.approx(30 * 47 / 60), 33]]


@pytest.mark.parametrize("interp", range(5))
def test_pixels_are_opencvs(sample: MakeSample, interp: int) -> None:
    before = sample()
    after = geometry.resize(before, (55, 90), keep_ratio=False, interp=interp)
    assert after.image.dtype == np.uint8
    np.testing.assert_array_equal(after.image, cv2.resize(before.image, None, None, fx=90 / 60, fy=55 / 40, interpolation=interp))


def test_flip(sample: MakeSample) -> None:
    before = sample(40, 60, [[5, 6, 15, 20]])
    after = geometry.flip(before)
    np.testing.assert_array_equal(after.image, before.image[:, ::-1])
    assert after.boxes.tolist() == [[45, 6, 55, 20]]
    assert before.boxes.tolist() == [[5, 6, 15, 20]]


def sizes_drawn(sample: MakeSample, config: schema.RandomResize, count: int = 60) -> set[tuple[int, int]]:
    step = build_steps([config])[0]
    return {step(sample(), sample_rng(3, 0, index)).size for index in range(count)}


def test_random_resize_draws_from_its_list(sample: MakeSample) -> None:
    assert sizes_drawn(sample, schema.RandomResize(target_size=(20, 30), keep_ratio=False)) == {(20, 20), (30, 30)}
    assert sizes_drawn(sample, schema.RandomResize(target_size=((20, 90), (30, 90)))) == {(20, 30), (30, 45)}


def test_random_resize_draws_from_a_range(sample: MakeSample) -> None:
    drawn = sizes_drawn(sample, schema.RandomResize(target_size=((20, 300), (23, 300)), random_range=True), 100)
    assert {height for height, _ in drawn} == {20, 21, 22, 23}


def test_random_interpolation_changes_pixels_only(sample: MakeSample) -> None:
    config = schema.RandomResize(target_size=(55,), keep_ratio=False, random_interp=True)
    step = build_steps([config])[0]
    pictures = {step(sample(), sample_rng(3, 0, index)).image.tobytes() for index in range(60)}
    assert len(pictures) == 5


def test_an_image_that_vanishes_is_an_error(sample: MakeSample) -> None:
    with pytest.raises(InputError, match="nothing left"):
        geometry.resize(sample(1, 1000), (100, 100), keep_ratio=True, interp=1)


def test_pad_puts_the_image_on_a_canvas_of_fractions(sample: MakeSample) -> None:
    before = sample(40, 60, [[1, 2, 30, 20]])
    below = geometry.pad(before, schema.Pad(size=(64, 96)), sample_rng(0, 0, 0))
    assert below.image.dtype == np.float32 and below.size == (64, 96) and below.unpadded == (40, 60)
    np.testing.assert_array_equal(below.image[:40, :60], before.image)
    assert (below.image[40:] == 127.5).all() and (below.image[:, 60:] == 127.5).all()
    above = geometry.pad(before, schema.Pad(size=(64, 96), pad_mode=2), sample_rng(0, 0, 0))
    assert above.boxes.tolist() == [[37, 26, 66, 44]] and above.unpadded is None
    assert geometry.pad(before, schema.Pad(size_divisor=32), sample_rng(0, 0, 0)).size == (64, 64)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (schema.Pad(size=(32, 96)), "60 x 40 pixels does not fit on Pad's canvas of [32, 96]"),
        (schema.Pad(size=64, pad_mode=-1, offsets=(9, 0)), "does not fit at [9, 0] on"),
    ],
)
def test_an_image_that_does_not_fit_is_an_error(sample: MakeSample, config: schema.Pad, words: str) -> None:
    with pytest.raises(InputError, match=re.escape(words)):
        geometry.pad(sample(), config, sample_rng(0, 0, 0))


def test_prob_of_expand_is_that_of_not_expanding(sample: MakeSample) -> None:
    never, always = (build_steps([schema.RandomExpand(prob=prob)])[0] for prob in (1.0, 0.0))
    sizes = {always(sample(), sample_rng(0, 0, index)).size for index in range(20)}  # type: ignore[operator]
    assert len(sizes) > 15 and all(height >= 40 and 60 <= width < 240 for height, width in sizes)
    assert {never(sample(), sample_rng(0, 0, index)).size for index in range(20)} == {(40, 60)}  # type: ignore[operator]


def test_a_crop_keeps_the_boxes_whose_centre_it_holds(sample: MakeSample) -> None:
    config = schema.RandomCrop(allow_no_crop=False, thresholds=(0.1,))
    before = sample(80, 120, [[10, 10, 50, 40], [60, 30, 110, 70]])
    found = [geometry.random_crop(before, config, sample_rng(0, 0, index)) for index in range(40)]
    assert {tuple(one.classes.tolist()) for one in found} == {(0,), (1,), (0, 1)}
    assert geometry.random_crop(sample(), config, sample_rng(0, 0, 0)).size == (40, 60), "without boxes it is left alone"


def test_a_crop_that_finds_nothing_leaves_the_image_alone(sample: MakeSample) -> None:
    config = schema.RandomCrop(allow_no_crop=False, thresholds=(1.0,), num_attempts=3)
    before = sample(80, 120, [[10, 10, 50, 40]])
    assert geometry.random_crop(before, config, sample_rng(0, 0, 0)) is before


def test_pad_resize_drops_boxes_of_a_pixel(sample: MakeSample) -> None:
    before = sample(40, 60, [[10, 10, 40, 30], [5, 5, 7, 30]])
    after = geometry.pad_resize(before, schema.PadResize(target_size=(30, 30)), sample_rng(0, 0, 0))
    assert after.boxes.tolist() == [[5, 5, 20, 15]] and after.classes.tolist() == [0]
    assert after.size == (30, 30) and after.unpadded == (20, 30) and (after.image[20:] == 114).all()


def test_the_shorter_side_is_drawn_and_the_longer_one_bounded(sample: MakeSample) -> None:
    config = schema.RandomShortSideResize(short_side_sizes=(20, 40, 60), max_size=70)
    drawn = {geometry.random_short_side_resize(sample(), config, sample_rng(0, 0, index)).size for index in range(40)}
    assert drawn == {(20, 30), (40, 60), (47, 70)}


def test_an_image_smaller_than_the_crop_is_an_error(sample: MakeSample) -> None:
    with pytest.raises(InputError, match="smaller than RandomSizeCrop's min_size 50"):
        geometry.random_size_crop(sample(), schema.RandomSizeCrop(min_size=50, max_size=90), sample_rng(0, 0, 0))

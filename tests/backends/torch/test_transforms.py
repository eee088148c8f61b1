"""Transforms against PaddleDetection's arithmetic, written out by hand."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from runner.backends.torch import schema, transforms
from runner.backends.torch.samples import collate
from runner.backends.torch.transforms import ImageSample
from runner.core.errors import InputError


def sample(height: int = 40, width: int = 60, boxes: list[list[float]] | None = None) -> ImageSample:
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    found = np.asarray(boxes or [], dtype=np.float32).reshape(-1, 4)
    return ImageSample(image, found, np.arange(len(found), dtype=np.int64), (1.0, 1.0), 1, "a.png")


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
def test_keeping_the_ratio_bounds_both_sides(size: tuple[int, int], target: tuple[int, int], expected: tuple[int, int]) -> None:
    before = sample(*size, [[0, 0, 400, 200]])
    resized = transforms.resize(before, target, keep_ratio=True, interp=1)
    factor = min(min(target) / min(size), max(target) / max(size))
    assert resized.size == expected
    assert resized.scale == (factor, factor)
    np.testing.assert_array_equal(resized.image, cv2.resize(before.image, None, None, fx=factor, fy=factor))
    assert resized.boxes.tolist() == [pytest.approx([0, 0, min(400, size[1]) * factor, min(200, size[0]) * factor])]


def test_a_factor_that_leaves_the_size_still_moves_the_pixels() -> None:
    resized = transforms.resize(sample(10, 200), (10, 199.9), keep_ratio=True, interp=1)  # type: ignore[arg-type]
    assert resized.size == (10, 200) and resized.scale[0] == pytest.approx(0.9995)


def test_sizes_round_half_to_even() -> None:
    assert transforms.resize(sample(40, 90), (20, 2000), keep_ratio=True, interp=1).size == (20, 45)
    assert transforms.resize(sample(20, 45), (10, 2000), keep_ratio=True, interp=1).size == (10, 22)


def test_boxes_are_scaled_and_clipped() -> None:
    resized = transforms.resize(sample(40, 60, [[-3, 10, 30, 50]]), (33, 47), keep_ratio=False, interp=1)
    assert resized.boxes.tolist() == [[0, pytest.approx(10 * 33 / 40), pytest.approx(30 * 47 / 60), 33]]


@pytest.mark.parametrize("interp", range(5))
def test_pixels_are_opencvs(interp: int) -> None:
    before = sample()
    after = transforms.resize(before, (55, 90), keep_ratio=False, interp=interp)
    assert after.image.dtype == np.uint8
    np.testing.assert_array_equal(after.image, cv2.resize(before.image, None, None, fx=90 / 60, fy=55 / 40, interpolation=interp))


def test_flip() -> None:
    before = sample(40, 60, [[5, 6, 15, 20]])
    after = transforms.flip(before)
    np.testing.assert_array_equal(after.image, before.image[:, ::-1])
    assert after.boxes.tolist() == [[45, 6, 55, 20]]
    assert before.boxes.tolist() == [[5, 6, 15, 20]]


@pytest.mark.parametrize(
    "config",
    [
        schema.NormalizeImage(),
        schema.NormalizeImage(is_scale=False, mean=(120.0, 110, 100), std=(50.0, 51, 52)),
        schema.NormalizeImage(norm_type="none"),
    ],
)
def test_normalize_is_paddledetections_to_the_bit(config: schema.NormalizeImage) -> None:
    image = sample().image
    expected = image.astype(np.float32)
    if config.is_scale:
        expected *= 1.0 / 255.0
    if config.norm_type == "mean_std":
        expected -= np.array(config.mean)[None, None]
        expected /= np.array(config.std)[None, None]
    np.testing.assert_array_equal(transforms.normalize(image, config), expected)
    np.testing.assert_array_equal(transforms.normalize(image.astype(np.float32), config), expected)


def test_transforms_keep_their_order() -> None:
    steps = transforms.build_steps(
        [
            schema.Decode(),
            schema.Resize(target_size=20, keep_ratio=False),
            schema.NormalizeImage(),
            schema.Resize(target_size=(10, 30), keep_ratio=False),
            schema.Permute(),
        ]
    )
    done = transforms.apply_steps(sample(), steps, transforms.sample_rng(0, 0, 0))
    small = cv2.resize(sample().image, (20, 20))
    expected = cv2.resize(transforms.normalize(small, schema.NormalizeImage()), (30, 10)).transpose(2, 0, 1)
    np.testing.assert_array_equal(done.image, expected)
    assert done.size == (10, 30)


def test_boxes_without_area_go() -> None:
    steps = transforms.build_steps([schema.Resize(target_size=20, keep_ratio=False)])
    done = transforms.apply_steps(sample(40, 60, [[70, 5, 90, 20], [5, 5, 15, 15]]), steps, transforms.sample_rng(0, 0, 0))
    assert done.classes.tolist() == [1]


def sizes_drawn(config: schema.RandomResize, count: int = 60) -> set[tuple[int, int]]:
    step = transforms.build_steps([config])[0]
    return {step(sample(), transforms.sample_rng(3, 0, index)).size for index in range(count)}


def test_random_resize_draws_from_its_list() -> None:
    assert sizes_drawn(schema.RandomResize(target_size=(20, 30), keep_ratio=False)) == {(20, 20), (30, 30)}
    assert sizes_drawn(schema.RandomResize(target_size=((20, 90), (30, 90)))) == {(20, 30), (30, 45)}


def test_random_resize_draws_from_a_range() -> None:
    drawn = sizes_drawn(schema.RandomResize(target_size=((20, 300), (23, 300)), random_range=True), 100)
    assert {height for height, _ in drawn} == {20, 21, 22, 23}


def test_random_interpolation_changes_pixels_only() -> None:
    config = schema.RandomResize(target_size=(55,), keep_ratio=False, random_interp=True)
    step = transforms.build_steps([config])[0]
    pictures = {step(sample(), transforms.sample_rng(3, 0, index)).image.tobytes() for index in range(60)}
    assert len(pictures) == 5


def test_randomness_depends_on_seed_epoch_and_index_alone() -> None:
    first = transforms.sample_rng(1, 2, 3).uniform()
    assert transforms.sample_rng(1, 2, 3).uniform() == first
    others = [transforms.sample_rng(*key).uniform() for key in ((0, 2, 3), (1, 0, 3), (1, 2, 0), (1, 2, 4))]
    assert first not in others


@pytest.mark.parametrize("channels_last", [False, True])
def test_collate_pads_right_and_below(channels_last: bool) -> None:
    steps = transforms.build_steps([schema.NormalizeImage(), schema.Permute()])
    two = [transforms.apply_steps(one, steps, transforms.sample_rng(0, 0, 0)) for one in (sample(40, 60, [[1, 2, 3, 4]]), sample(50, 20))]
    packed = collate(two, 32, channels_last=channels_last)
    assert packed.images.shape == (2, 3, 64, 64)
    np.testing.assert_array_equal(packed.images[0, :, :40, :60].numpy(), two[0].image)
    assert not packed.images[0, :, 40:].any() and not packed.images[1, :, :, 20:].any()
    assert packed.sizes.tolist() == [[40, 60], [50, 20]]
    assert [len(boxes) for boxes in packed.to_batch(packed.images.device).boxes] == [1, 0]
    assert collate(two, 0).images.shape == (2, 3, 50, 60)


def test_an_image_that_vanishes_is_an_error() -> None:
    with pytest.raises(InputError, match="nothing left"):
        transforms.resize(sample(1, 1000), (100, 100), keep_ratio=True, interp=1)

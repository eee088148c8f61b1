"""Colours: what is never applied, what is not cut off, and the normalisation to the bit."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from runner.backends.torch.transforms import color, schema
from runner.backends.torch.transforms.sample import ImageSample, sample_rng

MakeSample = Callable[..., ImageSample]
NEVER = (0.5, 1.5, 1.0)


@pytest.mark.parametrize(
    "config",
    [
        schema.NormalizeImage(),
        schema.NormalizeImage(is_scale=False, mean=(120.0, 110, 100), std=(50.0, 51, 52)),
        schema.NormalizeImage(norm_type="none"),
    ],
)
def test_normalize_is_paddledetections_to_the_bit(sample: MakeSample, config: schema.NormalizeImage) -> None:
    image = sample().image
    expected = image.astype(np.float32)
    if config.is_scale:
        expected *= 1.0 / 255.0
    if config.norm_type == "mean_std":
        expected -= np.array(config.mean)[None, None]
        expected /= np.array(config.std)[None, None]
    np.testing.assert_array_equal(color.normalize(image, config), expected)
    np.testing.assert_array_equal(color.normalize(image.astype(np.float32), config), expected)


def test_the_third_value_of_distort_is_the_probability_of_not_applying(sample: MakeSample) -> None:
    before = sample()
    config = schema.RandomDistort(hue=NEVER, saturation=NEVER, contrast=NEVER, brightness=NEVER)
    assert color.random_distort(before, config, sample_rng(0, 0, 0)).image is before.image
    doubled = schema.RandomDistort(hue=NEVER, saturation=NEVER, contrast=(2.0, 2.0, 0.0), brightness=NEVER)
    after = color.random_distort(before, doubled, sample_rng(0, 0, 0)).image
    np.testing.assert_allclose(after, before.image * np.float32(2))
    assert after.dtype == np.float32 and after.max() > 255, "contrast multiplies the grey levels, which are not cut off"


def test_the_default_hue_turns_colours_all_around(sample: MakeSample) -> None:
    red = np.zeros((4, 4, 3), dtype=np.uint8)
    red[..., 0] = 200
    config = schema.RandomDistort(saturation=NEVER, contrast=NEVER, brightness=NEVER, hue=(-18.0, 18.0, 0.0))
    before = ImageSample(red, sample().boxes, sample().classes, (1.0, 1.0), 1, "red.png")
    largest = {int(color.random_distort(before, config, sample_rng(0, 0, index)).image[0, 0].argmax()) for index in range(60)}
    assert largest == {0, 1, 2}


def test_only_the_first_of_the_four_are_applied(sample: MakeSample) -> None:
    always = {name: (2.0, 2.0, 0.0) for name in ("saturation", "contrast", "brightness")}
    config = schema.RandomDistort(**always, hue=NEVER, count=1)
    before = sample(6, 6)
    found = {color.random_distort(before, config, sample_rng(0, 0, index)).image.tobytes() for index in range(60)}
    assert len(found) == 4


def test_augment_hsv_reads_bgr_unless_told_otherwise(sample: MakeSample) -> None:
    before = sample()
    found = {}
    for is_bgr in (True, False):
        config = schema.AugmentHSV(is_bgr=is_bgr, hgain=90.0, sgain=0.0, vgain=0.0)
        found[is_bgr] = [color.augment_hsv(before, config, sample_rng(0, 0, index)).image for index in range(8)]
    assert all(image.dtype == np.float32 for image in found[True])
    assert any((one != other).any() for one, other in zip(found[True], found[False], strict=True))
    round_trip = cv2.cvtColor(cv2.cvtColor(before.image, cv2.COLOR_RGB2HSV), cv2.COLOR_HSV2RGB)
    assert any((image == round_trip).all() for image in found[False]), "a gain is applied to one of two images"

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from support.measured import measured, measured_images

from runner.advice.choices import (
    ENOUGH_VIEWS,
    FEWEST_STEPS,
    MOST_VIEWS,
    Speed,
    TrainingChoice,
    first_choice,
    fitted_choice,
    length_within,
    mirrored_classes,
    steps_within,
)

BLOOD = measured([(100, 100)] * 90 + [(200, 200)] * 8 + [(40, 40)] * 9, images=364)
TINY = measured([(7, 7), (12, 12), (20, 20)] * 40, size=(360, 480))
LARGE = measured_images([(110, 110), (230, 230)] * 20, [(300, 400), (400, 300)] * 10)
BOARDS = measured([(27, 27), (40, 45)] * 20, size=(640, 640))


def speed(choice: TrainingChoice, megapixels_per_s: float, eval_image_s: float = 0.05) -> Speed:
    return Speed(choice.batch_size * math.prod(choice.size) / 1e6 / megapixels_per_s, eval_image_s, 10.0, 1.5)


@pytest.mark.parametrize(
    ("data", "size", "keep_ratio", "levels"),
    [
        (BLOOD, (192, 256), False, (8, 16)),
        (TINY, (416, 544), False, (4,)),
        (LARGE, (160, 224), True, (8, 16)),
        (BOARDS, (384, 384), False, (8,)),
    ],
    ids=["blood", "tiny", "large", "boards"],
)
def test_the_size_gives_the_smallest_boxes_their_pixels_and_the_levels_fit(
    data: object, size: tuple[int, int], keep_ratio: bool, levels: tuple[int, ...]
) -> None:
    choice = first_choice(data, "cpu")  # type: ignore[arg-type]
    assert (choice.size, choice.keep_ratio, choice.levels, choice.batch_size) == (size, keep_ratio, levels, 8)
    assert choice.smallest_px >= 7.5 and choice.longest_px <= 8 * levels[-1]


def test_a_gpu_affords_more_pixels_and_larger_batches() -> None:
    choice = first_choice(BLOOD, "gpu")
    assert choice.size == (384, 512) and choice.batch_size == 16 and choice.base_lr == pytest.approx(0.0028)


def test_images_are_not_enlarged_without_need() -> None:
    small = measured([(14, 14)] * 8, size=(96, 128))
    assert first_choice(small, "cpu").size == (96, 128)
    specks = measured([(2, 2)] * 8, size=(96, 128))
    assert first_choice(specks, "cpu").size == (192, 256)  # at most twice


def test_large_photos_do_not_fill_the_memory() -> None:
    photos = measured([(20, 20)] * 8, size=(3000, 4000))
    assert first_choice(photos, "cpu").size == (544, 736) and first_choice(photos, "gpu").size == (896, 1184)


def test_little_time_makes_images_smaller_as_far_as_the_boxes_allow_then_batches() -> None:
    choice = first_choice(BOARDS, "cpu")
    ample = fitted_choice(BOARDS, choice, speed(choice, 1.5), 600, 200)
    assert ample == choice
    scarce = fitted_choice(BOARDS, choice, speed(choice, 0.9), 600, 200)
    assert scarce.size < choice.size and scarce.smallest_px >= 8 and scarce.batch_size == 8
    hardly = fitted_choice(BOARDS, choice, speed(choice, 0.1), 600, 200)
    assert hardly.size == (224, 224) and hardly.levels[0] == 4 and hardly.batch_size == 4
    assert steps_within(speed(hardly, 0.1), 600, 200) > steps_within(speed(choice, 0.1), 600, 200)


def test_the_length_leaves_time_for_the_start_and_the_evaluation() -> None:
    choice = first_choice(BOARDS, "cpu")
    costs = Speed(0.5, 0.1, 20.0, 1.0)
    assert length_within(choice, costs, 600, 200, 800) == steps_within(costs, 600, 200) == int((540 - 20 - 20) / 0.5)
    assert length_within(choice, Speed(0.001, 0.0, 0.0, 1.0), 600, 200, 800) == MOST_VIEWS / 8
    assert length_within(choice, Speed(0.001, 0.0, 0.0, 1.0), 6000, 200, 100_000) == 36 * 100_000 / 8
    assert length_within(choice, Speed(100.0, 0.0, 0.0, 1.0), 10, 200, 800) == 1
    assert FEWEST_STEPS * 8 < ENOUGH_VIEWS < MOST_VIEWS
    assert [replace(choice, steps=steps).warmup_steps for steps in (3, 200, 5000)] == [1, 20, 100]


def test_classes_that_a_mirror_changes() -> None:
    assert mirrored_classes(["car", "turn left", "Right_arrow", "7", "A", "+"]) == ["turn left", "Right_arrow", "7", "A"]
    assert not first_choice(measured([(20, 20)], names="3"), "cpu").flip and first_choice(measured([(20, 20)]), "cpu").flip


def test_nearly_all_images_of_one_shape_are_squeezed_to_it() -> None:
    shapes = [(480, 640)] * 39 + [(640, 480)]
    assert not first_choice(measured_images([(40, 40)] * 40, shapes), "cpu").keep_ratio
    assert first_choice(measured_images([(40, 40)] * 40, shapes[:30] + [(640, 480)] * 10), "cpu").keep_ratio

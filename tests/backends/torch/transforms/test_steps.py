"""The order of transforms, which random numbers they see, and that boxes and classes stay what they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.backends.torch.transforms import color, schema
from runner.backends.torch.transforms.sample import ImageSample, batch_rng, sample_rng
from runner.backends.torch.transforms.steps import Mixing, apply_steps, build_steps

MakeSample = Callable[..., ImageSample]


def test_transforms_keep_their_order(sample: MakeSample) -> None:
    steps = build_steps(
        [
            schema.Decode(),
            schema.Resize(target_size=20, keep_ratio=False),
            schema.NormalizeImage(),
            schema.Resize(target_size=(10, 30), keep_ratio=False),
            schema.Permute(),
        ]
    )
    done = apply_steps(sample(), steps, sample_rng(0, 0, 0))
    small = cv2.resize(sample().image, (20, 20))
    expected = cv2.resize(color.normalize(small, schema.NormalizeImage()), (30, 10)).transpose(2, 0, 1)
    np.testing.assert_array_equal(done.image, expected)
    assert done.size == (10, 30)


def test_boxes_without_area_go(sample: MakeSample) -> None:
    steps = build_steps([schema.Resize(target_size=20, keep_ratio=False)])
    done = apply_steps(sample(40, 60, [[70, 5, 90, 20], [5, 5, 15, 15]]), steps, sample_rng(0, 0, 0))
    assert done.classes.tolist() == [1]


def test_randomness_depends_on_seed_epoch_and_index_alone() -> None:
    first = sample_rng(1, 2, 3).uniform()
    assert sample_rng(1, 2, 3).uniform() == first
    others = [sample_rng(*key).uniform() for key in ((0, 2, 3), (1, 0, 3), (1, 2, 0), (1, 2, 4))]
    assert first not in others


def test_one_of_two_lists_is_selected(sample: MakeSample) -> None:
    small, large = (schema.Resize(target_size=size, keep_ratio=False) for size in (20, 80))
    steps = build_steps([schema.RandomSelect(transforms1=(small, schema.RandomFlip(prob=1.0)), transforms2=(large,), p=0.8)])
    sizes = [apply_steps(sample(), steps, sample_rng(0, 0, index)).size for index in range(100)]
    assert 70 <= sizes.count((20, 20)) <= 90 and sizes.count((80, 80)) == 100 - sizes.count((20, 20))


def test_what_comes_before_a_mixing_is_applied_to_every_image(sample: MakeSample) -> None:
    steps = build_steps([schema.Resize(target_size=(20, 30), keep_ratio=False), schema.Mixup()])
    first, second = sample(40, 60, [[10, 10, 30, 30]]), sample(80, 80, [[0, 0, 40, 40]])
    mixed = apply_steps(first, steps, sample_rng(0, 0, 0), [second])
    assert mixed.size == (20, 30) and mixed.boxes.tolist() == [[5, 5, 15, 15], [0, 0, 15, 10]] and mixed.classes.tolist() == [0, 0]
    alone = apply_steps(first, steps, sample_rng(0, 0, 0))
    assert alone.boxes.tolist() == [[5, 5, 15, 15]], "without another image it is left alone"


def test_pad_box_keeps_the_first_boxes(sample: MakeSample) -> None:
    before = sample(40, 60, [[1, 1, 5, 5], [2, 2, 9, 9], [3, 3, 8, 8]])
    after = apply_steps(
        before, build_steps([schema.NormalizeBox(), schema.PadBox(num_max_boxes=2), schema.BboxXYXY2XYWH()]), sample_rng(0, 0, 0)
    )
    assert after.boxes.tolist() == before.boxes[:2].tolist() and after.classes.tolist() == [0, 1]


def test_a_batch_draws_one_size(sample: MakeSample) -> None:
    steps = build_steps([schema.BatchRandomResize(target_size=(20, 30, 40), keep_ratio=False)])
    sizes = [{apply_steps(one, steps, batch_rng(0, 0, first)).size for one in (sample(), sample(90, 30))} for first in range(20)]
    assert all(len(of_batch) == 1 for of_batch in sizes) and len(set.union(*sizes)) == 3


# ------------------------------------------------------------------------------------------------------------- properties
EVERY: tuple[Any, ...] = (
    schema.RandomResize(target_size=(20, 33, 70), random_interp=True),
    schema.BatchRandomResize(target_size=(20, 33), keep_ratio=False),
    schema.RandomShortSideResize(short_side_sizes=(20, 50), max_size=60),
    schema.PadResize(target_size=(40, 50)),
    schema.Pad(size=256, pad_mode=1),
    schema.RandomFlip(),
    schema.RandomExpand(),
    schema.RandomCrop(),
    schema.RandomCrop(aspect_ratio=None, allow_no_crop=False),
    schema.RandomSizeCrop(min_size=8, max_size=60),
    schema.RandomDistort(),
    schema.AugmentHSV(is_bgr=False),
    *(schema.AutoAugment(autoaug_type=table) for table in ("v0", "v1", "v2", "v3")),  # type: ignore[arg-type]
    schema.Mixup(),
    schema.Mosaic(input_dim=48),
    schema.Mosaic(input_dim=48, remove_outside_box=True, degrees=(-90.0, 90.0)),
)
boxes_of = st.lists(st.tuples(*[st.integers(0, 95)] * 4), max_size=6)


def drawn_sample(number: int, corners: list[tuple[int, int, int, int]], height: int, width: int) -> ImageSample:
    """An image whose boxes have the colour of their class, which is 10 × number + place."""
    image = np.full((height, width, 3), 255, dtype=np.uint8)
    boxes = []
    for x1, y1, x2, y2 in corners:
        x1, x2, y1, y2 = x1 % width, x2 % width, y1 % height, y2 % height  # noqa: PLW2901
        boxes.append([min(x1, x2), min(y1, y2), max(x1, x2) + 1, max(y1, y2) + 1])
    found = np.asarray(boxes, dtype=np.float32).reshape(-1, 4)
    return ImageSample(image, found, 10 * number + np.arange(len(found), dtype=np.int64), (1.0, 1.0), number, f"{number}.png")


@pytest.mark.parametrize("config", EVERY, ids=lambda config: type(config).__name__)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), size=st.tuples(st.integers(8, 96), st.integers(8, 96)), corners=boxes_of)
def test_boxes_stay_inside_upright_and_with_their_classes(config: Any, seed: int, size: tuple[int, int], corners: Any) -> None:
    (step,) = build_steps([config])
    samples = [drawn_sample(number, corners, *size) for number in range({schema.Mixup: 2, schema.Mosaic: 5}.get(type(config), 1))]
    before = [one.boxes.copy() for one in samples]
    after = apply_steps(samples[0], [step], sample_rng(seed, 0, 0), samples[1:])
    height, width = after.size
    assert len(after.boxes) == len(after.classes) and after.boxes.dtype == np.float32 and after.classes.dtype == np.int64
    limit = 0.501 if getattr(config, "keep_ratio", False) else 1e-3  # only the image's size is rounded, as in PaddleDetection
    limit = np.inf if getattr(config, "remove_outside_box", False) else limit  # the fifth image's boxes are not cut off then
    assert (after.boxes >= -limit).all() and (after.boxes <= np.asarray([width, height] * 2) + limit).all()
    assert (after.boxes[:, 2:] > after.boxes[:, :2]).all()
    classes = np.concatenate([one.classes for one in samples])
    assert len(set(after.classes.tolist())) == len(after.classes) and set(after.classes.tolist()) <= set(classes.tolist())
    assert all((one.boxes == kept).all() for one, kept in zip(samples, before, strict=True)), "the data set's boxes are never changed"


def test_every_transform_has_a_function() -> None:
    left_out = {schema.Decode, schema.NormalizeBox, schema.BboxXYXY2XYWH, schema.PadGT, schema.PadBatch}
    for config in (*EVERY, schema.NormalizeImage(), schema.Permute(), schema.PadBox(), schema.Resize(target_size=9, keep_ratio=True)):
        assert len(build_steps([config])) == 1
    declared = {one.__name__ for one in (*schema.SampleTransform.__args__, *schema.SHARED_BATCH_TRANSFORMS)}
    covered = {type(config).__name__ for config in EVERY} | {cls.__name__ for cls in left_out}
    assert declared - covered == {"NormalizeImage", "Permute", "PadBox", "Resize", "RandomSelect", "v2.*"}


@pytest.mark.parametrize("config", [schema.Mixup(), schema.Mosaic(input_dim=32)])
def test_a_mixing_is_told_apart(config: Any) -> None:
    assert isinstance(build_steps([config])[0], Mixing)

from __future__ import annotations

import time
from typing import Any

import pytest
from support.measured import measured

from runner.advice.hints import memory_hint, size_hints
from runner.advice.measures import measure


def config(size: Any = None, strides: Any = (8,), **resize: Any) -> dict[str, Any]:
    transforms: list[Any] = [{"Decode": {}}]
    if size is not None:
        transforms.append({"Resize": {"target_size": list(size), "keep_ratio": False, **resize}})
    return {"EvalReader": {"sample_transforms": transforms}, "FCOSHead": {"fpn_stride": strides}}


BLOOD = measured([(100, 100)] * 90 + [(200, 200)] * 8 + [(40, 40)] * 9, classes=[0] * 90 + [1] * 8 + [2] * 9, names="RBC WBC Platelets")


def test_small_boxes_are_named_with_the_key_that_helps() -> None:
    (hint,) = size_hints(config([128, 128]), BLOOD)
    assert hint == (
        "5 % of the boxes are below 9 px with images at 128×128: Platelets (100 % of them); "
        "image_size of about [120, 160] gives them 10 px, or levels that begin at stride 4, not 8"
    )
    (hint,) = size_hints(config([64, 64]), BLOOD)
    assert "below 5 px" in hint and hint.endswith(  # stride 4 alone would not do
        "image_size of about [120, 160] gives them 10 px, or levels that begin at stride 4, not 8, and [96, 128] for 8 px"
    )
    (hint,) = size_hints(config([64, 64], [4, 8]), BLOOD)
    assert hint.endswith("image_size of about [96, 128] gives them 8 px")
    assert size_hints(config([240, 320]), BLOOD) == []
    assert size_hints(config([128, 128], [4, 8]), BLOOD) == []


def test_large_boxes_ask_for_a_coarser_level() -> None:
    data = measured([(300, 400)] * 19 + [(60, 60)], names="face")
    (hint,) = size_hints(config(), data)
    assert hint.startswith(
        "5 % of the boxes are longer than 400 px with images at their own size: face (95 % of them); the coarsest level,"
    )
    assert hint.endswith("levels: [8, 16, 32] has one for them")
    assert size_hints(config(strides=[8, 16, 32]), data) == []


def test_only_levels_that_can_be_built_are_named() -> None:
    data = measured([(3000, 4000)] * 20, names="field", size=(3000, 4000))
    (hint,) = size_hints(config(), data)
    assert hint.endswith("image_size of about [1536, 2048] makes them 2048 px, with levels: [8, 16, 32, 64, 128]")
    (hint,) = size_hints(config(strides=[32, 64, 128]), data)
    assert hint.endswith("image_size of about [1536, 2048] makes them 2048 px")
    (hint,) = size_hints(config(strides=[8, 32]), data)  # no step between them: `levels` does not take it
    assert hint.endswith("image_size of about [384, 512] makes them 512 px")


def test_a_batch_that_needs_more_memory_than_there_is_gets_one_line() -> None:
    def reader(size: list[int], **keys: Any) -> dict[str, Any]:
        return {"TrainReader": {**config(size)["EvalReader"], **keys}}

    (hint,) = memory_hint(reader([6000, 8000], batch_size=8), 16.0)
    assert hint == (
        "a batch of 8 images of 6000×8000 needs about 429 GiB of memory, and 16.0 GiB are available; "
        "reduce image_size or TrainReader.batch_size"
    )
    assert memory_hint(reader([6000, 8000], batch_size=8), 500.0) == []
    assert memory_hint(reader([320, 320], batch_size=8), 2.0) == []
    assert memory_hint(reader([6000, 8000]), 1.0) == [] and memory_hint({}, 1.0) == []


def test_other_architectures_get_the_hint_about_pixels_alone() -> None:
    (hint,) = size_hints(config([64, 64]) | {"FCOSHead": None}, BLOOD)
    assert "gives them 8 px" in hint and "levels" not in hint


@pytest.mark.parametrize("transform", [{"RandomCrop": {}}, {"Mosaic": {"input_dim": [64, 64]}}])
def test_sizes_that_are_not_known_give_no_hint(transform: Any) -> None:
    plain = config([64, 64])
    plain["EvalReader"]["sample_transforms"].append(transform)
    assert size_hints(plain, BLOOD) == []
    assert size_hints({}, BLOOD) == [] and size_hints(config([8, 8]), measured([])) == []


def test_many_classes_are_counted_not_listed() -> None:
    data = measured([(10, 10)] * 6, classes=range(6), names="a b c d e f")
    (hint,) = size_hints(config([96, 128]), data)
    assert "a (100 % of them), b (100 % of them), c (100 % of them) and 3 more classes" in hint


def test_ten_thousand_images_take_less_than_a_tenth_of_a_second() -> None:
    from support.measured import coco_of

    data = coco_of([(20, 20)] * 50_000, [(480, 640)] * 10_000)
    taken = []
    for _ in range(3):
        start = time.process_time()
        size_hints(config([128, 128]), measure(data))
        taken.append(time.process_time() - start)
    assert min(taken) < 0.1, taken

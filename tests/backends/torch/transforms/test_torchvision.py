"""torchvision's transforms by their names: what a config may say, what is refused, and that results can be repeated."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from runner.backends.torch.transforms import schema, torchvision
from runner.backends.torch.transforms.sample import ImageSample, sample_rng
from runner.backends.torch.transforms.steps import apply_steps, build_steps
from runner.config.bind import bind, require
from runner.config.dump import canonical
from runner.config.load import parse
from runner.config.node import Source
from runner.config.overrides import apply_overrides
from runner.config.schema import Form

MakeSample = Callable[..., ImageSample]
NEEDED: dict[str, dict[str, Any]] = {
    "CenterCrop": {"size": (30, 40)},
    "GaussianBlur": {"kernel_size": 3},
    "Grayscale": {"num_output_channels": 3},
    "JPEG": {"quality": 50},
    "Pad": {"padding": 4},
    "RandomAdjustSharpness": {"sharpness_factor": 2.0},
    "RandomAffine": {"degrees": 20.0},
    "RandomCrop": {"size": (30, 40)},
    "RandomPosterize": {"bits": 3},
    "RandomResize": {"min_size": 20, "max_size": 60},
    "RandomResizedCrop": {"size": (30, 40)},
    "RandomRotation": {"degrees": 20.0},
    "RandomShortestSize": {"min_size": (20, 40)},
    "RandomSolarize": {"threshold": 128.0},
    "Resize": {"size": (30, 40)},
    "ScaleJitter": {"target_size": (50, 50)},
}
"""Arguments without a default."""


@dataclass(frozen=True)
class Holder:
    """Config of nothing but transforms."""

    form: ClassVar[Form] = "section"
    transforms: tuple[schema.SampleTransform, ...]


def bound(text: str) -> Any:
    return bind(parse(text, lambda line: Source("x.yml", line)), Holder)


def test_a_config_has_the_arguments_of_the_installed_torchvision() -> None:
    found = require(bound("transforms: [{v2.RandomIoUCrop: {min_scale: 0.5}}, v2.RandomHorizontalFlip]"))
    crop, flip = found.transforms
    assert type(crop).__name__ == "v2.RandomIoUCrop" and isinstance(crop, schema.Torchvision)
    assert (crop.min_scale, crop.max_scale, crop.trials, crop.sampler_options, flip.p) == (0.5, 1.0, 40, None, 0.5)  # type: ignore[attr-defined]
    written = canonical(found)
    assert written["transforms"][1] == {"v2.RandomHorizontalFlip": {"p": 0.5}}
    tree = apply_overrides(
        parse("transforms: [{v2.RandomIoUCrop: {}}]", lambda line: Source("x", line)), ["transforms.0.v2.RandomIoUCrop.trials=7"]
    )
    assert require(bind(tree, Holder)).transforms[0].trials == 7  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("v2.RandomIoUCropp: {}", "has no transform 'v2.RandomIoUCropp'; did you mean 'v2.RandomIoUCrop'"),
        ("v2.RandomIoUCrop: {min_scal: 1}", "unknown key of v2.RandomIoUCrop; did you mean 'min_scale'"),
        ("v2.RandomIoUCrop: {trials: 1.5}", "expected an integer, got 1.5"),
        ("v2.ScaleJitter: {}", "missing; expected a list of 2 (each an integer)"),
        ("v2.Resize: {size: 9, interpolation: linear}", "expected one of 'nearest'"),
        ("v2.MixUp: {}", "needs a whole batch"),
        ("v2.Lambda: {}", "a function, which a config cannot write"),
        ("v2.RandomErasing: {}", "does not support boxes"),
        ("v2.TrivialAugmentWide: {}", "does not support boxes"),
        ("v2.Normalize: {}", "normalised by the reader"),
        ("v2.RandomApply: {}", "RandomSelect chooses"),
    ],
)
def test_what_cannot_be_given_is_refused_by_name(text: str, words: str) -> None:
    (problem,) = bound(f"transforms:\n  - {text}").problems
    assert words in problem.message and problem.where == "x.yml:2"


@pytest.mark.parametrize("name", torchvision.names())
def test_every_one_that_is_not_refused_works_on_boxes(name: str) -> None:
    config = torchvision.declared(f"v2.{name}")(**NEEDED.get(name, {}))
    assert torchvision.fault(config) == ""


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("Grayscale", {}, "expected three channels of uint8"),
        ("RandomZoomOut", {"side_range": (0.5, 0.7)}, "refuses the arguments of v2.RandomZoomOut"),
        ("RandomResizedCrop", {"size": (1, 2, 3)}, "refuses the arguments of v2.RandomResizedCrop"),
    ],
)
def test_values_that_torchvision_refuses(name: str, arguments: dict[str, Any], words: str) -> None:
    assert words in torchvision.fault(torchvision.declared(f"v2.{name}")(**arguments))


def test_results_follow_from_seed_epoch_and_index_and_leave_the_generators_alone(sample: MakeSample) -> None:
    steps = build_steps([torchvision.declared("v2.RandomIoUCrop")(), torchvision.declared("v2.RandomPhotometricDistort")(p=1.0)])
    before = sample(80, 120, [[10, 10, 50, 40], [60, 30, 110, 70]])

    def made(index: int) -> ImageSample:
        return apply_steps(before, steps, sample_rng(0, 0, index))

    first = [made(index) for index in range(12)]
    states = torch.get_rng_state(), random.getstate()
    torch.rand(5)
    again = [made(index) for index in reversed(range(12))][::-1]
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.image, other.image)
        assert one.boxes.tolist() == other.boxes.tolist() and one.classes.tolist() == other.classes.tolist()
    torch.set_rng_state(states[0])
    made(3)
    assert torch.equal(torch.get_rng_state(), states[0]) and random.getstate() == states[1]
    assert len({one.size for one in first}) > 3


def test_boxes_that_are_lost_go_with_their_classes(sample: MakeSample) -> None:
    step = build_steps([torchvision.declared("v2.CenterCrop")(size=(20, 20))])
    after = apply_steps(sample(40, 60, [[0, 0, 8, 8], [15, 5, 45, 35]]), step, sample_rng(0, 0, 0))
    assert after.classes.tolist() == [1] and after.boxes.tolist() == [[0, 0, 20, 20]]


@pytest.mark.filterwarnings("ignore:The image decoding and encoding capabilities:DeprecationWarning")
def test_boxes_stay_inside_and_with_their_classes() -> None:
    rng = np.random.default_rng(0)
    steps = {name: build_steps([torchvision.declared(f"v2.{name}")(**NEEDED.get(name, {}))]) for name in torchvision.names()}
    for round_ in range(6):
        height, width = (int(side) for side in rng.integers(50, 90, 2))
        corner = rng.uniform(0, 0.6, (4, 2)) * (width, height)
        boxes = np.concatenate([corner, corner + rng.uniform(0.1, 0.4, (4, 2)) * (width, height)], axis=1).astype(np.float32)
        image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        for name, step in steps.items():
            after = apply_steps(ImageSample(image, boxes, np.arange(4), (1.0, 1.0), 0, "a"), step, sample_rng(round_, 0, 0))
            assert len(set(after.classes.tolist())) == len(after.boxes) == len(after.classes), name
            assert (after.boxes[:, 2:] > after.boxes[:, :2]).all() and (after.boxes >= 0).all(), name
            assert (after.boxes[:, 2:] <= np.asarray(after.size[::-1])).all(), name

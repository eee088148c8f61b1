"""Choice of a config's keys from the measures of a training set and the speed of a machine. Each value has its reason in words."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from runner.advice.hints import LEAST_PX, TAIL
from runner.advice.measures import Measures, sides_of
from runner.config.levels import STRIDES

Device = Literal["cpu", "gpu"]

GOOD_PX: Final[dict[Device, float]] = {"cpu": 16.0, "gpu": 32.0}
"""Side of the smallest boxes, in pixels of the resized image, beyond which more pixels cost more than they bring: two locations of stride 8
per side. DeepPCB at 14 px reaches 0.78 AP50 (configs/fcos_deeppcb_cpu.yml). A GPU has the time for twice that."""
LEAST_LONGER_PX: Final = 224
"""Smallest longer side of an image: below, even large objects lose what tells their classes apart. Networks for classification are trained
at it."""
MOST_PIXELS: Final[dict[Device, int]] = {"cpu": 640 * 640, "gpu": 800 * 1333}
"""Largest area of an image after it is resized: batches of it take about 5 GiB of memory on a CPU, and seconds per step."""
LARGEST_SCALE: Final = 2.0
"""Largest enlargement of stored images, for boxes below `LEAST_PX`. More pixels show nothing new."""
FINE_LEVEL_PX: Final = 16.0
"""Boxes smaller than this, two locations of stride 8, get a level of stride 4. It costs less than images of twice the size: per pixel [4]
takes 0.8 of the time of [8], and [4, 8] takes 1.3 of it. On DeepPCB at 320 px it finds more after as many images (benchmarks/LOG.md)."""
SEEN_STRIDES: Final = 8
"""Longest box in strides of the coarsest level. A location of the head sees 11 cells of its level: from the middle of such a box, all of
it and some of what surrounds it."""
SAME_SHAPE: Final = 1.15
"""Images whose aspect ratios differ by at most this factor are squeezed to one shape: every batch then has one size, without padding."""
ENOUGH_VIEWS: Final = 5000
"""Number of images to train on, counted with repetition, for a randomly initialised detector to find every class of a simple set.
configs/fcos_tiny.yml trains on half as many, configs/fcos_deeppcb_cpu.yml on twice as many."""
MOST_VIEWS: Final = 8 * ENOUGH_VIEWS
MOST_EPOCHS: Final = 36
"""Length that training does not exceed, however much time there is: the larger of the two. 36 epochs are the "3x" of COCO's detectors."""
FEWEST_STEPS: Final = 400
"""Number of steps below which smaller batches are better than fewer steps: a step that is twice as exact does not learn twice as much."""
BATCH: Final[dict[Device, int]] = {"cpu": 8, "gpu": 16}
"""Images per step. Batch norm needs some images to estimate its statistics; a GPU is not busy with fewer."""
SMALLEST_BATCH: Final = 4
BASE_LR: Final = 0.002
"""Learning rate of AdamW with batches of 8; it goes with the square root of the batch size (arXiv 1802.09568), as its noise does."""
WARMUP: Final = (0.1, 100)
"""Length of the warm-up: this share of the training, and at most so many steps."""
USED_TIME: Final = 0.9
"""Share of the time that is planned for: the rest is for what a few steps do not show, such as saving and a busy machine."""
MULTIPLE: Final = 32
"""Sizes are multiples of it, so that images need no padding at any level."""
_SIDED: Final = ("left", "right")
"""Words in names of classes that a horizontally flipped image would turn into the other one."""


@dataclass(frozen=True, slots=True)
class Speed:
    """Costs that a probe of a choice has found on this machine.

    Args:
        step_s: seconds per step.
        eval_image_s: seconds per image of an evaluation.
        start_s: seconds until the first step.
        memory_gib: the most memory a process held, of the GPU if it trains on one.
        free_share: share of this machine's cores that other processes left, 0 to 1.
    """

    step_s: float
    eval_image_s: float
    start_s: float
    memory_gib: float
    free_share: float = 1.0


@dataclass(frozen=True, slots=True)
class TrainingChoice:
    """The keys of a config that depend on the data and the machine.

    Args:
        size: (height, width) in pixels, (shorter, longer side) with `keep_ratio`.
        keep_ratio: images keep their aspect ratio.
        levels: strides of the pyramid in pixels.
        batch_size: images per step.
        flip: images are flipped horizontally at random.
        device: what trains.
        steps: length of training; 0: not known yet.
        smallest_px: side of the boxes that only `TAIL` of all are smaller than, after the images are resized.
        longest_px: length that only `TAIL` of all boxes exceed, likewise.
    """

    size: tuple[int, int]
    keep_ratio: bool
    levels: tuple[int, ...]
    batch_size: int
    flip: bool
    device: Device
    steps: int
    smallest_px: float
    longest_px: float

    @property
    def base_lr(self) -> float:
        """Learning rate after the warm-up."""
        return float(f"{BASE_LR * math.sqrt(self.batch_size / BATCH['cpu']):.2g}")

    @property
    def warmup_steps(self) -> int:
        """Length of the warm-up in steps."""
        return max(1, min(WARMUP[1], round(WARMUP[0] * self.steps)))


def first_choice(data: Measures, device: Device) -> TrainingChoice:
    """Choose as if time did not matter: the smallest boxes get their `GOOD_PX`, in at most the pixels of the images and `MOST_PIXELS`."""
    longer = max(data.typical)
    low = float(np.quantile(data.sides, TAIL))
    most = math.sqrt(MOST_PIXELS[device] / math.prod(data.typical))
    scale = min(max(GOOD_PX[device] / low, LEAST_LONGER_PX / longer), max(1.0, LEAST_PX / low), LARGEST_SCALE, most)
    return _choice(data, scale, device, BATCH[device])


def fitted_choice(data: Measures, probed: TrainingChoice, speed: Speed, seconds: float, eval_images: int) -> TrainingChoice:
    """Fit a choice to the time: reduce the size of the images until `ENOUGH_VIEWS` fit in, as far as the smallest boxes allow it, then the
    batch size if there would be fewer than `FEWEST_STEPS`.

    Args:
        probed: the choice that `speed` was measured on.
        seconds: time for everything.
        eval_images: number of images of the evaluation at the end.
    """
    longer, low = max(data.typical), float(np.quantile(data.sides, TAIL))
    scale = max(probed.size) / longer
    least = min(max(LEAST_PX / low, LEAST_LONGER_PX / longer), scale)
    image_s = speed.step_s / probed.batch_size
    view_s = _training_s(speed, seconds, eval_images) / ENOUGH_VIEWS
    wanted = scale * math.sqrt(max(view_s, 0.0) / image_s)
    fitted = probed if wanted >= scale else _choice(data, max(wanted, least), probed.device, probed.batch_size)
    if fitted.size == probed.size:
        fitted = probed
    steps = steps_within(_scaled(speed, probed, fitted), seconds, eval_images)
    if steps < FEWEST_STEPS and fitted.batch_size > SMALLEST_BATCH:
        fitted = _choice(data, max(fitted.size) / longer, fitted.device, SMALLEST_BATCH)
    return fitted


def steps_within(speed: Speed, seconds: float, eval_images: int) -> int:
    """Return the number of steps that fit into the time, beside the start and the evaluation at the end; at least 1."""
    return max(1, int(_training_s(speed, seconds, eval_images) / speed.step_s))


def _training_s(speed: Speed, seconds: float, eval_images: int) -> float:
    """Return the seconds that are left for steps; they may be negative."""
    return USED_TIME * seconds - speed.start_s - eval_images * speed.eval_image_s


def length_within(choice: TrainingChoice, speed: Speed, seconds: float, eval_images: int, images: int) -> int:
    """Return the length of training in steps: what fits into the time, and at most what brings something (`MOST_VIEWS`, `MOST_EPOCHS`)."""
    most = math.ceil(max(MOST_VIEWS, MOST_EPOCHS * images) / choice.batch_size)
    return min(most, steps_within(speed, seconds, eval_images))


def _scaled(speed: Speed, probed: TrainingChoice, choice: TrainingChoice) -> Speed:
    """Estimate the costs of another choice by its pixels per step."""
    area = math.prod(choice.size) / math.prod(probed.size)
    factor = area * choice.batch_size / probed.batch_size
    return Speed(speed.step_s * factor, speed.eval_image_s * area, speed.start_s, speed.memory_gib * factor)


def _choice(data: Measures, scale: float, device: Device, batch_size: int) -> TrainingChoice:
    keep_ratio = not _one_shape(data)
    size = _rounded(data, scale, keep_ratio=keep_ratio)
    boxes = data.resized(size, keep_ratio=keep_ratio)
    smallest = float(np.quantile(sides_of(boxes), TAIL))
    longest = float(np.quantile(boxes.max(axis=1), 1 - TAIL))
    return TrainingChoice(
        size=size,
        keep_ratio=keep_ratio,
        levels=_levels(smallest, longest),
        batch_size=min(batch_size, len(data.images)),
        flip=not mirrored_classes(data.class_names),
        device=device,
        steps=0,
        smallest_px=smallest,
        longest_px=longest,
    )


def _levels(smallest_px: float, longest_px: float) -> tuple[int, ...]:
    first = 4 if smallest_px < FINE_LEVEL_PX else 8
    strides = [stride for stride in STRIDES if stride >= first]
    enough = next((index for index, stride in enumerate(strides) if longest_px <= SEEN_STRIDES * stride), len(strides))
    return tuple(strides[: enough + 1])


def _one_shape(data: Measures) -> bool:
    """Return whether nearly all images have about the same aspect ratio."""
    ratios = data.images[:, 1] / data.images[:, 0]
    apart = np.exp(np.abs(np.log(ratios / np.median(ratios))))
    return bool((apart <= SAME_SHAPE).mean() >= 1 - TAIL)


def _rounded(data: Measures, scale: float, *, keep_ratio: bool) -> tuple[int, int]:
    height, width = (max(1, round(side * scale / MULTIPLE)) * MULTIPLE for side in data.typical)
    return (min(height, width), max(height, width)) if keep_ratio else (height, width)


def mirrored_classes(names: Iterable[str]) -> list[str]:
    """Return the classes whose objects, flipped horizontally, are of another class or of none: a side in their name, letters, digits."""
    return [name for name in names if any(word in name.lower() for word in _SIDED) or (len(name) == 1 and name.isalnum())]

"""Functions of configured transforms, in their order: the only place that says which function computes which transform."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from runner.backends.torch.transforms import autoaugment, color, geometry, mixing, schema
from runner.backends.torch.transforms.sample import Draws, ImageSample, Step


@dataclass(frozen=True, slots=True)
class Mixing:
    """Transform that makes one image of several."""

    function: Callable[[Sequence[ImageSample], Any, Draws], ImageSample]
    config: schema.Mixup | schema.Mosaic


def _permute(sample: ImageSample, _config: schema.Permute, _rng: Draws) -> ImageSample:
    return replace(sample, image=sample.image.transpose(2, 0, 1), channels_first=True)


def _first_boxes(sample: ImageSample, config: schema.PadBox, _rng: Draws) -> ImageSample:
    return sample.with_boxes(sample.boxes, slice(config.num_max_boxes))


_FUNCTIONS: dict[type[Any], Callable[[ImageSample, Any, Draws], ImageSample]] = {
    schema.Resize: geometry.resize_to_size,
    schema.RandomResize: geometry.random_resize,
    schema.BatchRandomResize: geometry.random_resize,
    schema.RandomShortSideResize: geometry.random_short_side_resize,
    schema.PadResize: geometry.pad_resize,
    schema.Pad: geometry.pad,
    schema.RandomFlip: geometry.random_flip,
    schema.RandomExpand: geometry.random_expand,
    schema.RandomCrop: geometry.random_crop,
    schema.RandomSizeCrop: geometry.random_size_crop,
    schema.RandomDistort: color.random_distort,
    schema.AugmentHSV: color.augment_hsv,
    schema.AutoAugment: autoaugment.auto_augment,
    schema.NormalizeImage: color.normalize_image,
    schema.Permute: _permute,
    schema.PadBox: _first_boxes,
}
_MIXING: dict[type[Any], Callable[[Sequence[ImageSample], Any, Draws], ImageSample]] = {
    schema.Mixup: mixing.mixup,
    schema.Mosaic: mixing.mosaic,
}


def build_steps(transforms: Sequence[schema.SampleTransform | schema.BatchTransform]) -> list[Step | Mixing]:
    """Make functions of the transforms, in the order given. What computes nothing here is left out: Decode has been done, PadBatch and what
    an architecture makes of the batch come later, and the layouts of boxes are the models' own.
    """
    return [step for step in map(_step, transforms) if step is not None]


def apply_steps(sample: ImageSample, steps: Sequence[Step | Mixing], rng: Draws, others: Sequence[ImageSample] = ()) -> ImageSample:
    """Apply all `steps` to `sample`, and drop the boxes that have lost their area on the way.

    Args:
        others: further images for a `Mixing`; what comes before that is applied to each of them too.
    """
    samples = [sample, *others]
    for step in steps:
        if not isinstance(step, Mixing):
            samples = [step(one, rng) for one in samples]
        elif len(samples) > 1:
            samples = [step.function(samples, step.config, rng)]
    return without_empty(samples[0])


def without_empty(sample: ImageSample) -> ImageSample:
    """Drop boxes without area."""
    keep = (sample.boxes[:, 2] > sample.boxes[:, 0]) & (sample.boxes[:, 3] > sample.boxes[:, 1])
    return sample if keep.all() else sample.with_boxes(sample.boxes, keep)


def _step(config: schema.SampleTransform | schema.BatchTransform) -> Step | Mixing | None:
    if isinstance(config, schema.Mixup | schema.Mosaic):
        return Mixing(_MIXING[type(config)], config)
    if isinstance(config, schema.RandomSelect):
        return _select(config)
    if isinstance(config, schema.Torchvision):
        made: Step = schema.torchvision_transforms().step(config)
        return made
    function = _FUNCTIONS.get(type(config))
    return None if function is None else lambda sample, rng: function(sample, config, rng)


def _select(config: schema.RandomSelect) -> Step:
    """Make a function that applies one of two lists."""
    lists = [[step for step in build_steps(some) if not isinstance(step, Mixing)] for some in (config.transforms1, config.transforms2)]

    def select(sample: ImageSample, rng: Draws) -> ImageSample:
        for step in lists[0] if rng.random() < config.p else lists[1]:
            sample = step(sample, rng)
        return sample

    return select

"""Sizes of the images that a reader yields: one for all, one per batch, or several. Imports neither torch nor OpenCV."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from runner.backends.torch.models.base import batch_transform_classes
from runner.backends.torch.transforms import schema

_KEEPS_SIZE = (
    schema.Decode,
    schema.RandomFlip,
    schema.RandomDistort,
    schema.AugmentHSV,
    schema.AutoAugment,
    schema.NormalizeImage,
    schema.Permute,
    schema.NormalizeBox,
    schema.BboxXYXY2XYWH,
    schema.PadBox,
    schema.PadGT,
    schema.PadBatch,
)
_TORCHVISION_KEEPS_SIZE = frozenset(
    (
        "ColorJitter GaussianBlur GaussianNoise Grayscale Identity JPEG RGB RandomAdjustSharpness RandomAutocontrast"
        " RandomChannelPermutation RandomEqualize RandomGrayscale RandomHorizontalFlip RandomInvert RandomPhotometricDistort"
        " RandomPosterize RandomSolarize RandomVerticalFlip"
    ).split()
)


def is_fixed_size(reader: Any) -> bool:
    """Return whether all batches of a reader section have one size."""
    return _ends_in_one_size((*reader.sample_transforms, *reader.batch_transforms), of_all=True)


def has_one_size_per_batch(reader: Any) -> bool:
    """Return whether the images of each batch have one size without padding."""
    return _ends_in_one_size((*reader.sample_transforms, *reader.batch_transforms), of_all=False)


def _ends_in_one_size(transforms: Sequence[Any], *, of_all: bool) -> bool:
    """Return whether the last transform that changes sizes leaves a single one: to all images, or to those of a batch."""
    one = False
    for transform in transforms:
        match transform:
            case schema.Resize() | schema.PadResize():
                one = not getattr(transform, "keep_ratio", False)
            case schema.RandomResize() | schema.BatchRandomResize():
                drawn = transform.random_size and not isinstance(transform.target_size, int) and len(transform.target_size) > 1
                per_batch = isinstance(transform, schema.BatchRandomResize) and not of_all
                one = not transform.keep_ratio and not getattr(transform, "random_range", False) and (per_batch or not drawn)
            case schema.Pad():
                one = transform.size is not None
            case schema.Torchvision() if type(transform).__name__.removeprefix(transform.names.prefix) in _TORCHVISION_KEEPS_SIZE:
                continue
            case _ if isinstance(transform, _KEEPS_SIZE) or type(transform) in batch_transform_classes():
                continue
            case _:
                one = False
    return one

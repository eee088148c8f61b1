"""Which readers yield images of one size."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from runner.backends.torch.transforms import schema
from runner.backends.torch.transforms.sizes import has_one_size_per_batch, is_fixed_size

FIXED, FREE = schema.Resize(target_size=64, keep_ratio=False), schema.Resize(target_size=64, keep_ratio=True)
DRAWN = schema.BatchRandomResize(target_size=(32, 64), keep_ratio=False)


@pytest.mark.parametrize(
    ("transforms", "of_all", "of_a_batch"),
    [
        ((), False, False),
        ((FIXED, schema.RandomFlip(), schema.RandomDistort(), schema.PadGT()), True, True),
        ((FIXED, schema.RandomCrop()), False, False),
        ((FREE,), False, False),
        ((FREE, schema.Pad(size=64)), True, True),
        ((FREE, schema.Pad(size_divisor=32)), False, False),
        ((schema.Mosaic(), schema.PadResize(target_size=64)), True, True),
        ((schema.RandomResize(target_size=(64,), keep_ratio=False),), True, True),
        ((schema.RandomResize(target_size=(64, 32), keep_ratio=False),), False, False),
        ((schema.RandomCrop(), DRAWN), False, True),
        ((DRAWN, schema.RandomExpand()), False, False),
    ],
)
def test_sizes(transforms: Any, of_all: bool, of_a_batch: bool) -> None:
    reader = SimpleNamespace(sample_transforms=transforms, batch_transforms=())
    assert (is_fixed_size(reader), has_one_size_per_batch(reader)) == (of_all, of_a_batch)

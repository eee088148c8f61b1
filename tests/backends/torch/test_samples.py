"""Batches of the images that a worker reads: padding, sizes per batch, and images that are mixed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from runner.backends.torch import reader
from runner.backends.torch.samples import PackedBatch, collate
from runner.backends.torch.schema import TorchConfig
from runner.backends.torch.transforms import schema
from runner.backends.torch.transforms.sample import ImageSample, sample_rng
from runner.backends.torch.transforms.steps import apply_steps, build_steps

Config = Callable[..., TorchConfig]
AFTER = (schema.NormalizeImage(), schema.Permute())


def sample(height: int, width: int, boxes: list[list[float]]) -> ImageSample:
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    found = np.asarray(boxes, dtype=np.float32).reshape(-1, 4)
    return ImageSample(image, found, np.arange(len(found), dtype=np.int64), (1.0, 1.0), 1, "a.png")


@pytest.mark.parametrize("channels_last", [False, True])
def test_collate_pads_right_and_below(channels_last: bool) -> None:
    steps = build_steps([schema.NormalizeImage(), schema.Permute()])
    two = [apply_steps(one, steps, sample_rng(0, 0, 0)) for one in (sample(40, 60, [[1, 2, 3, 4]]), sample(50, 20, []))]
    packed = collate(two, 32, channels_last=channels_last)
    assert packed.images.shape == (2, 3, 64, 64)
    np.testing.assert_array_equal(packed.images[0, :, :40, :60].numpy(), two[0].image)
    assert not packed.images[0, :, 40:].any() and not packed.images[1, :, :, 20:].any()
    assert packed.sizes.tolist() == [[40, 60], [50, 20]]
    assert [len(boxes) for boxes in packed.to_batch(packed.images.device).boxes] == [1, 0]
    assert collate(two, 0).images.shape == (2, 3, 50, 60)


def test_the_size_before_padding_is_that_before_pad() -> None:
    steps = build_steps([schema.Pad(size=(64, 80)), *AFTER])
    packed = collate([apply_steps(sample(40, 60, []), steps, sample_rng(0, 0, 0))], 32)
    assert packed.images.shape == (1, 3, 64, 96) and packed.sizes.tolist() == [[40, 60]]


def read(config: TorchConfig, first: int = 0) -> list[PackedBatch]:
    with reader.training_steps(config, reader.load_training_data(config), first) as steps:
        return [batch for step in steps for batch in step]


def with_reader(config: TorchConfig, *transforms: schema.SampleTransform, **changes: object) -> TorchConfig:
    own = config.train_reader
    return replace(config, train_reader=replace(own, sample_transforms=(schema.Decode(), *transforms), **changes))  # type: ignore[arg-type]


@pytest.mark.parametrize("workers", [0, 2])
def test_every_batch_has_a_size_of_its_own_wherever_a_run_begins(config: Config, workers: int) -> None:
    sizes = schema.BatchRandomResize(target_size=(32, 48, 64), keep_ratio=False, interp=1)
    (pad, target) = config().train_reader.batch_transforms
    here = with_reader(config(epoch=3, worker_num=workers), schema.RandomFlip(), batch_transforms=(sizes, *AFTER, pad, target))
    batches = read(here)
    found = [{tuple(size) for size in batch.sizes.tolist()} for batch in batches]
    assert all(len(of_batch) == 1 for of_batch in found) and len(set.union(*found)) == 3
    assert all((one.images == other.images).all() for one, other in zip(batches[7:], read(here, 7), strict=True))


@pytest.mark.parametrize(
    ("transform", "key"),
    [(schema.Mixup(), "mixup_epoch"), (schema.Mosaic(input_dim=48), "mosaic_epoch")],
    ids=["Mixup", "Mosaic"],
)
def test_images_are_mixed_until_an_epoch_whatever_the_workers(config: Config, transform: schema.Mixup | schema.Mosaic, key: str) -> None:
    resize = schema.Resize(target_size=48, keep_ratio=False)
    mixed, in_workers = (
        read(with_reader(config(epoch=2, worker_num=workers), transform, resize, *AFTER, **{key: 1})) for workers in (0, 2)
    )
    plain = read(with_reader(config(epoch=2), resize, *AFTER))
    per_epoch = len(plain) // 2
    assert sum(map(sum, (batch.counts for batch in mixed[:per_epoch]))) > sum(map(sum, (batch.counts for batch in plain[:per_epoch])))
    assert all((one.images != other.images).any() for one, other in zip(mixed[:per_epoch], plain, strict=False))
    assert all((one.images == other.images).all() for one, other in zip(mixed[per_epoch:], plain[per_epoch:], strict=True))
    assert all((one.images == other.images).all() for one, other in zip(mixed, in_workers, strict=True))
    assert all((one.images == other.images).all() for one, other in zip(mixed[3:], read_from(config, transform, key), strict=True))


def read_from(config: Config, transform: schema.Mixup | schema.Mosaic, key: str) -> list[PackedBatch]:
    """Read what a run that is resumed at step 3 reads."""
    resize = schema.Resize(target_size=48, keep_ratio=False)
    return read(with_reader(config(epoch=2), transform, resize, *AFTER, **{key: 1}), 3)

"""Problems that `check_readers` finds in transforms that do not fit together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from runner.backends.torch.models.base import model_of
from runner.backends.torch.schema import TorchConfig
from runner.backends.torch.transforms import schema
from runner.backends.torch.transforms.checks import check_readers

Config = Callable[..., TorchConfig]
DECODE, NORMALIZE, PERMUTE, PAD = schema.Decode(), schema.NormalizeImage(), schema.Permute(), schema.PadBatch(pad_to_stride=32)
DISTORT, EXPAND, MIXUP, MOSAIC = schema.RandomDistort(), schema.RandomExpand(), schema.Mixup(), schema.Mosaic()


def found(config: TorchConfig) -> list[tuple[str, str]]:
    return [(problem.key, problem.message) for problem in check_readers(config, model_of(config))]


def trained_with(config: TorchConfig, *transforms: Any, batch: tuple[Any, ...] | None = None, **changes: Any) -> TorchConfig:
    own = config.train_reader
    after = own.batch_transforms if batch is None else batch
    changed = replace(own, sample_transforms=(DECODE, *transforms, NORMALIZE, PERMUTE), batch_transforms=after, **changes)
    return replace(config, train_reader=changed)


def test_paddledetections_own_lists_have_no_problem(config: Config) -> None:
    target = config().train_reader.batch_transforms[-1]
    ppyolo = (MIXUP, DISTORT, EXPAND, schema.RandomCrop(), schema.RandomFlip())
    sizes = schema.BatchRandomResize(target_size=(32, 64), keep_ratio=False, random_interp=True)
    boxes = (schema.NormalizeBox(), schema.PadBox(), schema.BboxXYXY2XYWH())
    own = replace(config().train_reader, mixup_epoch=25, sample_transforms=(DECODE, *ppyolo))
    after = (sizes, *boxes, NORMALIZE, PERMUTE, schema.PadGT(), target)
    assert found(replace(config(), train_reader=replace(own, batch_transforms=after))) == []
    yolox = (schema.Mosaic(input_dim=64), schema.AugmentHSV(is_bgr=False), schema.PadResize(target_size=64), schema.RandomFlip())
    assert found(trained_with(config(), *yolox, batch=(schema.PadGT(), target), mosaic_epoch=3)) == []
    detr = schema.RandomSelect(
        transforms1=(schema.RandomShortSideResize(short_side_sizes=(48, 64), max_size=80),),
        transforms2=(schema.RandomShortSideResize(short_side_sizes=(64,)), schema.RandomSizeCrop(min_size=32, max_size=60)),
    )
    assert found(trained_with(config(), schema.RandomFlip(), detr)) == []


@pytest.mark.parametrize(
    ("transforms", "words"),
    [
        ((DISTORT, schema.AugmentHSV()), "AugmentHSV must come before RandomDistort, after which grey levels"),
        ((EXPAND, schema.RandomFlip(), schema.AutoAugment()), "AutoAugment must come before RandomExpand"),
        ((schema.NormalizeBox(), schema.RandomCrop()), "RandomCrop must come before NormalizeBox, after which boxes"),
        ((schema.RandomSelect(transforms1=(EXPAND,), transforms2=()), schema.AugmentHSV()), "AugmentHSV must come before RandomExpand"),
        ((schema.RandomDistort(hue=(3.0, -3.0, 0.5)),), "the lower bound 3 is above the upper one -3"),
        ((schema.RandomDistort(contrast=(0.5, 1.5, 2.0)),), "probability of not applying it"),
        ((schema.RandomCrop(scaling=(0.9, 0.2)),), "the lower bound 0.9"),
        ((schema.Pad(size=64, offsets=(1, 1)),), "offsets and pad_mode -1 belong together"),
        ((schema.AugmentHSV(hgain=5.0),), "hgain, sgain and vgain belong together"),
        ((schema.RandomSizeCrop(min_size=9, max_size=8),), "more than max_size 8"),
        ((schema.RandomShortSideResize(short_side_sizes=()),), "is empty"),
        ((MIXUP,), "without it Mixup is never applied"),
        ((schema.RandomResize(target_size=(), random_size=True),), "is empty"),
    ],
)
def test_transforms_that_do_not_fit(config: Config, transforms: Any, words: str) -> None:
    problems = found(trained_with(config(), *transforms))
    assert len(problems) == 1 and words in problems[0][1], problems


def test_epochs_without_their_transform_and_both_mixings(config: Config) -> None:
    assert found(trained_with(config(), mosaic_epoch=2)) == [("TrainReader.mosaic_epoch", "no effect without Mosaic in sample_transforms")]
    assert found(trained_with(config(), mixup_epoch=-1)) == []
    both = found(trained_with(config(), MIXUP, MOSAIC, mixup_epoch=1, mosaic_epoch=1))
    assert len(both) == 1 and "cannot be combined" in both[0][1]


@pytest.mark.parametrize("transform", [schema.RandomFlip(), MOSAIC, schema.PadResize(target_size=64), schema.RandomCrop()])
def test_what_is_for_training_is_refused_elsewhere(config: Config, transform: Any) -> None:
    here = config()
    reader = replace(here.eval_reader, sample_transforms=(DECODE, transform, NORMALIZE, PERMUTE), batch_transforms=(PAD,))
    ((key, text),) = found(replace(here, eval_reader=reader))
    assert key == "EvalReader.sample_transforms.1" and text.startswith(f"{type(transform).__name__} is for training")


@pytest.mark.parametrize(
    ("batch", "words"),
    [
        ((PERMUTE, schema.BatchRandomResize(target_size=(32,), keep_ratio=False)), "BatchRandomResize must come before Permute"),
        ((schema.BatchRandomResize(target_size=(32, 64), keep_ratio=True), PERMUTE), "add PadBatch"),
        ((schema.BatchRandomResize(target_size=64, keep_ratio=False), PERMUTE), "random_size draws from a list"),
    ],
)
def test_batch_transforms_that_do_not_fit(config: Config, batch: Any, words: str) -> None:
    here = config()
    target = here.train_reader.batch_transforms[-1]
    own = replace(here.train_reader, sample_transforms=(DECODE, NORMALIZE), batch_transforms=(*batch, target))
    problems = found(replace(here, train_reader=own))
    assert len(problems) == 1 and words in problems[0][1], problems

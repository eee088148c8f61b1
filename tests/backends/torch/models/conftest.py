"""Small configs and batches for the model's tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch

from runner.backends.torch import schema
from runner.backends.torch.batch import Batch
from runner.backends.torch.models.fcos import schema as fcos
from runner.backends.torch.models.layers import schema as layers
from runner.backends.torch.transforms.schema import BatchTransform, PadBatch

MakeConfig = Callable[..., schema.TorchConfig]
MakeBatch = Callable[..., Batch]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small tensors are quicker on one thread, and other tests may run beside these."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def make_config() -> MakeConfig:
    """A ResNet-18 FCOS of three classes and width 32, changed part by part: `head={"num_shift": 0.0}`."""

    def make(
        *,
        backbone: layers.ResNet | layers.MobileNetV3 | None = None,
        neck: dict[str, Any] | None = None,
        head: dict[str, Any] | None = None,
        feat: dict[str, Any] | None = None,
        loss: dict[str, Any] | None = None,
        nms: dict[str, Any] | None = None,
        targets: dict[str, Any] | None = None,
        batch_transforms: tuple[BatchTransform, ...] | None = None,
        **top: Any,
    ) -> schema.TorchConfig:
        fcos_feat = fcos.FCOSFeat(**{"feat_in": 32, "feat_out": 32, "num_convs": 2, "norm_type": "gn", **(feat or {})})
        fcos_head = fcos.FCOSHead(
            **{
                "num_classes": 3,
                "fcos_feat": fcos_feat,
                "fcos_loss": fcos.FCOSLoss(**(loss or {})),
                "nms": layers.MultiClassNMS(**(nms or {})),
                **(head or {}),
            }
        )
        fpn = layers.FPN(
            **{
                "out_channel": 32,
                "spatial_scales": (1 / 8, 1 / 16, 1 / 32),
                "extra_stage": 2,
                "has_extra_convs": True,
                "use_c5": False,
                **(neck or {}),
            }
        )
        default = layers.ResNet(depth=18, return_idx=(1, 2, 3), freeze_at=-1, freeze_norm=False, first_shortcut="identity")
        target = fcos.Gt2FCOSTarget(
            **{
                "object_sizes_boundary": (64.0, 128.0, 256.0, 512.0),
                "center_sampling_radius": 1.5,
                "downsample_ratios": fcos_head.fpn_stride,
                "num_shift": fcos_head.num_shift,
                "norm_reg_targets": fcos_head.norm_reg_targets,
                **(targets or {}),
            }
        )
        transforms = (PadBatch(pad_to_stride=32), target) if batch_transforms is None else batch_transforms
        data = schema.COCODataSet()
        config = schema.TorchConfig(
            architecture=fcos.FCOS(backbone=backbone or default, neck=fpn, fcos_head=fcos_head),
            num_classes=3,
            train_dataset=data,
            eval_dataset=data,
            train_reader=schema.TrainReader(sample_transforms=(), batch_transforms=transforms),
            eval_reader=schema.EvalReader(sample_transforms=()),
        )
        return replace(config, **top)

    return make


@pytest.fixture
def make_batch() -> MakeBatch:
    """Random images; `boxes` and `classes` an image, none at all if left out."""

    def make(
        height: int = 64,
        width: int = 96,
        boxes: list[list[list[float]]] | None = None,
        classes: list[list[int]] | None = None,
        scales: list[list[float]] | None = None,
    ) -> Batch:
        boxes = [[]] if boxes is None else boxes
        classes = [[0] * len(image) for image in boxes] if classes is None else classes
        count = len(boxes)
        return Batch(
            images=torch.randn(count, 3, height, width),
            boxes=tuple(torch.tensor(image, dtype=torch.float32).reshape(-1, 4) for image in boxes),
            classes=tuple(torch.tensor(image, dtype=torch.int64) for image in classes),
            scales=torch.tensor(scales or [[1.0, 1.0]] * count),
            sizes=torch.tensor([[height, width]] * count),
            ids=tuple(range(count)),
            names=tuple(f"{index}.png" for index in range(count)),
        )

    return make

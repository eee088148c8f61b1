"""Norm layers, backbones and the pyramid: shapes, strides, freezing, initialisation."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn
from torchvision import models

from runner.backends.torch import schema
from runner.backends.torch.model.backbones import MobileNetV3, ResNet, build_backbone
from runner.backends.torch.model.layers import BatchNorm, FixedBatchNorm, norm_layer
from runner.backends.torch.model.neck import Neck
from runner.backends.torch.model_check import backbone_strides

SIZE = (97, 130)  # no multiple of any stride


@pytest.mark.parametrize(
    "config",
    [
        schema.ResNet(depth=18, return_idx=(1, 2, 3)),
        schema.ResNet(depth=34, return_idx=(0, 1, 2), num_stages=3),
        schema.ResNet(depth=50, return_idx=(0, 1, 2, 3)),
        schema.ResNet(depth=101, return_idx=(1, 2)),
        schema.MobileNetV3(),
        schema.MobileNetV3(model_name="small", feature_maps=(3, 4, 9, 12), scale=0.5),
        schema.MobileNetV3(model_name="large", feature_maps=(7, 13, 16), scale=1.25),
    ],
    ids=lambda config: f"{type(config).__name__}-{getattr(config, 'depth', getattr(config, 'scale', ''))}",
)
def test_levels_have_the_channels_and_strides_that_are_promised(config: schema.ResNet | schema.MobileNetV3) -> None:
    backbone = build_backbone(config).eval()
    with torch.no_grad():
        levels = backbone(torch.randn(1, 3, *SIZE))
    expected = [
        (channels, *(math.ceil(side / stride) for side in SIZE))
        for channels, stride in zip(backbone.channels, backbone_strides(config), strict=True)
    ]
    assert [tuple(level.shape[1:]) for level in levels] == expected


def test_paddledetections_feature_numbers_are_strides_8_16_32() -> None:
    assert backbone_strides(schema.MobileNetV3(feature_maps=(6, 12, 15))) == (8, 16, 32)
    assert build_backbone(schema.MobileNetV3(feature_maps=(6, 12, 15))).channels == (40, 112, 160)
    assert backbone_strides(schema.MobileNetV3(model_name="small", feature_maps=(4, 9, 12))) == (8, 16, 32)


def test_what_is_not_handed_on_is_not_built() -> None:
    backbone = build_backbone(schema.ResNet(depth=18, return_idx=(1, 2)))
    assert not any(name.startswith(("layer4", "fc")) for name in backbone.state_dict())
    mobile = build_backbone(schema.MobileNetV3(feature_maps=(6, 12)))
    assert isinstance(mobile, MobileNetV3) and len(mobile.features) == 12


@pytest.mark.parametrize("kind", ["resnet", "mobilenet"])
def test_equals_torchvisions_network(kind: str) -> None:
    """With the same weights: the last level is what torchvision pools."""
    if kind == "resnet":
        theirs: Any = models.resnet18()
        mine: nn.Module = build_backbone(schema.ResNet(depth=18, return_idx=(3,), first_shortcut="identity"))
        body = nn.Sequential(*list(theirs.children())[:-2])
    else:
        theirs = models.mobilenet_v3_large()
        mine = build_backbone(schema.MobileNetV3(feature_maps=(16,)))
        body = theirs.features[:16]
    mine.load_state_dict({name: value for name, value in theirs.state_dict().items() if name in mine.state_dict()})
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.allclose(mine.eval()(images)[0], body.eval()(images), atol=1e-5)


@pytest.mark.parametrize("freeze_at", [-1, 0, 2, 3])
@pytest.mark.parametrize("freeze_norm", [True, False])
def test_freezing(freeze_at: int, freeze_norm: bool) -> None:
    config = schema.ResNet(depth=18, return_idx=(1, 2, 3), freeze_at=freeze_at, freeze_norm=freeze_norm)
    backbone = build_backbone(config).train()
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    for level in backbone(torch.randn(2, 3, 64, 64)):
        if level.requires_grad:
            level.sum().backward(retain_graph=True)
    stages = {"conv1": 0, "bn1": 0, "layer1": 0, "layer2": 1, "layer3": 2, "layer4": 3}
    norms = {name for name, layer in backbone.named_modules() if isinstance(layer, BatchNorm)}
    for name, parameter in backbone.named_parameters():
        is_norm = name.rpartition(".")[0] in norms
        stem = name.split(".")[0] in ("conv1", "bn1")
        frozen = stages[name.split(".")[0]] <= freeze_at or (stem and freeze_at >= 0) or (is_norm and freeze_norm)
        assert parameter.requires_grad != frozen, name
        assert (parameter.grad is None) == frozen, name
    for name, value in backbone.named_buffers():  # statistics stay by freeze_norm only, as in PaddleDetection
        assert torch.equal(value, before[name]) == freeze_norm, name


def test_fixed_norm_uses_its_statistics_in_training() -> None:
    layer = FixedBatchNorm(2)
    layer.running_mean = torch.tensor([1.0, 2.0])
    layer.running_var = torch.tensor([4.0, 9.0])
    layer.train()
    found = layer(torch.full((2, 2, 3, 3), 5.0))
    assert found[0, :, 0, 0].tolist() == pytest.approx([2, 1], abs=1e-4)
    assert not layer.training


def test_batch_norm_of_one_value_a_channel_uses_the_running_statistics() -> None:
    layer = BatchNorm(3).train()
    found = layer(torch.full((1, 3, 1, 1), 2.0))
    assert found.flatten().tolist() == pytest.approx([2, 2, 2], abs=1e-4)
    assert layer.running_mean is not None and layer.running_var is not None
    assert layer.running_mean.tolist() == [0, 0, 0] and layer.running_var.tolist() == [1, 1, 1]


def test_batch_norm_momentum_is_paddles() -> None:
    layer = norm_layer("sync_bn")(1)
    assert isinstance(layer, BatchNorm) and layer.momentum == pytest.approx(0.1) and layer.eps == pytest.approx(1e-5)


def test_backbone_starts_from_paddles_normal() -> None:
    backbone = build_backbone(schema.ResNet(depth=18, return_idx=(3,)))
    assert isinstance(backbone, ResNet)
    weight = backbone.get_submodule("layer4.1.conv2").weight
    assert isinstance(weight, nn.Parameter)
    assert weight.std().item() == pytest.approx(math.sqrt(2 / (9 * 512)), rel=0.01)


def shapes(neck: Neck, sides: tuple[int, ...] = (16, 8, 4), channels: tuple[int, ...] = (4, 8, 16)) -> list[tuple[int, ...]]:
    levels = [torch.randn(2, c, side, side + 3) for c, side in zip(channels, sides, strict=True)]
    return [tuple(level.shape) for level in neck(levels)]


@pytest.mark.parametrize("norm_type", [None, "bn", "gn", "sync_bn"])
@pytest.mark.parametrize(("extra", "convs", "use_c5"), [(0, False, True), (1, False, True), (2, True, True), (2, True, False)])
def test_pyramid_levels(norm_type: str | None, extra: int, convs: bool, use_c5: bool) -> None:
    config = schema.FPN(
        out_channel=32,
        extra_stage=extra,
        has_extra_convs=convs,
        use_c5=use_c5,
        norm_type=norm_type,  # type: ignore[arg-type]
    )
    neck = Neck(config, (4, 8, 16))
    expected = [(2, 32, 16, 19), (2, 32, 8, 11), (2, 32, 4, 7), (2, 32, 2, 4), (2, 32, 1, 2)]
    assert shapes(neck) == expected[: 3 + extra]
    has_bias = any(name.endswith("0.bias") for name in neck.state_dict())
    assert has_bias == (norm_type is None)


@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize("use_c5", [True, False])
def test_extra_levels_come_from_where_the_config_says(use_c5: bool, relu: bool) -> None:
    config = schema.FPN(out_channel=8, extra_stage=2, has_extra_convs=True, use_c5=use_c5, relu_before_extra_convs=relu)
    neck = Neck(config, (4, 6))
    levels = [torch.randn(1, 4, 8, 8), torch.randn(1, 6, 4, 4)]
    out = neck(levels)
    first, second = neck.fpn.extra_blocks.convs
    assert torch.allclose(out[2], first(levels[1] if use_c5 else out[1]))
    assert torch.allclose(out[3], second(out[2].relu() if relu else out[2]))


def test_pyramid_adds_the_level_above() -> None:
    neck = Neck(schema.FPN(out_channel=8, extra_stage=0), (4, 6))
    fine, coarse = torch.randn(1, 4, 8, 8), torch.randn(1, 6, 4, 4)
    lateral = neck.fpn.inner_blocks
    merged = lateral[0](fine) + lateral[1](coarse).repeat_interleave(2, 2).repeat_interleave(2, 3)
    out = neck([fine, coarse])
    assert torch.allclose(out[0], neck.fpn.layer_blocks[0](merged), atol=1e-6)
    assert torch.allclose(out[1], neck.fpn.layer_blocks[1](lateral[1](coarse)), atol=1e-6)


def test_pyramid_starts_from_paddledetections_xavier() -> None:
    neck = Neck(schema.FPN(out_channel=64, extra_stage=1, has_extra_convs=True), (32, 128))
    limits = {
        "fpn.inner_blocks.0.0": math.sqrt(6 / (32 + 32)),
        "fpn.layer_blocks.1.0": math.sqrt(6 / (9 * (64 + 64))),
        "fpn.extra_blocks.convs.0.0": math.sqrt(6 / (9 * (128 + 64))),
    }
    for name, limit in limits.items():
        layer = neck.get_submodule(name)
        assert isinstance(layer, nn.Conv2d) and layer.bias is not None
        assert layer.weight.abs().max().item() == pytest.approx(limit, rel=0.01)
        assert layer.weight.abs().max().item() <= limit
        assert (layer.bias == 0).all()

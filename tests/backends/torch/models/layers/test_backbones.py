"""Backbones: shapes, strides, freezing, initialisation."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn
from torchvision import models

from runner.backends.torch.models.layers import schema as layers
from runner.backends.torch.models.layers.backbones import MobileNetV3Backbone, ResNetBackbone, build_backbone
from runner.backends.torch.models.layers.checks import backbone_strides
from runner.backends.torch.models.layers.norms import BatchNorm

SIZE = (97, 130)  # no multiple of any stride


@pytest.mark.parametrize(
    "config",
    [
        layers.ResNet(depth=18, return_idx=(1, 2, 3)),
        layers.ResNet(depth=34, return_idx=(0, 1, 2), num_stages=3),
        layers.ResNet(depth=50, return_idx=(0, 1, 2, 3)),
        layers.ResNet(depth=101, return_idx=(1, 2)),
        layers.MobileNetV3(),
        layers.MobileNetV3(model_name="small", feature_maps=(3, 4, 9, 12), scale=0.5),
        layers.MobileNetV3(model_name="large", feature_maps=(7, 13, 16), scale=1.25),
    ],
    ids=lambda config: f"{type(config).__name__}-{getattr(config, 'depth', getattr(config, 'scale', ''))}",
)
def test_levels_have_the_channels_and_strides_that_are_promised(config: layers.ResNet | layers.MobileNetV3) -> None:
    backbone = build_backbone(config).eval()
    with torch.no_grad():
        levels = backbone(torch.randn(1, 3, *SIZE))
    expected = [
        (channels, *(math.ceil(side / stride) for side in SIZE))
        for channels, stride in zip(backbone.channels, backbone_strides(config), strict=True)
    ]
    assert [tuple(level.shape[1:]) for level in levels] == expected


def test_paddledetections_feature_numbers_are_strides_8_16_32() -> None:
    assert backbone_strides(layers.MobileNetV3(feature_maps=(6, 12, 15))) == (8, 16, 32)
    assert build_backbone(layers.MobileNetV3(feature_maps=(6, 12, 15))).channels == (40, 112, 160)
    assert backbone_strides(layers.MobileNetV3(model_name="small", feature_maps=(4, 9, 12))) == (8, 16, 32)


def test_what_is_not_handed_on_is_not_built() -> None:
    backbone = build_backbone(layers.ResNet(depth=18, return_idx=(1, 2)))
    assert not any(name.startswith(("layer4", "fc")) for name in backbone.state_dict())
    mobile = build_backbone(layers.MobileNetV3(feature_maps=(6, 12)))
    assert isinstance(mobile, MobileNetV3Backbone) and len(mobile.features) == 12


@pytest.mark.parametrize("kind", ["resnet", "mobilenet"])
def test_equals_torchvisions_network(kind: str) -> None:
    """With the same weights: the last level is what torchvision pools."""
    if kind == "resnet":
        theirs: Any = models.resnet18()
        mine: nn.Module = build_backbone(layers.ResNet(depth=18, return_idx=(3,), first_shortcut="identity"))
        body = nn.Sequential(*list(theirs.children())[:-2])
    else:
        theirs = models.mobilenet_v3_large()
        mine = build_backbone(layers.MobileNetV3(feature_maps=(16,)))
        body = theirs.features[:16]
    mine.load_state_dict({name: value for name, value in theirs.state_dict().items() if name in mine.state_dict()})
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.allclose(mine.eval()(images)[0], body.eval()(images), atol=1e-5)


@pytest.mark.parametrize("freeze_at", [-1, 0, 2, 3])
@pytest.mark.parametrize("freeze_norm", [True, False])
def test_freezing(freeze_at: int, freeze_norm: bool) -> None:
    config = layers.ResNet(depth=18, return_idx=(1, 2, 3), freeze_at=freeze_at, freeze_norm=freeze_norm)
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


def test_backbone_starts_from_paddles_normal() -> None:
    backbone = build_backbone(layers.ResNet(depth=18, return_idx=(3,)))
    assert isinstance(backbone, ResNetBackbone)
    weight = backbone.get_submodule("layer4.1.conv2").weight
    assert isinstance(weight, nn.Parameter)
    assert weight.std().item() == pytest.approx(math.sqrt(2 / (9 * 512)), rel=0.01)

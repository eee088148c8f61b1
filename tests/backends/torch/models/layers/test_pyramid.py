"""The feature pyramid: levels, where extra ones come from, initialisation."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from runner.backends.torch.models.layers import schema as layers
from runner.backends.torch.models.layers.pyramid import FeaturePyramid


def shapes(neck: FeaturePyramid, sides: tuple[int, ...] = (16, 8, 4), channels: tuple[int, ...] = (4, 8, 16)) -> list[tuple[int, ...]]:
    levels = [torch.randn(2, c, side, side + 3) for c, side in zip(channels, sides, strict=True)]
    return [tuple(level.shape) for level in neck(levels)]


@pytest.mark.parametrize("norm_type", [None, "bn", "gn", "sync_bn"])
@pytest.mark.parametrize(("extra", "convs", "use_c5"), [(0, False, True), (1, False, True), (2, True, True), (2, True, False)])
def test_pyramid_levels(norm_type: str | None, extra: int, convs: bool, use_c5: bool) -> None:
    config = layers.FPN(
        out_channel=32,
        extra_stage=extra,
        has_extra_convs=convs,
        use_c5=use_c5,
        norm_type=norm_type,  # type: ignore[arg-type]
    )
    neck = FeaturePyramid(config, (4, 8, 16))
    expected = [(2, 32, 16, 19), (2, 32, 8, 11), (2, 32, 4, 7), (2, 32, 2, 4), (2, 32, 1, 2)]
    assert shapes(neck) == expected[: 3 + extra]
    has_bias = any(name.endswith("0.bias") for name in neck.state_dict())
    assert has_bias == (norm_type is None)


@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize("use_c5", [True, False])
def test_extra_levels_come_from_where_the_config_says(use_c5: bool, relu: bool) -> None:
    config = layers.FPN(out_channel=8, extra_stage=2, has_extra_convs=True, use_c5=use_c5, relu_before_extra_convs=relu)
    neck = FeaturePyramid(config, (4, 6))
    levels = [torch.randn(1, 4, 8, 8), torch.randn(1, 6, 4, 4)]
    out = neck(levels)
    first, second = neck.fpn.extra_blocks.convs
    assert torch.allclose(out[2], first(levels[1] if use_c5 else out[1]))
    assert torch.allclose(out[3], second(out[2].relu() if relu else out[2]))


def test_pyramid_adds_the_level_above() -> None:
    neck = FeaturePyramid(layers.FPN(out_channel=8, extra_stage=0), (4, 6))
    fine, coarse = torch.randn(1, 4, 8, 8), torch.randn(1, 6, 4, 4)
    lateral = neck.fpn.inner_blocks
    merged = lateral[0](fine) + lateral[1](coarse).repeat_interleave(2, 2).repeat_interleave(2, 3)
    out = neck([fine, coarse])
    assert torch.allclose(out[0], neck.fpn.layer_blocks[0](merged), atol=1e-6)
    assert torch.allclose(out[1], neck.fpn.layer_blocks[1](lateral[1](coarse)), atol=1e-6)


def test_pyramid_starts_from_paddledetections_xavier() -> None:
    neck = FeaturePyramid(layers.FPN(out_channel=64, extra_stage=1, has_extra_convs=True), (32, 128))
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

"""The head's outputs against a slow reference in numpy: arXiv 1904.01355 with PaddleDetection's layers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from runner.backends.torch.models.fcos import schema as fcos
from runner.backends.torch.models.fcos.head import PredictionHead, distances

Array = NDArray[np.float64]


def slow_conv(image: Array, weight: Array, bias: Array) -> Array:
    """3x3, stride 1, zeros around: (C, h, w) → (K, h, w), place by place."""
    _, height, width = image.shape
    padded = np.pad(image, ((0, 0), (1, 1), (1, 1)))
    out = np.zeros((len(weight), height, width))
    for row in range(height):
        for column in range(width):
            patch = padded[:, row : row + 3, column : column + 3]
            for channel in range(len(weight)):
                out[channel, row, column] = (weight[channel] * patch).sum() + bias[channel]
    return out


def slow_group_norm(image: Array, scale: Array, shift: Array) -> Array:
    out = np.zeros_like(image)
    size = len(image) // 32
    for group in range(32):
        part = image[group * size : (group + 1) * size]
        out[group * size : (group + 1) * size] = (part - part.mean()) / math.sqrt(part.var() + 1e-5)
    return out * scale[:, None, None] + shift[:, None, None]


def numbers(head: PredictionHead) -> dict[str, Array]:
    return {name: tensor.double().numpy() for name, tensor in head.state_dict().items()}


def slow_tower(level: Array, weights: dict[str, Array], tower: str, convs: int) -> Array:
    for index in range(convs):
        name = f"fcos_feat.{tower}_subnet_convs.{index}"
        level = slow_conv(level, weights[f"{name}.conv.weight"], weights[f"{name}.conv.bias"])
        level = np.maximum(slow_group_norm(level, weights[f"{name}.norm.weight"], weights[f"{name}.norm.bias"]), 0)
    return level


def build(**changes: object) -> PredictionHead:
    """A head with scales and norm layers that differ from one another."""
    feat = fcos.FCOSFeat(feat_in=8, feat_out=64, num_convs=2, norm_type="gn")
    settings = {"num_classes": 2, "fcos_feat": feat, "fpn_stride": (8, 16), **changes}
    head = PredictionHead(fcos.FCOSHead(**settings))  # type: ignore[arg-type]
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return head


@pytest.mark.parametrize("on_reg", [True, False])
def test_equals_the_slow_reference(on_reg: bool) -> None:
    head = build(centerness_on_reg=on_reg)
    weights = numbers(head)
    levels = [torch.randn(2, 8, 3, 4), torch.randn(2, 8, 2, 2)]
    with torch.no_grad():
        found = head(levels)
    assert found.shapes == ((3, 4), (2, 2))
    for image in range(2):
        logits: list[Array] = []
        boxes: list[Array] = []
        centerness: list[Array] = []
        for index, level in enumerate(levels):
            pixels = level[image].double().numpy()
            cls, reg = (slow_tower(pixels, weights, tower, 2) for tower in ("cls", "reg"))
            for name, source, into, scale in (
                ("cls", cls, logits, 1.0),
                ("reg", reg, boxes, weights[f"scales_regs.{index}"][0]),
                ("centerness", reg if on_reg else cls, centerness, 1.0),
            ):
                out = scale * slow_conv(source, weights[f"fcos_head_{name}.weight"], weights[f"fcos_head_{name}.bias"])
                into.append(out.reshape(len(out), -1).T)
        for mine, expected in (
            (found.logits[image], logits),
            (found.boxes[image], boxes),
            (found.centerness[image].unsqueeze(1), centerness),
        ):
            assert np.allclose(mine.numpy(), np.concatenate(expected), rtol=1e-4, atol=1e-4)


def test_distances_are_relu_or_exp() -> None:
    raw = torch.tensor([-1.0, 0.0, 2.0])
    assert distances(raw, True).tolist() == [0, 0, 2]
    assert distances(raw, False).tolist() == pytest.approx([math.exp(-1), 1, math.exp(2)])


def test_starts_at_the_prior() -> None:
    head = PredictionHead(fcos.FCOSHead(num_classes=5, prior_prob=0.02))
    assert head.fcos_head_cls.bias is not None
    assert head.fcos_head_cls.bias.sigmoid().tolist() == pytest.approx([0.02] * 5)
    assert head.fcos_head_reg.weight.std().item() == pytest.approx(0.01, rel=0.1)
    assert head.get_parameter("fcos_feat.cls_subnet_convs.0.conv.weight").std().item() == pytest.approx(0.01, rel=0.02)
    assert all(scale.item() == 1 for scale in head.scales_regs)


def test_without_tower_convolutions() -> None:
    feat = fcos.FCOSFeat(feat_in=16, feat_out=16, num_convs=0)
    head = PredictionHead(fcos.FCOSHead(num_classes=2, fcos_feat=feat, fpn_stride=(8,)))
    assert head([torch.randn(1, 16, 4, 4)]).logits.shape == (1, 16, 2)
    assert sorted({name.split(".")[0] for name in head.state_dict()}) == [
        "fcos_head_centerness",
        "fcos_head_cls",
        "fcos_head_reg",
        "scales_regs",
    ]


def test_a_head_whose_distances_start_above_zero_gets_a_gradient() -> None:
    """All four start below zero: at PaddleDetection's start no gradient comes through the ReLU; from `start_at` it does."""
    head = PredictionHead(fcos.FCOSHead(num_classes=2, fpn_stride=(8,), fcos_feat=fcos.FCOSFeat(feat_in=32, feat_out=32, num_convs=1)))
    with torch.no_grad():
        head.fcos_head_reg.weight.copy_(-0.2 * head.fcos_head_reg.weight.abs())
    level = torch.rand(1, 32, 4, 4)
    for start, moves in ((None, False), (1.0, True)):
        if start is not None:
            head.start_at(start)
        head.zero_grad()
        found = distances(head([level]).boxes, normalised=True)
        found.sum().backward()
        assert head.fcos_head_reg.weight.grad is not None
        assert bool(head.fcos_head_reg.weight.grad.abs().sum() > 0) == moves == bool((found > 0.5).all())

"""Gradient checkpointing gives the same bits, and counts no batch twice."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from runner.backends.torch.models.layers import schema as layers
from runner.backends.torch.models.layers.backbones import build_backbone

BACKBONES = [
    layers.ResNet(depth=18, return_idx=(1, 2, 3), freeze_at=-1, freeze_norm=False),
    layers.ResNet(depth=18, return_idx=(1, 2), freeze_at=0, freeze_norm=True),
    layers.MobileNetV3(feature_maps=(7, 13), freeze_norm=False),
]


def trained(config: Any, *, recompute: bool, saved: list[int] | None = None) -> dict[str, Tensor]:
    """State and gradients after two batches."""
    torch.manual_seed(0)
    backbone = build_backbone(config).train()
    backbone.recompute = recompute
    kept: list[int] = [] if saved is None else saved

    def keep(tensor: Tensor) -> Tensor:
        kept.append(tensor.numel())
        return tensor

    for _ in range(2):
        images = torch.randn(2, 3, 64, 64)
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            levels = backbone(images)
        torch.stack([level.square().mean() for level in levels]).sum().backward()
        with torch.no_grad():
            for parameter in backbone.parameters():
                if parameter.grad is not None:
                    parameter -= 0.01 * parameter.grad
    gradients = {f"grad {name}": value.grad for name, value in backbone.named_parameters() if value.grad is not None}
    return {**backbone.state_dict(), **gradients}


@pytest.mark.parametrize("config", BACKBONES, ids=["resnet", "frozen resnet", "mobilenet"])
def test_the_same_bits_from_less_memory(config: Any) -> None:
    plain, less = [], []
    expected, found = trained(config, recompute=False, saved=plain), trained(config, recompute=True, saved=less)
    assert expected.keys() == found.keys() and any(name.startswith("grad") for name in found)
    assert [name for name in expected if not torch.equal(expected[name], found[name])] == []
    assert sum(less) < 0.7 * sum(plain)
    counters = [value.item() for name, value in found.items() if name.endswith("num_batches_tracked")]
    assert set(counters) == ({0} if config.freeze_norm else {2})


def test_evaluation_is_as_usual() -> None:
    backbone = build_backbone(BACKBONES[0])
    backbone.recompute = True
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    with torch.no_grad():
        levels = backbone.eval()(torch.randn(1, 3, 64, 64))
    assert len(levels) == 3 and all(torch.equal(value, before[name]) for name, value in backbone.state_dict().items())

"""Norm layers and weight initialisation, as PaddleDetection has them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from runner.backends.torch.models.layers.checks import NORM_GROUPS

NormType = Literal["bn", "sync_bn", "gn"]


class BatchNorm(nn.BatchNorm2d):
    """Batch norm that also takes one value per channel (a 1x1 level of a single image) in training.

    Such a level has no variance. torch refuses it; PaddleDetection puts the constant shift out and drags the running
    variance towards 0. Here it is normalised by the running statistics, which stay as they are.
    """

    def forward(self, input: Tensor) -> Tensor:
        if self.training and input.numel() == input.shape[1]:
            return F.batch_norm(input, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps)
        return super().forward(input)


class GroupNorm(nn.GroupNorm):
    """Group norm that also takes one value per group (as many channels as groups, one cell, a single image), which torch
    refuses: its distance from its mean is 0, so the shift comes out.
    """

    def forward(self, input: Tensor) -> Tensor:
        return torch.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)


class FixedBatchNorm(BatchNorm):
    """Batch norm that keeps its loaded statistics, scale and shift while training (PaddleDetection's freeze_norm)."""

    def __init__(self, num_features: int, eps: float = 1e-5) -> None:
        super().__init__(num_features, eps=eps)
        for parameter in self.parameters():
            parameter.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> FixedBatchNorm:
        """Stay in evaluation mode, whatever `mode`."""
        return super().train(False)


def norm_layer(norm_type: NormType, *, fixed: bool = False, eps: float = 1e-5) -> Callable[[int], nn.Module]:
    """Return a function that makes a norm layer with a given number of channels.

    Args:
        norm_type: sync_bn is bn: one process trains, so there is nothing to share.
        fixed: keep batch norm as loaded.
        eps: added to the variance.
    """
    if norm_type == "gn":
        return lambda channels: GroupNorm(NORM_GROUPS, channels, eps=eps)
    if fixed:
        return lambda channels: FixedBatchNorm(channels, eps=eps)
    return lambda channels: BatchNorm(channels, eps=eps)


def init_backbone(module: nn.Module) -> None:
    """Draw every convolution from N(0, 2 / (kernel area * input channels)), Paddle's default (groups do not count in
    it); biases 0.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.normal_(layer.weight, std=math.sqrt(2.0 / (math.prod(layer.kernel_size) * layer.in_channels)))
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
